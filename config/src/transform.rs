//! `transform`: a program over events, of an input of the agent's or of a sink.

mod load;

use std::path::PathBuf;

use crate::problem::{Mark, Problem};

pub(crate) use load::read;

/// A program in VRL. Whether it is one is for those to say who can compile it: [`Transform::mistake`] is how.
#[derive(Debug, Clone)]
pub struct Transform {
    pub source: Source,
    /// Default: of a sink `dead_letter`, of an input `pass`.
    pub on_error: OnError,
    /// The key that names it.
    pub(crate) path: String,
    pub(crate) mark: Mark,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Inline(String),
    File(PathBuf),
}

/// What becomes of an event that the program fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The record as it came, to the dead letters. Sinks only.
    DeadLetter,
    /// Not delivered or produced; counted, by sinks as filtered.
    Drop,
    /// It goes on as it came; from the agent with a tag.
    Pass,
}

impl Transform {
    /// A finding about the program, at the key that names it.
    pub fn mistake(&self, message: String) -> Problem {
        Problem { mark: self.mark, path: self.path.clone(), message }
    }
}

/// Wherever it stands in the file.
impl PartialEq for Transform {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.on_error) == (&other.source, other.on_error)
    }
}
