//! Whether a line belongs to the event of the line before it.
//!
//! Only the two lines are looked at, so that an event's extent follows from its own lines and the one after it.

use logmill_config::agent::Join;
use regex::bytes::Regex;

use super::presets;

#[derive(Debug)]
pub(super) enum Rules {
    /// A line that matches begins an event.
    Start(Regex),
    /// A line that matches belongs to the one before.
    Continue(Regex),
    /// A line that matches goes on in the next.
    ContinueNext(Regex),
    /// A line that matches ends its event.
    End(Regex),
    Any(Vec<Rule>),
}

/// A line that matches `line` belongs to one before it that matches `after` and does not match `not_after`.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) line: Regex,
    pub(super) after: Option<Regex>,
    pub(super) not_after: Option<Regex>,
}

impl Rules {
    pub(super) fn new(join: &Join) -> Result<Self, regex::Error> {
        Ok(match join {
            Join::Start(pattern) => Self::Start(Regex::new(pattern)?),
            Join::Continue(pattern) => Self::Continue(Regex::new(pattern)?),
            Join::ContinueNext(pattern) => Self::ContinueNext(Regex::new(pattern)?),
            Join::End(pattern) => Self::End(Regex::new(pattern)?),
            Join::Preset(preset) => Self::Any(presets::rules(*preset)?),
        })
    }

    pub(super) fn joins(&self, before: &[u8], line: &[u8]) -> bool {
        match self {
            Self::Start(start) => !start.is_match(line),
            Self::Continue(pattern) => pattern.is_match(line),
            Self::ContinueNext(pattern) => pattern.is_match(before),
            Self::End(end) => !end.is_match(before),
            Self::Any(rules) => rules.iter().any(|rule| {
                rule.line.is_match(line)
                    && rule.after.as_ref().is_none_or(|after| after.is_match(before))
                    && rule.not_after.as_ref().is_none_or(|not| !not.is_match(before))
            }),
        }
    }

    /// Whether the event ends with this line, whatever comes.
    pub(super) fn ends_with(&self, last: &[u8]) -> bool {
        match self {
            Self::ContinueNext(pattern) => !pattern.is_match(last),
            Self::End(end) => end.is_match(last),
            Self::Start(_) | Self::Continue(_) | Self::Any(_) => false,
        }
    }
}
