//! Puts lines together: those a container runtime cut, and those that rules say are one event.
//!
//! Whether a line belongs to the one before follows from these two alone. Bounds end an event too; what then follows
//! begins one of its own, so nothing is lost. A stretch of another stream ends an event: what two streams write into
//! one file at the same time cannot be one stretch of the file.

use std::time::Duration;

use logmill_config::agent::{Container, Input};

use super::{
    Found, Framing, Text,
    container::{self, Inside},
    rules::Rules,
};

/// What lines are put together by.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) rules: Option<Rules>,
    pub(super) container: Option<Container>,
    pub(super) timeout: Duration,
    pub(super) max_lines: usize,
    pub(super) max_bytes: usize,
}

impl Joining {
    pub(super) fn new(input: &Input, max_line: usize) -> Result<Option<Self>, regex::Error> {
        let multiline = input.multiline.as_ref();
        if multiline.is_none() && input.container.is_none() {
            return Ok(None);
        }
        let max_bytes = multiline.map_or(max_line, |m| usize::try_from(m.max_bytes).unwrap_or(max_line));
        Ok(Some(Self {
            rules: multiline.map(|m| Rules::new(&m.join)).transpose()?,
            container: input.container,
            timeout: multiline.map_or(input.flush_unterminated, |m| m.timeout),
            max_lines: multiline.map_or(usize::MAX, |m| m.max_lines),
            max_bytes,
        }))
    }

    /// What a line says, in UTF-8; a line that no container runtime wrote stands for itself.
    fn inside<'a>(&self, text: Text, line: &'a [u8]) -> Inside<'a> {
        let wrapped = self.container.and_then(|container| container::unwrap(container, line));
        wrapped.unwrap_or_else(|| Inside { text: text.decode(line), stream: None, time: None, partial: false })
    }

    fn joins(&self, before: &Inside, line: &Inside) -> bool {
        if before.stream != line.stream {
            return false;
        }
        before.partial || self.rules.as_ref().is_some_and(|rules| rules.joins(&before.text, &line.text))
    }

    /// Whether nothing that comes can belong to an event that ends with `last`.
    fn is_complete(&self, last: &Inside) -> bool {
        !last.partial && self.rules.as_ref().is_none_or(|rules| rules.ends_with(&last.text))
    }
}

impl Framing {
    /// Where the last event of `bytes` begins, as far as their whole lines tell. `inside`: they begin inside a line.
    pub(crate) fn last_begin(&self, bytes: &[u8], inside: bool) -> Option<usize> {
        let Some(joining) = &self.joining else { return memchr::memrchr(b'\n', bytes).map(|end| end + 1) };
        let begins: Vec<usize> = memchr::memchr_iter(b'\n', bytes).map(|end| end + 1).collect();
        let line = |from: usize, to: usize| {
            let line = &bytes[from..to - 1];
            joining.inside(self.text, line.strip_suffix(b"\r").unwrap_or(line))
        };
        let nth = |n: usize| line(n.checked_sub(1).map_or(0, |before| begins[before]), begins[n]);
        (1..begins.len()).rev().find_map(|at| {
            let first = usize::from(inside);
            let mut before = (at > first).then(|| nth(at - 1))?;
            let is_last = !before.partial;
            for part in (first..at - 1).rev().map(nth) {
                if !is_last || !part.partial || part.stream != before.stream {
                    break;
                }
                before = part.with(before);
            }
            (!joining.joins(&before, &nth(at))).then_some(begins[at - 1])
        })
    }

    pub(super) fn event(&self, block: &[u8], boundary: Option<usize>, joining: &Joining) -> Found {
        let first = self.line(block, boundary);
        let Found::Line { mut raw, keep, mut next, at_newline: true, .. } = first else { return first };
        let mut last = joining.inside(self.text, &block[..raw]);
        // Neither a line that is too long nor an empty one begins an event of several.
        if keep < raw || last.text.is_empty() && !last.partial {
            return first;
        }
        let mut lines = 1;
        let event = |raw, next, at_newline, cut| Found::Line { raw, keep: raw, next, at_newline, cut };
        while !joining.is_complete(&last) && boundary != Some(next) {
            let rest = &block[next..];
            let found = self.line(rest, boundary.and_then(|b| b.checked_sub(next)));
            let (line, end) = match found {
                Found::Incomplete => return Found::Incomplete,
                Found::Hole { .. } => return event(raw, next, true, false),
                Found::Line { raw, keep, next, at_newline, .. } if keep == raw => {
                    (&rest[..raw], Some((raw, next, at_newline)))
                }
                // A line that is too long is an event of its own, whether it would belong here or not.
                _ => (&rest[..self.text.cut(rest, self.max_line)], None),
            };
            let line = joining.inside(self.text, line);
            if !joining.joins(&last, &line) {
                return event(raw, next, true, last.partial);
            }
            match end {
                Some((more, _, _)) if lines >= joining.max_lines || next + more > joining.max_bytes => {
                    return event(raw, next, true, true);
                }
                None => return event(raw, next, true, true),
                Some((more, after, at_newline)) => {
                    last = if last.partial && joining.rules.is_some() { last.with(line) } else { line };
                    (raw, next, lines) = (next + more, next + after, lines + 1);
                    if !at_newline {
                        return event(raw, next, false, false);
                    }
                }
            }
        }
        event(raw, next, true, false)
    }

    /// The lines of an event, each as what it says.
    pub(super) fn insides<'a>(&'a self, raw: &'a [u8]) -> impl Iterator<Item = (Inside<'a>, bool)> {
        let mut rest = Some(raw);
        std::iter::from_fn(move || {
            let bytes = rest?;
            let line = match self.text.newline(bytes) {
                Some(end) => {
                    rest = Some(&bytes[end + self.text.unit()..]);
                    self.text.without_return(&bytes[..end])
                }
                None => {
                    rest = None;
                    bytes
                }
            };
            let container = self.joining.as_ref().and_then(|j| j.container);
            let wrapped = container.and_then(|container| container::unwrap(container, line));
            let understood = container.is_none() || wrapped.is_some();
            let plain = || Inside { text: self.text.decode(line), stream: None, time: None, partial: false };
            Some((wrapped.unwrap_or_else(plain), understood))
        })
    }

    /// Whether an event's text is simply its bytes.
    pub(super) fn is_plain(&self) -> bool {
        self.text.is_utf8() && self.joining.is_none()
    }
}
