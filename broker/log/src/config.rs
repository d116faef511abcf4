//! What a topic configures of its log (Kafka's topic-level names, in Rust's spelling).

use logmill_protocol::compression::Compression;
use std::time::Duration;

/// `message.timestamp.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer's timestamps stay.
    #[default]
    CreateTime,
    /// The broker's time of appending replaces them.
    LogAppendTime,
}

/// One log's configuration; partitions of a topic share one `Arc`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: largest segment, at most 2^31 - 1. Default 1 GiB.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment whose first record is older is closed at the next append. Default 7 d.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: up to this is taken off `segment_ms`, differently for every segment. Default 0.
    pub segment_jitter_ms: i64,
    /// `retention.ms`; `None` keeps for ever. Default 7 d.
    pub retention_ms: Option<i64>,
    /// `retention.bytes` per partition; `None` keeps everything. Default `None`.
    pub retention_bytes: Option<u64>,
    /// `max.message.bytes`: largest batch, after compression. Default 1 048 588.
    pub max_message_bytes: u32,
    /// `index.interval.bytes`. Default 4096.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: an index that is full closes the segment. Default 10 MiB.
    pub segment_index_bytes: u32,
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`; `None` accepts any. Default `None`.
    pub timestamp_before_max_ms: Option<i64>,
    /// `message.timestamp.after.max.ms`; `None` accepts any. Default 1 h, as Kafka's.
    pub timestamp_after_max_ms: Option<i64>,
    /// `file.delete.delay.ms`. Default 60 s.
    pub file_delete_delay: Duration,
    /// `cleanup.policy` has `compact`: of each key only the newest record is kept. Default false.
    pub compact: bool,
    /// `min.cleanable.dirty.ratio`: share of dirty bytes above which a compacted log is compacted. Default 0.5.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`. Default 0.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`. Default: no bound (`i64::MAX`).
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`: how long a tombstone stays after it was first compacted. Default 1 d.
    pub delete_retention_ms: i64,
    /// Blocks are reserved ahead of the log's end, which saves metadata writes in syncs: in steps, the last of them filled with zeros where commits are small,
    /// or with `preallocate` a whole segment at once and without zeros. Default false.
    pub preallocate: bool,
    /// `flush.messages`: with page-cache durability, so many records at most stay without a sync. Default: no bound (`u64::MAX`).
    pub flush_messages: u64,
    /// `flush.ms`: with page-cache durability, no record stays longer without a sync. Default: no bound (`i64::MAX`).
    pub flush_ms: i64,
    /// `compression.type` with its level: what batches are stored in, if not as the producer sent them. For who appends.
    pub compression: Option<(Compression, Option<i32>)>,
    /// `min.insync.replicas`: what acks=all needs. For who appends. Default 1.
    pub min_insync_replicas: i32,
}

impl Default for LogConfig {
    fn default() -> Self {
        const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;
        Self {
            segment_bytes: 1 << 30,
            segment_ms: WEEK_MS,
            segment_jitter_ms: 0,
            retention_ms: Some(WEEK_MS),
            retention_bytes: None,
            max_message_bytes: 1_048_588,
            index_interval_bytes: 4096,
            segment_index_bytes: 10 << 20,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: None,
            timestamp_after_max_ms: Some(3600 * 1000),
            file_delete_delay: Duration::from_secs(60),
            compact: false,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 24 * 3600 * 1000,
            preallocate: false,
            flush_messages: u64::MAX,
            flush_ms: i64::MAX,
            compression: None,
            min_insync_replicas: 1,
        }
    }
}
