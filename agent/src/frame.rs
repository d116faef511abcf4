//! Finds events in a block of bytes. Pure: the result depends on the file's bytes and the stored boundaries alone,
//! never on how the file was cut into reads.
//!
//! [`line`] finds lines, in the file's [`encoding`]; [`event`] puts lines together, by [`rules`] for lines that are one
//! event and because a [`container`] runtime cut them. An event is always a stretch of whole lines, so that its place
//! and its raw bytes say all there is to know of it; [`content`] makes its text of them.

mod container;
mod content;
mod encoding;
mod event;
mod line;
mod presets;
mod rules;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use logmill_config::agent::{Input, OnLongLine};

pub(crate) use container::Stream;
pub(crate) use content::Content;
pub(crate) use encoding::Text;
use event::Joining;

/// A wrapped line holds this much at least: runtimes cut after 16 KiB, which escapes can make six times as long.
const WRAPPED: usize = 128 << 10;

/// What begins at the start of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No end yet: more bytes are needed.
    Incomplete,
    /// A line, or lines that are one event, of `raw` bytes, to be kept up to `keep`; the next begins at `next`. `cut`:
    /// more lines belong to it than it may have.
    Line { raw: usize, keep: usize, next: usize, at_newline: bool, cut: bool },
    /// A piece of a line that goes on.
    Piece { raw: usize },
    /// A whole line to be dropped for its length.
    TooLong { next: usize },
    /// Longer than the limit, and its end is not here (not for `split`).
    Long,
    /// NUL characters where a line would begin: a hole in the file, no text.
    Hole { next: usize },
}

/// How a file's bytes become events.
#[derive(Debug, Clone)]
pub(crate) struct Framing {
    pub(crate) text: Text,
    /// Longest line in bytes, at least 1.
    pub(crate) max_line: usize,
    pub(crate) on_long_line: OnLongLine,
    joining: Option<Rc<Joining>>,
}

impl Framing {
    /// # Errors
    /// A pattern is no regular expression (configuration checks that before).
    pub(crate) fn new(input: &Input) -> Result<Self, regex::Error> {
        let mut max_line = usize::try_from(input.max_line_bytes).unwrap_or(usize::MAX >> 2).max(1);
        if input.source.is_journal() {
            max_line = crate::feed::longest(input.max_line_bytes);
        }
        if input.container.is_some() {
            max_line = max_line.max(WRAPPED);
        }
        let joining = Joining::new(input, max_line)?.map(Rc::new);
        Ok(Self { text: Text::new(input.encoding), max_line, on_long_line: input.on_long_line, joining })
    }

    /// The same in a file whose encoding is `text`.
    pub(crate) fn in_encoding(&self, text: Text) -> Self {
        Self { text, ..self.clone() }
    }

    /// Bytes that a block must be able to hold, else long lines and events are never found.
    pub(crate) fn longest(&self) -> usize {
        self.max_line.saturating_add(4) + self.joining.as_ref().map_or(0, |j| j.max_bytes.saturating_add(4))
    }

    /// How long an event that ends with a newline waits for lines that may belong to it; none where none do.
    pub(crate) fn timeout(&self) -> Option<std::time::Duration> {
        self.joining.as_ref().map(|j| j.timeout)
    }

    /// Looks at `block`, which begins with a line (or piece); `boundary` is the stored boundary's distance from it.
    pub(crate) fn find(&self, block: &[u8], boundary: Option<usize>) -> Found {
        match &self.joining {
            None => self.line(block, boundary),
            Some(joining) => self.event(block, boundary, joining),
        }
    }
}

pub(crate) use line::find_end;
