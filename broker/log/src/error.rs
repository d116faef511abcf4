//! What can go wrong, one type per operation.

use std::{io, path::PathBuf};

/// Opening a data directory or a log, or changing its set of logs.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("data directory {} is in use by another broker (its .lock file is locked)", path.display())]
    Locked { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error("{} belongs to topic id {found}, expected {expected}: it is what is left of a deleted topic of this name", path.display())]
    TopicIdMismatch { path: PathBuf, found: String, expected: String },
    #[error("topic name {topic:?} cannot be a directory name")]
    InvalidTopic { topic: String },
    #[error("log {topic}-{partition} is not open in this data directory")]
    NotOpen { topic: String, partition: i32 },
    #[error("data directory is closed")]
    Closed,
}

impl OpenError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// Refused appends. The log is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The batch is in the log already. Answer the producer with these, once the high watermark has passed `last_offset`.
    #[error("duplicate of the batch at offsets {base_offset}..={last_offset}")]
    DuplicateSequence { base_offset: i64, last_offset: i64, log_append_time: i64, log_start_offset: i64 },
    #[error("out of order sequence {found} of producer {producer_id} (epoch {epoch}), expected {expected}")]
    OutOfOrderSequence { producer_id: i64, epoch: i16, expected: i32, found: i32 },
    #[error("epoch {found} of producer {producer_id} is older than {current}")]
    InvalidProducerEpoch { producer_id: i64, current: i16, found: i16 },
    #[error("batch of {size} bytes exceeds max.message.bytes {max}")]
    MessageTooLarge { size: usize, max: u32 },
    #[error("batch of {size} bytes exceeds segment.bytes {max}")]
    BatchTooLarge { size: usize, max: u32 },
    #[error("timestamp {timestamp} is out of the range that message.timestamp.before.max.ms and .after.max.ms allow")]
    InvalidTimestamp { timestamp: i64 },
    #[error("corrupt batch: {0}")]
    Corrupt(String),
    #[error("leader epoch {found} is older than {current}")]
    FencedLeaderEpoch { current: i32, found: i32 },
    /// A sync failed: what is past `durable_end` may not be on disk. Until the broker is restarted.
    #[error(
        "log {log} takes no writes since a sync failed; durable up to offset {durable_end}; restart the broker after checking the disk"
    )]
    StorageFenced { log: String, durable_end: i64 },
    #[error("less than {reserve} bytes free in the data directory's file system")]
    NoSpace { reserve: u64 },
    #[error("log is closed or deleted")]
    Closed,
    #[error("writing the log: {0}")]
    Io(#[from] io::Error),
}

/// Refused reads.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("offset {offset} is out of range {log_start_offset}..={log_end_offset}")]
    OffsetOutOfRange { offset: i64, log_start_offset: i64, log_end_offset: i64 },
    #[error("corrupt log at offset {offset}: {reason}")]
    Corrupt { offset: i64, reason: String },
    #[error("log is closed or deleted")]
    Closed,
    #[error("reading the log: {0}")]
    Io(#[from] io::Error),
}

/// Retention, deletion of records and truncation.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    #[error("offset {offset} is out of range {log_start_offset}..={high_watermark}")]
    OffsetOutOfRange { offset: i64, log_start_offset: i64, high_watermark: i64 },
    #[error("log is closed or deleted")]
    Closed,
    #[error("log {log} is fenced since a sync failed")]
    StorageFenced { log: String },
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
}
