//! Taking a line apart from its front.

/// What is left of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a str);

impl<'a> Cursor<'a> {
    /// Goes over `text`; `None` (and nothing taken) when something else is there.
    pub(super) fn skip(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Up to `end`, which is gone over.
    pub(super) fn until(&mut self, end: &str) -> Option<&'a str> {
        let (taken, rest) = self.0.split_once(end)?;
        self.0 = rest;
        Some(taken)
    }

    /// Up to the next space or the end.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    /// `[…]`, and spaces after it.
    pub(super) fn bracketed(&mut self) -> Option<&'a str> {
        let mut rest = *self;
        rest.skip("[")?;
        let inside = rest.until("]")?;
        self.0 = rest.0.trim_start_matches(' ');
        Some(inside)
    }

    /// `"…"` with backslash escapes, which stay as they are; and spaces after it.
    pub(super) fn quoted(&mut self) -> Option<&'a str> {
        let rest = self.0.strip_prefix('"')?;
        let mut escaped = false;
        let end = rest.bytes().position(|b| {
            let ends = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            ends
        })?;
        self.0 = rest[end + 1..].trim_start_matches(' ');
        Some(&rest[..end])
    }
}
