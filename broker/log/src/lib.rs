//! Kafka's log on disk: segments, indexes, producer state, recovery, group commit, retention, compaction.
//!
//! A [`DataDir`] holds partitions in Kafka's own layout; a [`Log`] is one of them. Appends go to the page cache under the
//! partition's lock; the committer's threads, a few per data directory, sync whatever is dirty, log by log or all at once; the high watermark follows what is durable.
//!
//! Invariants:
//! - The high watermark never passes an offset whose bytes, file name and directory names are not durable (`Durability::Fsync`).
//! - After a failed sync nothing past the last durable offset is acknowledged or, after a restart, believed.
//! - Everything before the recovery point is durable, its index entries included: recovery reads only what is past it.
//! - What was in a segment before the data directory was opened is served once its CRCs and offsets were checked, by recovery or the first reader.
//! - Segment files grow only; a position below the high watermark never changes its bytes. Compaction replaces whole files; who reads an old one keeps it.
//! - Offsets have gaps only where compaction made them, which is before the recovery point.
//! - The log start is durable before anything below it goes; checkpoints speak only of logs that exist.
//!
//! Locks are taken in this order: `DataDir::changing`, `Shared::cleaning`, `Log::maintenance`, `Shared::committing`, `Log::state`, `Log::segments`, a segment's
//! parts; `Shared::queue`, `Log::boundaries`, `Shared::compaction`, `Shared::deleted` and `Shared::space` are leaves, but that `Shared::costs` is
//! read with the queue held. `Shared::stored` and `Shared::logs` are never held while a log's state is taken.

mod aborted_index;
mod api;
mod batch_scan;
mod checkpoint_file;
mod cleaner;
mod clock;
mod commit_choice;
mod config;
mod data_dir;
pub mod dump;
mod error;
mod leader_epochs;
mod log;
mod names;
mod options;
mod producer_snapshot;
mod producers;
mod segment;
mod shared;
mod space;
mod sparse_index;
mod stats;

#[cfg(test)]
mod tests;

pub use api::{
    AbortedTransaction, ActiveProducer, AppendAs, Appended, COMMIT_SECONDS, CleanerSnapshot, DiskSpace, LogListener,
    Origin, PartitionDir, ReadLimit, ReadSlice, StatsSnapshot, TimestampOffset, TopicId,
};
pub use clock::{Clock, SystemClock};
pub use config::{LogConfig, TimestampType};
pub use data_dir::DataDir;
pub use error::{AppendError, MaintenanceError, OpenError, ReadError};
pub use log::{Located, Log};
pub use options::{Committer, Durability, GroupCommit, Options};
