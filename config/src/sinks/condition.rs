//! Which of the records it reads a sink delivers: conditions in the words of Beats.

use regex::Regex;

/// Holds for a record or does not.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    /// It is there and not null.
    HasField(Subject),
    /// A text, number or boolean, by its text or as a number.
    Equals(Subject, String),
    /// A text, or one of a list of them, has this in it.
    Contains(Subject, String),
    /// A text, or one of a list of them, has a match in it.
    Regexp(Subject, Pattern),
    /// A number, or a text that is one.
    Range(Subject, Range),
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// By its dotted path.
    Field(String),
    /// The record's key, as text.
    Key,
    Topic,
}

/// Bounds that all hold; at least one is given.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Range {
    pub gte: Option<f64>,
    pub gt: Option<f64>,
    pub lte: Option<f64>,
    pub lt: Option<f64>,
}

impl Range {
    pub fn holds(&self, number: f64) -> bool {
        self.gte.is_none_or(|least| number >= least)
            && self.gt.is_none_or(|below| number > below)
            && self.lte.is_none_or(|most| number <= most)
            && self.lt.is_none_or(|above| number < above)
    }
}

/// A regular expression; equal to another of the same text.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    pub(crate) fn new(regex: Regex) -> Self {
        Self(regex)
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}
