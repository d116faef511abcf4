//! One partition's log.

use crate::{
    AppendAs, AppendError, Appended, LogConfig, LogListener, MaintenanceError, ReadError, ReadLimit, ReadSlice,
    TimestampOffset, TopicId,
};
use std::sync::Arc;

/// A partition's log. All methods may be called from any thread; none waits for a sync except where it says so.
pub struct Log {}

#[allow(unused_variables)]
impl Log {
    pub fn topic(&self) -> &str {
        ""
    }
    pub fn partition(&self) -> i32 {
        0
    }
    pub fn topic_id(&self) -> TopicId {
        [0; 16]
    }
    pub fn config(&self) -> Arc<LogConfig> {
        Arc::default()
    }
    /// Takes effect with the next append or retention run.
    pub fn set_config(&self, config: Arc<LogConfig>) {}
    /// At most one, set once, before the first append.
    pub fn set_listener(&self, listener: Arc<dyn LogListener>) {}

    /// First offset not yet durable (page-cache mode: not yet written). Lock-free.
    pub fn high_watermark(&self) -> i64 {
        0
    }
    /// Offset of the next record. Lock-free.
    pub fn log_end_offset(&self) -> i64 {
        0
    }
    /// First offset that can be read. Lock-free.
    pub fn log_start_offset(&self) -> i64 {
        0
    }
    /// The last durable offset + 1 if a sync failed since the start: takes no appends any more.
    pub fn fenced_at(&self) -> Option<i64> {
        None
    }
    /// The newest epoch batches were appended with.
    pub fn latest_epoch(&self) -> Option<i32> {
        None
    }
    /// OffsetForLeaderEpoch: the largest epoch ≤ `epoch` and its end offset.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        None
    }
    /// Bytes in all segments.
    pub fn size_bytes(&self) -> u64 {
        0
    }

    /// Appends one or more whole batches (v2), whose CRCs the caller has checked: sets offsets, leader epoch and, with LogAppendTime, timestamps
    /// in place and writes them as they are. All or nothing. Not durable yet: see [`Appended`].
    pub fn append(&self, batches: &mut [u8], as_: AppendAs) -> Result<Appended, AppendError> {
        Err(AppendError::Closed)
    }

    /// Whole batches from the one that holds `offset`, up to `max_bytes`, never past the limit. `None` at the limit, or if the first batch is larger than
    /// `max_bytes` and `min_one_batch` is false.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: u64,
        limit: ReadLimit,
        min_one_batch: bool,
    ) -> Result<Option<ReadSlice>, ReadError> {
        Err(ReadError::Closed)
    }

    /// The first record (below the high watermark) whose timestamp is ≥ `timestamp`.
    pub fn offset_for_time(&self, timestamp: i64) -> Result<Option<TimestampOffset>, ReadError> {
        Ok(None)
    }
    /// The record (below the high watermark) with the largest timestamp, the first of them.
    pub fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        Ok(None)
    }

    /// Applies `retention.ms` and `retention.bytes` at `now_ms`; returns how many segments went. Waits for a sync.
    pub fn delete_old_segments(&self, now_ms: i64) -> Result<usize, MaintenanceError> {
        Ok(0)
    }
    /// DeleteRecords: moves the log start to `offset` (-1: the high watermark), durably, and returns the new log start. Waits for a sync.
    pub fn delete_records_before(&self, offset: i64) -> Result<i64, MaintenanceError> {
        Ok(0)
    }
    /// Cuts everything at and past `offset`, durably (the log end becomes the start of the batch that holds it). Waits for a sync.
    pub fn truncate_to(&self, offset: i64) -> Result<(), MaintenanceError> {
        Ok(())
    }
}
