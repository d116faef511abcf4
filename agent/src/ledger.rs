//! The ledger: read = acknowledged + dropped + in flight, stored with the checkpoint so that it survives kill -9.
//!
//! What is in flight at a kill is read again: at a start, read is what was acknowledged or dropped.

/// Why a line did not become a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// Longer than `max_line_bytes` under `on_long_line: drop`.
    LongLine = 0,
    /// Nothing between two newlines.
    EmptyLine = 1,
    /// Estimated from the bytes that were in a file beyond what was read when it was truncated.
    Truncated = 2,
    /// Above a limit whose `on_exceed` is drop.
    Limit = 3,
    /// Above a limit whose `on_exceed` is sample, and not taken.
    Sample = 4,
    /// The input's program aborted.
    Aborted = 5,
    /// The input's program failed, under `on_error: drop`.
    TransformFailure = 6,
    /// Estimated from the bytes of a deleted file that were not read when it was given up, or was found gone.
    Deleted = 7,
}

impl Reason {
    pub(crate) const ALL: [Self; 8] = [
        Self::LongLine,
        Self::EmptyLine,
        Self::Truncated,
        Self::Limit,
        Self::Sample,
        Self::Aborted,
        Self::TransformFailure,
        Self::Deleted,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LongLine => "long_line",
            Self::EmptyLine => "empty_line",
            Self::Truncated => "truncated",
            Self::Limit => "limit",
            Self::Sample => "sample",
            Self::Aborted => "aborted",
            Self::TransformFailure => "transform_failure",
            Self::Deleted => "deleted",
        }
    }
}

/// Finished lines over the life of the state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ledger {
    pub(crate) acknowledged: u64,
    /// By `Reason as usize`.
    pub(crate) dropped: [u64; Reason::ALL.len()],
    /// Estimated bytes behind [`Reason::Truncated`] and [`Reason::Deleted`].
    pub(crate) bytes_lost: u64,
}

impl Ledger {
    /// Lines that are finished, one way or the other.
    pub(crate) fn finished(&self) -> u64 {
        self.dropped.iter().fold(self.acknowledged, |sum, n| sum.saturating_add(*n))
    }
}
