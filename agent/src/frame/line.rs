//! Finds one line.
//!
//! A line ends at a newline (a carriage return before it belongs to the terminator) or at a boundary that time
//! decided. A line longer than the limit is cut, split or dropped as configured; where its end is not in the block,
//! [`Found::Long`] says so and the caller goes on with [`find_end`].

use logmill_config::agent::OnLongLine;

use super::{Found, Framing, Text};

impl Framing {
    pub(super) fn line(&self, block: &[u8], boundary: Option<usize>) -> Found {
        match self.text.nul_run(block) {
            0 => {}
            next => return Found::Hole { next },
        }
        let unit = self.text.unit();
        let longest = self.max_line.saturating_add(2 * unit);
        let window = &block[..block.len().min(longest)];
        let boundary = boundary.filter(|b| *b > 0 && *b <= block.len());
        if let Some(end) = boundary.filter(|b| *b <= window.len()) {
            // A newline before the boundary comes first; one at or after it does not count.
            return match self.text.newline(&window[..end]) {
                Some(newline) => self.ended(block, newline, true),
                None => self.ended(block, end, false),
            };
        }
        if let Some(newline) = self.text.newline(window) {
            return self.ended(block, newline, true);
        }
        if window.len() < longest {
            return Found::Incomplete;
        }
        // More than max_line bytes for sure.
        match self.on_long_line {
            OnLongLine::Split => self.piece(block),
            OnLongLine::Truncate | OnLongLine::Drop => match find_end(self.text, block, boundary) {
                Some((end, at_newline)) => self.ended(block, end, at_newline),
                None => Found::Long,
            },
        }
    }

    /// A line whose end is known: at the newline at `end`, or just before `end`.
    fn ended(&self, block: &[u8], end: usize, at_newline: bool) -> Found {
        let next = if at_newline { end + self.text.unit() } else { end };
        let raw = if at_newline { self.text.without_return(&block[..end]).len() } else { end };
        if raw <= self.max_line {
            return Found::Line { raw, keep: raw, next, at_newline, cut: false };
        }
        match self.on_long_line {
            OnLongLine::Truncate => {
                let keep = self.text.cut(block, self.max_line);
                Found::Line { raw, keep, next, at_newline, cut: false }
            }
            OnLongLine::Drop => Found::TooLong { next },
            OnLongLine::Split => self.piece(block),
        }
    }

    fn piece(&self, block: &[u8]) -> Found {
        Found::Piece { raw: self.text.cut(block, self.max_line) }
    }
}

/// The end of a line inside `block`: its newline's place, or the boundary, whichever comes first.
pub(crate) fn find_end(text: Text, block: &[u8], boundary: Option<usize>) -> Option<(usize, bool)> {
    let boundary = boundary.filter(|b| *b <= block.len());
    match text.newline(&block[..boundary.unwrap_or(block.len())]) {
        Some(newline) => Some((newline, true)),
        None => boundary.map(|end| (end, false)),
    }
}
