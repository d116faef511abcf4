//! How a data directory is run.

use crate::clock::{Clock, SystemClock};
use logmill_disk::{Disk, RealDisk};
use std::{ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

/// When a record counts as written: what the high watermark follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// On disk: fdatasync or syncfs returned without error.
    #[default]
    Fsync,
    /// In the page cache, as Kafka's.
    PageCache,
}

/// How the dirty partitions of a data directory are synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupCommit {
    /// A few files side by side, many by one syncfs, by measured cost.
    #[default]
    Auto,
    Fdatasync,
    /// Falls back to fdatasync where syncfs is not trustworthy.
    Syncfs,
}

/// Who commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Committer {
    /// One thread of the data directory, woken by appends.
    #[default]
    Thread,
    /// The caller, by [`crate::DataDir::commit`]: deterministic tests.
    Manual,
}

/// Options of [`crate::DataDir::open`].
#[derive(Clone)]
pub struct Options {
    pub disk: Arc<dyn Disk>,
    pub durability: Durability,
    pub group_commit: GroupCommit,
    pub committer: Committer,
    /// Appends are refused while the file system has less free, so that a full disk never reaches a sync. Default 256 MiB.
    pub free_space_reserve: u64,
    pub clock: Arc<dyn Clock>,
    /// The recovery point is written after so many appended bytes, over all partitions. Default 64 MiB.
    pub recovery_point_bytes: u64,
    /// Disk space is prepared ahead of a log's end in steps of so many bytes, each twice the one before. Default 64 KiB to 4 MiB.
    pub ahead_bytes: RangeInclusive<u64>,
    /// Where the fences of failed syncs are recorded too, best on another device. Default: beside the data directory.
    pub fence_file: Option<PathBuf>,
    /// Bytes for the map of keys that compaction builds (Kafka's log.cleaner.dedupe.buffer.size); only as long as it runs. Default 32 MiB.
    pub compaction_memory: usize,
    /// Bytes that compaction reads and writes per second (Kafka's log.cleaner.io.max.bytes.per.second); `None` without bound. Default `None`.
    pub compaction_bytes_per_second: Option<u64>,
    /// `producer.id.expiration.ms`. Default 1 d.
    pub producer_expiration: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            disk: Arc::new(RealDisk),
            durability: Durability::default(),
            group_commit: GroupCommit::default(),
            committer: Committer::default(),
            free_space_reserve: 256 << 20,
            clock: Arc::new(SystemClock::default()),
            recovery_point_bytes: 64 << 20,
            ahead_bytes: 64 << 10..=4 << 20,
            fence_file: None,
            compaction_memory: 32 << 20,
            compaction_bytes_per_second: None,
            producer_expiration: Duration::from_secs(24 * 3600),
        }
    }
}
