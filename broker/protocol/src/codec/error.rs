//! What can be wrong with bytes from the network, and with a value that does not fit the wire.

use std::fmt;

/// Why a message could not be decoded, which field it was and how far into the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind} at byte {offset}", Prefix(field))]
pub struct DecodeError {
    pub kind: DecodeErrorKind,
    /// `Message.field`, empty outside a message.
    pub field: &'static str,
    /// Position in the input of the value that is wrong.
    pub offset: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    #[error("expected {needed} more bytes but {left} are left")]
    Truncated { needed: usize, left: usize },
    #[error("negative length {0}")]
    NegativeLength(i64),
    #[error("count {count} does not fit the {left} bytes left")]
    CountTooLarge { count: usize, left: usize },
    #[error("null where a value is required")]
    UnexpectedNull,
    #[error("string is not UTF-8")]
    InvalidUtf8,
    #[error("varint is too long")]
    InvalidVarint,
    #[error("{0} bytes are left over")]
    TrailingBytes(usize),
    #[error("version {version} is outside {min}..={max}")]
    UnsupportedVersion { version: i16, min: i16, max: i16 },
    #[error("unknown api key {0}")]
    UnknownApiKey(i16),
}

impl DecodeError {
    pub(crate) fn new(kind: DecodeErrorKind, offset: usize) -> Self {
        Self { kind, field: "", offset }
    }

    /// Names the field; the innermost name stays.
    #[must_use]
    pub fn in_field(mut self, field: &'static str) -> Self {
        if self.field.is_empty() {
            self.field = field;
        }
        self
    }
}

/// Why a value could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", Prefix(field))]
pub struct EncodeError {
    pub kind: EncodeErrorKind,
    /// `Message.field`, empty outside a message.
    pub field: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeErrorKind {
    #[error("length {len} is over the limit {max}")]
    TooLong { len: usize, max: usize },
    #[error("version {version} is outside {min}..={max}")]
    UnsupportedVersion { version: i16, min: i16, max: i16 },
}

impl EncodeError {
    pub(crate) fn new(kind: EncodeErrorKind) -> Self {
        Self { kind, field: "" }
    }

    /// Names the field; the innermost name stays.
    #[must_use]
    pub fn in_field(mut self, field: &'static str) -> Self {
        if self.field.is_empty() {
            self.field = field;
        }
        self
    }
}

struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}
