//! Finds lines in a block of bytes. Pure: the result depends on the file's bytes and the stored boundaries alone,
//! never on how the file was cut into reads.
//!
//! A line ends at `\n` (a `\r` before it belongs to the terminator) or at a boundary that time decided. A line
//! longer than the limit is cut, split or dropped as configured; where its end is not in the block, [`Found::Long`]
//! says so and the caller goes on with [`find_end`].

use logmill_config::agent::OnLongLine;

/// What begins at the start of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No end yet: more bytes are needed.
    Incomplete,
    /// A line of `raw` bytes, to be kept up to `keep`; the next begins at `next`.
    Line { raw: usize, keep: usize, next: usize, at_newline: bool },
    /// A piece of a line that goes on.
    Piece { raw: usize },
    /// A whole line to be dropped for its length.
    TooLong { next: usize },
    /// Longer than the limit, and its end is not here (not for `split`).
    Long,
}

/// Limits on a line, from the input's configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Framing {
    /// Longest line in bytes, at least 1.
    pub(crate) max_line: usize,
    pub(crate) on_long_line: OnLongLine,
}

impl Framing {
    /// Looks at `block`, which begins with a line (or piece); `boundary` is the stored boundary's distance from it.
    /// The block must be able to hold `max_line + 2` bytes, else long lines are never found.
    pub(crate) fn find(&self, block: &[u8], boundary: Option<usize>) -> Found {
        let window = &block[..block.len().min(self.max_line.saturating_add(2))];
        let boundary = boundary.filter(|b| *b > 0 && *b <= block.len());
        if let Some(end) = boundary.filter(|b| *b <= window.len()) {
            // A newline before the boundary comes first; one at or after it does not count.
            return match memchr::memchr(b'\n', &window[..end]) {
                Some(newline) => self.line(block, newline, true),
                None => self.line(block, end, false),
            };
        }
        if let Some(newline) = memchr::memchr(b'\n', window) {
            return self.line(block, newline, true);
        }
        if window.len() < self.max_line.saturating_add(2) {
            return Found::Incomplete;
        }
        // More than max_line bytes for sure.
        match self.on_long_line {
            OnLongLine::Split => self.piece(block),
            OnLongLine::Truncate | OnLongLine::Drop => match find_end(block, boundary) {
                Some((end, at_newline)) => self.line(block, end, at_newline),
                None => Found::Long,
            },
        }
    }

    /// A line whose end is known: at the newline at `end`, or just before `end`.
    fn line(&self, block: &[u8], end: usize, at_newline: bool) -> Found {
        let next = if at_newline { end + 1 } else { end };
        let raw = if at_newline && end > 0 && block[end - 1] == b'\r' { end - 1 } else { end };
        if raw <= self.max_line {
            return Found::Line { raw, keep: raw, next, at_newline };
        }
        match self.on_long_line {
            OnLongLine::Truncate => Found::Line { raw, keep: char_cut(block, self.max_line), next, at_newline },
            OnLongLine::Drop => Found::TooLong { next },
            OnLongLine::Split => self.piece(block),
        }
    }

    fn piece(&self, block: &[u8]) -> Found {
        Found::Piece { raw: char_cut(block, self.max_line) }
    }
}

/// The end of a line inside `block`: its newline's place, or the boundary, whichever comes first.
pub(crate) fn find_end(block: &[u8], boundary: Option<usize>) -> Option<(usize, bool)> {
    let boundary = boundary.filter(|b| *b <= block.len());
    match memchr::memchr(b'\n', &block[..boundary.unwrap_or(block.len())]) {
        Some(newline) => Some((newline, true)),
        None => boundary.map(|end| (end, false)),
    }
}

/// The last place at or before `at` that does not cut a UTF-8 character in two; `at` itself where the bytes are not
/// UTF-8, and never 0.
pub(crate) fn char_cut(bytes: &[u8], at: usize) -> usize {
    let at = at.min(bytes.len());
    let is_inside = |i: usize| bytes.get(i).is_some_and(|b| b & 0xC0 == 0x80);
    (at.saturating_sub(3).max(1)..=at).rev().find(|i| !is_inside(*i)).unwrap_or(at)
}

#[cfg(test)]
mod tests;
