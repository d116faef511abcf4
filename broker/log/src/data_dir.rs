//! A data directory: its lock, its checkpoints, its logs, its committer.

use crate::{Log, LogConfig, OpenError, Options, PartitionDir, StatsSnapshot, TopicId};
use std::{path::Path, sync::Arc};

/// An open data directory. Dropping it without [`DataDir::close`] is like a crash without power cut.
pub struct DataDir {}

#[allow(unused_variables)]
impl DataDir {
    /// Creates it if missing, locks it, reads the checkpoints and lists the partition directories. Opens no log.
    pub fn open(path: &Path, options: Options) -> Result<Arc<DataDir>, OpenError> {
        Err(OpenError::Closed)
    }
    pub fn path(&self) -> &Path {
        Path::new("")
    }
    /// The partition directories found on opening.
    pub fn found(&self) -> &[PartitionDir] {
        &[]
    }
    /// Whether the last broker closed it.
    pub fn was_clean(&self) -> bool {
        false
    }
    /// Opens the log of a partition, creating it if missing and recovering it; the same `Arc` if it is open already.
    pub fn open_log(
        &self,
        topic: &str,
        partition: i32,
        topic_id: TopicId,
        config: Arc<LogConfig>,
    ) -> Result<Arc<Log>, OpenError> {
        Err(OpenError::Closed)
    }
    pub fn log(&self, topic: &str, partition: i32) -> Option<Arc<Log>> {
        None
    }
    pub fn logs(&self) -> Vec<Arc<Log>> {
        Vec::new()
    }
    /// Durably renames the partition directory (open or not) to `<topic>-<partition>.<uuid>-delete`; its files go later. Waits for a sync.
    pub fn delete_log(&self, topic: &str, partition: i32) -> Result<(), OpenError> {
        Ok(())
    }
    /// Retention on every log, removal of what was deleted long enough ago, expiry of producers. To be called now and then (Kafka: every 5 min),
    /// on a thread that may wait for the disk. Errors are logged and counted; returns how many segments went.
    pub fn housekeeping(&self) -> usize {
        0
    }
    /// Syncs what is dirty, on this thread; returns how many partitions were dirty. The committer's thread does this by itself.
    pub fn commit(&self) -> usize {
        0
    }
    /// Writes the checkpoints now (after syncing what they promise).
    pub fn write_checkpoints(&self) -> Result<(), OpenError> {
        Ok(())
    }
    pub fn stats(&self) -> StatsSnapshot {
        StatsSnapshot::default()
    }
    /// Refuses further appends, commits, snapshots producers, writes checkpoints and the clean-shutdown mark. Waits for syncs.
    pub fn close(&self) -> Result<(), OpenError> {
        Ok(())
    }
}
