//! The text of an event, made of the bytes of its lines.

use super::{Framing, Stream};

/// What an event says. Reused: its buffer grows to the longest event.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// UTF-8, or what a file that should be is made of; lines are joined by newlines.
    pub(crate) text: Vec<u8>,
    pub(crate) stream: Option<Stream>,
    /// RFC 3339 in UTC, from the container runtime.
    pub(crate) time: Option<String>,
    /// A line that the container runtime did not write is in it.
    pub(crate) foreign: bool,
}

impl Framing {
    /// The text of an event of these bytes; `None` when it is the bytes themselves.
    pub(crate) fn content<'a>(&self, kept: &[u8], starts_file: bool, into: &'a mut Content) -> Option<&'a Content> {
        let bytes = if starts_file { self.text.without_mark(kept) } else { kept };
        if self.is_plain() && bytes.len() == kept.len() {
            return None;
        }
        into.text.clear();
        (into.stream, into.time, into.foreign) = (None, None, false);
        let mut goes_on = true;
        for (nth, (line, understood)) in self.insides(bytes).enumerate() {
            if !goes_on {
                into.text.push(b'\n');
            }
            if nth == 0 {
                into.stream = line.stream;
                into.time = line.time.and_then(crate::record::canonical_time);
            }
            into.foreign |= !understood;
            into.text.extend_from_slice(&line.text);
            goes_on = line.partial;
        }
        // Empty lines that ended an event say nothing.
        while into.text.last() == Some(&b'\n') {
            into.text.pop();
        }
        Some(into)
    }
}
