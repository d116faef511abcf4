//! Reading a section key by key: what is asked for is known, what is left over is a mistake.
//!
//! Readers return a value even after a mistake (their default), so that one pass finds every mistake; the file is
//! refused at the end if there was any.

use std::fmt::Debug;

use crate::{
    describe::Fact,
    problem::{Findings, Mark},
    tree::{Entry, Kind, Node},
    value::Value,
};

/// A mapping being read.
pub struct Section<'a> {
    pub(crate) findings: &'a Findings,
    /// `inputs[0]`; empty at the top.
    pub(crate) path: String,
    pub(crate) mark: Mark,
    entries: &'a [Entry],
    /// Every key is there, with this value.
    any: Option<&'a Node>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file. Anything but a section is reported and read as an empty one.
    pub(crate) fn root(node: &'a Node, findings: &'a Findings) -> Self {
        let entries = match &node.kind {
            Kind::Map(entries) => entries.as_slice(),
            Kind::Null | Kind::Bad | Kind::Any => &[],
            Kind::Scalar { .. } | Kind::List(_) => {
                findings.error(node.mark, "", "expected keys with values, such as \"name: value\"");
                &[]
            }
        };
        Self {
            any: matches!(node.kind, Kind::Any).then_some(node),
            ..Self::new(findings, String::new(), node.mark, entries)
        }
    }

    /// In which every key is, with the value `any`.
    pub(crate) fn open(findings: &'a Findings, path: String, any: &'a Node) -> Self {
        Self { any: Some(any), ..Self::new(findings, path, any.mark, &[]) }
    }

    pub(crate) fn new(findings: &'a Findings, path: String, mark: Mark, entries: &'a [Entry]) -> Self {
        Self { findings, path, mark, entries, any: None, asked: Vec::new() }
    }

    /// The value of `key`, which is a known key from now on.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.asked.push(key);
        if let Some(node) = self.any {
            let path = self.path_of(key);
            self.findings.note(&path, Fact::Key);
            return Some(Value { findings: self.findings, path, node, key_mark: node.mark });
        }
        let entry = self.entries.iter().find(|e| e.key == key)?;
        Some(Value { findings: self.findings, path: self.path_of(key), node: &entry.value, key_mark: entry.mark })
    }

    /// The value read by `read`, or `default` when the key is absent.
    pub(crate) fn or<T: Debug + 'static>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> T {
        if self.any.is_some() {
            self.findings.note(&self.path_of(key), Fact::default(&default));
        }
        match self.get(key) {
            Some(value) => read(&value).unwrap_or(default),
            None => default,
        }
    }

    /// A key only the user can know: reported when absent. `example` shows what to write.
    pub(crate) fn need<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Option<T> {
        if self.any.is_some() {
            self.findings.note(&self.path_of(key), Fact::Needed);
        }
        match self.get(key) {
            Some(value) => read(&value),
            None => {
                self.findings.error(
                    self.mark,
                    &self.path_of(key),
                    format!("missing, expected e.g. \"{key}: {example}\""),
                );
                None
            }
        }
    }

    /// Keys whose feature is not built: refused by name rather than as unknown.
    pub(crate) fn not_yet(&mut self, keys: &[(&'static str, &str)]) {
        if self.any.is_some() {
            return;
        }
        for (key, instead) in keys {
            if let Some(value) = self.get(key) {
                let hint = if instead.is_empty() { String::new() } else { format!(", {instead}") };
                self.findings.error(value.key_mark, &value.path, format!("not supported yet{hint}"));
            }
        }
    }

    /// Whether `key` is there at all.
    pub(crate) fn given(&self, key: &str) -> bool {
        self.any.is_some() || self.entries.iter().any(|e| e.key == key)
    }

    /// Reports the section itself as wrong.
    pub(crate) fn fail_here(&self, message: &str) {
        self.findings.error(self.mark, &self.path, message);
    }

    /// Every entry, for sections whose keys are the user's own.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        if self.any.is_some() {
            self.findings.note(&self.path, Fact::OwnKeys);
        }
        self.entries.iter().map(|e| {
            let value = Value { findings: self.findings, path: self.path_of(&e.key), node: &e.value, key_mark: e.mark };
            (e.key.as_str(), value)
        })
    }

    /// Reports every key nobody asked for.
    pub(crate) fn finish(self) {
        for entry in self.entries {
            if !self.asked.contains(&entry.key.as_str()) {
                let message = match closest(&entry.key, self.asked.iter().copied()) {
                    Some(known) => format!("unknown key, did you mean \"{known}\"?"),
                    None => format!("unknown key, expected one of: {}", self.asked.join(", ")),
                };
                self.findings.error(entry.mark, &self.path_of(&entry.key), message);
            }
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// The candidate that `word` is probably a slip of.
pub(crate) fn closest<'w>(word: &str, candidates: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let lower = word.to_lowercase().replace('-', "_");
    candidates
        .map(|c| (strsim::jaro_winkler(&lower, c), strsim::damerau_levenshtein(&lower, c), c))
        .filter(|(likeness, edits, c)| *likeness > 0.85 || *edits <= c.len().div_ceil(4))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, _, c)| c)
}
