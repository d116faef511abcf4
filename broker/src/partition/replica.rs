//! One partition on this node: its log, opened when first used, and the operations on it.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use logmill_log::{AppendAs, AppendError, Appended, Log, LogConfig, Origin, ReadLimit};
use logmill_protocol::ErrorCode;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    data_dirs::DataDirs,
    error::PartitionError,
    waiters::{Listener, Registration, Waiters},
};
use crate::{metadata::image::Topic, metrics::TopicMetrics};

/// Cheap until its log is opened, so that many idle partitions cost nothing.
pub(crate) struct Partition {
    topic: Arc<Topic>,
    index: i32,
    /// That of the log's newest batches, which may come from another broker's time; 0 before the log is opened.
    leader_epoch: AtomicI32,
    data_dirs: Arc<DataDirs>,
    config: Mutex<Arc<LogConfig>>,
    log: OnceLock<Arc<Log>>,
    /// Held while the log is opened; whether the partition was deleted.
    opening: Mutex<bool>,
    waiters: Arc<Waiters>,
    pub(crate) metrics: TopicMetrics,
}

impl Partition {
    pub(super) fn new(
        topic: Arc<Topic>,
        index: i32,
        data_dirs: Arc<DataDirs>,
        config: Arc<LogConfig>,
        metrics: TopicMetrics,
    ) -> Self {
        let waiters = Arc::default();
        let (config, opening) = (Mutex::new(config), Mutex::new(false));
        let leader_epoch = AtomicI32::new(0);
        Self { topic, index, leader_epoch, data_dirs, config, log: OnceLock::new(), opening, waiters, metrics }
    }

    pub(crate) fn topic(&self) -> &Arc<Topic> {
        &self.topic
    }

    pub(crate) fn index(&self) -> i32 {
        self.index
    }

    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch.load(Ordering::Acquire)
    }

    /// Whether a client that believes in this epoch (-1: in none) may go on.
    pub(crate) fn check_leader_epoch(&self, believed: i32) -> Result<(), ErrorCode> {
        let current = self.leader_epoch();
        match believed {
            epoch if epoch > current => Err(ErrorCode::UnknownLeaderEpoch),
            epoch if epoch >= 0 && epoch < current => Err(ErrorCode::FencedLeaderEpoch),
            _ => Ok(()),
        }
    }

    pub(crate) fn config(&self) -> Arc<LogConfig> {
        self.config.lock().clone()
    }

    pub(super) fn set_config(&self, config: Arc<LogConfig>) {
        *self.config.lock() = config.clone();
        if let Some(log) = self.log.get() {
            log.set_config(config);
        }
    }

    /// The log if something opened it already.
    pub(crate) fn opened(&self) -> Option<&Arc<Log>> {
        self.log.get()
    }

    /// The log; the first caller creates or recovers it, on a thread that may wait for the disk.
    pub(crate) async fn log(self: &Arc<Self>) -> Result<&Arc<Log>, PartitionError> {
        if self.log.get().is_none() {
            let _turn = self.data_dirs.turn(&self.topic.name, self.index).await;
            let partition = self.clone();
            tokio::task::spawn_blocking(move || partition.open_blocking())
                .await
                .map_err(|e| PartitionError::Internal(e.to_string().into()))??;
        }
        if self.waiters.is_closed() {
            return Err(PartitionError::Deleted);
        }
        self.log.get().ok_or(PartitionError::Deleted)
    }

    /// Waits for the disk.
    pub(super) fn open_blocking(&self) -> Result<(), PartitionError> {
        let deleted = self.opening.lock();
        if *deleted {
            return Err(PartitionError::Deleted);
        }
        if self.log.get().is_none() {
            let id = self.topic.id.into_bytes();
            let dir = self.data_dirs.place(&self.topic.name, self.index);
            let log = dir.open_log(&self.topic.name, self.index, id, self.config())?;
            log.set_listener(Arc::new(Listener(self.waiters.clone())));
            self.leader_epoch.store(log.latest_epoch().unwrap_or(0), Ordering::Release);
            drop(self.log.set(log));
        }
        Ok(())
    }

    /// Ends every wait, refuses further use and removes the files. Waits for the disk.
    pub(super) fn delete_blocking(&self) -> Result<(), PartitionError> {
        let mut deleted = self.opening.lock();
        *deleted = true;
        self.waiters.close();
        Ok(self.data_dirs.delete(&self.topic.name, self.index)?)
    }

    /// Appends checked batches; the offsets are set in place. Acknowledge only after [`Partition::wait_durable`] for `last_offset`. A batch
    /// that is in the log already counts as appended.
    pub(crate) fn append(&self, log: &Log, batches: &mut [u8], origin: Origin) -> Result<Appended, PartitionError> {
        match log.append(batches, AppendAs { leader_epoch: self.leader_epoch(), origin }) {
            Ok(appended) => Ok(appended),
            Err(AppendError::DuplicateSequence { base_offset, last_offset, log_append_time, log_start_offset }) => {
                Ok(Appended { base_offset, last_offset, log_append_time, log_start_offset })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns once everything up to and including `last_offset` is durable, at most after `timeout`.
    pub(crate) async fn wait_durable(
        self: &Arc<Self>,
        log: &Log,
        last_offset: i64,
        timeout: Duration,
    ) -> Result<(), PartitionError> {
        if log.high_watermark() > last_offset {
            return Ok(());
        }
        let wake = Arc::new(Notify::new());
        let _registration = self.waiters.register(last_offset, wake.clone());
        let wait = async {
            loop {
                if log.high_watermark() > last_offset {
                    return Ok(());
                }
                if let Some(durable_end) = self.waiters.fenced_at() {
                    return Err(PartitionError::Fenced { durable_end });
                }
                if self.waiters.is_closed() {
                    return Err(PartitionError::Deleted);
                }
                wake.notified().await;
            }
        };
        tokio::time::timeout(timeout, wait).await.unwrap_or(Err(PartitionError::TimedOut))
    }

    /// Notifies `wake` when there is more to read than below `high_watermark`.
    pub(crate) fn wake_past(&self, high_watermark: i64, wake: Arc<Notify>) -> Registration {
        self.waiters.register(high_watermark, wake)
    }

    /// Moves the log's start to `offset` (-1: the high watermark) and returns where it is then; durable when it returns.
    pub(crate) async fn delete_records_before(self: &Arc<Self>, offset: i64) -> Result<i64, PartitionError> {
        let log = self.log().await?.clone();
        let deleting = tokio::task::spawn_blocking(move || log.delete_records_before(offset));
        Ok(deleting.await.map_err(|e| PartitionError::Internal(e.to_string().into()))??)
    }

    /// Whole batches from the one that holds `offset`, at least one, about `max_bytes`; `None` at the high watermark.
    pub(crate) async fn read(self: &Arc<Self>, offset: i64, max_bytes: u64) -> Result<Option<Vec<u8>>, PartitionError> {
        self.log().await?;
        let partition = self.clone();
        let read = move || -> Result<Option<Vec<u8>>, PartitionError> {
            let Some(log) = partition.opened() else { return Ok(None) };
            let Some(slice) = log.read(offset, max_bytes, ReadLimit::HighWatermark, true)? else { return Ok(None) };
            Ok(Some(slice.to_vec().map_err(logmill_log::ReadError::Io)?))
        };
        tokio::task::spawn_blocking(read).await.map_err(|e| PartitionError::Internal(e.to_string().into()))?
    }
}
