//! What survives: how far each file is acknowledged, what time decided, and the ledger.
//!
//! [`State`] is what the log says, [`Log`] the crash-safe file it is kept in. Invariants: an [`Entry::File`],
//! [`Entry::Extent`] or [`Entry::Boundary`] is durable before a record that follows from it is produced; positions and
//! the ledger travel in one frame, so that they always agree; file numbers are never used again, so that a lost entry
//! can only make lines be read again.

mod format;
mod log;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use format::{Entry, Extent, FileEntry, Mark, Since};
pub(crate) use log::{Log, Opened, is_full};
pub(crate) use state::FileState;
#[cfg(test)]
pub(crate) use state::State;
