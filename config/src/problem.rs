//! What is wrong in a configuration file: collected while reading, reported all at once.

use std::{cell::RefCell, fmt};

use crate::describe::Fact;

/// More mistakes than this in one file are counted, not listed.
const LISTED_AT_MOST: usize = 100;

/// A position in the file, both from 1. Line 0 means the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark {
    pub line: usize,
    pub column: usize,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub mark: Mark,
    /// `inputs[0].topic`; empty for the file as a whole.
    pub path: String,
    /// What was wrong, what was expected and, where there is one, a suggestion.
    pub message: String,
}

/// The mistakes of one file, in file order. Displays one per line: `file:line:column: key.path: message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Errors {
    pub file: String,
    pub problems: Vec<Problem>,
}

impl Errors {
    /// An error about the file as a whole.
    pub(crate) fn whole(file: &str, message: String) -> Self {
        let problem = Problem { mark: Mark::default(), path: String::new(), message };
        Self { file: file.to_owned(), problems: vec![problem] }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().take(LISTED_AT_MOST).enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            problem.write(&self.file, f)?;
        }
        match self.problems.len().checked_sub(LISTED_AT_MOST) {
            Some(more) if more > 0 => write!(f, "\n{}: and {more} more", self.file),
            _ => Ok(()),
        }
    }
}

impl Problem {
    /// `file:line:column: key.path: message`
    pub fn describe(&self, file: &str) -> String {
        struct In<'a>(&'a Problem, &'a str);
        impl fmt::Display for In<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write(self.1, f)
            }
        }
        In(self, file).to_string()
    }

    fn write(&self, file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(file)?;
        if self.mark.line > 0 {
            write!(f, ":{}:{}", self.mark.line, self.mark.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Collects findings while a file is read; shared by every part of the reader.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    errors: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    facts: RefCell<Vec<(String, Fact)>>,
}

impl Findings {
    pub(crate) fn error(&self, mark: Mark, path: &str, message: impl Into<String>) {
        self.errors.borrow_mut().push(Problem { mark, path: path.to_owned(), message: message.into() });
    }

    pub(crate) fn warning(&self, mark: Mark, path: &str, message: impl Into<String>) {
        self.warnings.borrow_mut().push(Problem { mark, path: path.to_owned(), message: message.into() });
    }

    /// What the loader would take at `path`.
    pub(crate) fn note(&self, path: &str, fact: Fact) {
        self.facts.borrow_mut().push((path.to_owned(), fact));
    }

    pub(crate) fn into_facts(self) -> Vec<(String, Fact)> {
        self.facts.into_inner()
    }

    /// Errors and warnings, each in file order.
    pub(crate) fn into_sorted(self) -> (Vec<Problem>, Vec<Problem>) {
        let (mut errors, mut warnings) = (self.errors.into_inner(), self.warnings.into_inner());
        errors.sort_by_key(|p| p.mark);
        warnings.sort_by_key(|p| p.mark);
        (errors, warnings)
    }
}
