//! The small types that callers and logs exchange.

use logmill_disk::DiskFile;
use std::{io, sync::Arc, time::Duration};

/// A topic's id (KIP-516).
pub type TopicId = [u8; 16];

/// A partition directory found when the data directory was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDir {
    pub topic: String,
    pub partition: i32,
    /// From `partition.metadata`; `None` if it is missing or unreadable (a crash during creation: nothing in it was acknowledged).
    pub topic_id: Option<TopicId>,
}

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A producer: sequence numbers, timestamps and sizes are checked.
    Client,
    /// The broker's own coordinators (offsets, transaction markers): control batches are allowed.
    Coordinator,
}

/// How a batch is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendAs {
    pub leader_epoch: i32,
    pub origin: Origin,
}

/// Where an append went. It may be acknowledged once the high watermark is past `last_offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: i64,
    pub last_offset: i64,
    /// Milliseconds; -1 unless the topic has LogAppendTime (as the Produce response wants it).
    pub log_append_time: i64,
    pub log_start_offset: i64,
}

/// How far a read may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadLimit {
    /// Consumers.
    HighWatermark,
    /// Consumers that read only what is committed.
    LastStable,
    /// The broker itself (and replicas, later).
    LogEnd,
}

/// A stretch of whole batches in a segment file, which stays readable while this is held, even if the segment is deleted.
#[derive(Clone)]
pub struct ReadSlice {
    pub file: Arc<dyn DiskFile>,
    /// Of the first byte in `file`.
    pub position: u64,
    /// Bytes, at least one batch.
    pub len: u64,
    /// Base offset of the first batch: at most the offset asked for.
    pub base_offset: i64,
}

impl ReadSlice {
    /// Appends the bytes to `buf`, for where sendfile cannot be used.
    pub fn read_into(&self, buf: &mut Vec<u8>) -> io::Result<()> {
        let start = buf.len();
        let len = usize::try_from(self.len).map_err(io::Error::other)?;
        buf.resize(start + len, 0);
        self.file.read_exact_at(&mut buf[start..], self.position)
    }

    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_into(&mut bytes)?;
        Ok(bytes)
    }
}

/// What a log remembers of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    pub id: i64,
    pub epoch: i16,
    /// Of its last batch; `None` if that was a transaction marker or has been forgotten.
    pub last_sequence: Option<i32>,
    /// Of its last batch, in milliseconds.
    pub last_timestamp: i64,
    /// -1 before its first transaction marker.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub transaction_start: Option<i64>,
}

/// An aborted transaction: the records of this producer from `first_offset` to its next abort marker do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
}

/// The room on the file system of a data directory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    pub total: u64,
    /// For unprivileged writers, the reserve of [`crate::Options::free_space_reserve`] included.
    pub usable: u64,
}

/// A record found by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Milliseconds.
    pub timestamp: i64,
    pub offset: i64,
    pub leader_epoch: i32,
}

/// Told when a log's state that others wait for changes. Called on a committing thread (page-cache mode: the appending one) without
/// a log's locks held: it should only wake others.
pub trait LogListener: Send + Sync + 'static {
    fn high_watermark_moved(&self, high_watermark: i64);
    /// A sync failed: what is at or past `durable_end` will never be acknowledged; waiters fail.
    fn fenced(&self, durable_end: i64);
}

/// Upper bounds, in seconds, of the classes that [`StatsSnapshot::commit_times`] counts.
pub const COMMIT_SECONDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// Counters of a data directory since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StatsSnapshot {
    pub commits: u64,
    /// Of these by syncfs.
    pub commits_by_syncfs: u64,
    /// Partitions over all commits.
    pub committed_partitions: u64,
    pub commit_time_sum: Duration,
    pub commit_time_max: Duration,
    /// Commits that took at most [`COMMIT_SECONDS`] and more than the bound before.
    pub commit_times: [u64; COMMIT_SECONDS.len()],
    pub failed_syncs: u64,
    pub appended_batches: u64,
    pub appended_bytes: u64,
    pub fenced_partitions: u64,
    pub recovery_points_written: u64,
    pub cleaner: CleanerSnapshot,
}

/// What compaction has done since the data directory was opened; the last five are of the latest run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CleanerSnapshot {
    /// Logs compacted.
    pub runs: u64,
    /// Compactions that ended with an error.
    pub failures: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub records_removed: u64,
    /// Of the removed: records without a key.
    pub keyless_records_removed: u64,
    pub tombstones_removed: u64,
    /// Bytes written of those read, percent.
    pub recopy_percent: f64,
    /// Of the memory for keys, percent.
    pub buffer_utilization_percent: f64,
    pub clean_time: Duration,
    /// Of the dirtiest log that was due, percent.
    pub max_dirty_percent: f64,
    /// By how much a log had exceeded max.compaction.lag.ms.
    pub max_compaction_delay: Duration,
}
