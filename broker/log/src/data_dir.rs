//! A data directory: its lock, its checkpoints, its logs, its committer.

mod checkpoint;
mod commit;
mod compact;
pub(crate) mod delete;
mod open;

use crate::{
    Committer, DiskSpace, Durability, Log, LogConfig, OpenError, PartitionDir, StatsSnapshot, TopicId,
    commit_choice::SYNC_THREADS, log::OpenLog, names, shared::Shared,
};
use logmill_disk::{DiskLock, ReplaceSites, replace_file};
use parking_lot::Mutex;
use std::{
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

const CLEAN_SHUTDOWN: ReplaceSites = ReplaceSites { data: "clean shutdown data", dir: "clean shutdown directory" };

/// An open data directory. Dropping it without [`DataDir::close`] is like a crash without power cut.
pub struct DataDir {
    shared: Arc<Shared>,
    found: Vec<PartitionDir>,
    was_clean: bool,
    lock: Mutex<Option<DiskLock>>,
    committer: Mutex<Vec<JoinHandle<()>>>,
    /// One opening or deletion at a time.
    changing: Mutex<()>,
}

impl DataDir {
    pub fn path(&self) -> &Path {
        &self.shared.root
    }

    /// How much room its file system has.
    pub fn space(&self) -> std::io::Result<DiskSpace> {
        let (disk, root) = (&*self.shared.options.disk, &self.shared.root);
        Ok(DiskSpace { total: disk.total_space(root)?, usable: disk.free_space(root)? })
    }

    /// Bytes of a partition's segments as its directory has them: for logs that are not open. 0 without a directory.
    pub fn size_of(&self, topic: &str, partition: i32) -> std::io::Result<u64> {
        let disk = &*self.shared.options.disk;
        let dir = names::partition_dir(&self.shared.root, topic, partition);
        if !disk.is_dir(&dir) {
            return Ok(0);
        }
        let mut bytes = 0;
        for path in disk.read_dir(&dir)? {
            if let Some((_, names::LOG)) = names::parse_segment_file(&path) {
                bytes += disk.file_len(&path)?;
            }
        }
        Ok(bytes)
    }

    /// The partition directories found on opening.
    pub fn found(&self) -> &[PartitionDir] {
        &self.found
    }

    /// Whether the last broker closed it.
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Opens the log of a partition, creating it if missing and recovering it; the same `Arc` if it is open already. Waits for the disk when there
    /// is something to recover.
    pub fn open_log(
        &self,
        topic: &str,
        partition: i32,
        topic_id: TopicId,
        config: Arc<LogConfig>,
    ) -> Result<Arc<Log>, OpenError> {
        if !names::is_topic_name(topic) || partition < 0 {
            return Err(OpenError::InvalidTopic { topic: topic.to_owned() });
        }
        let key = (topic.to_owned(), partition);
        let _one = self.changing.lock();
        if self.lock.lock().is_none() {
            return Err(OpenError::Closed);
        }
        if let Some(log) = self.shared.logs.read().get(&key) {
            if log.topic_id() != topic_id {
                return Err(OpenError::TopicIdMismatch {
                    path: log.dir().to_owned(),
                    found: names::print_topic_id(&log.topic_id()),
                    expected: names::print_topic_id(&topic_id),
                });
            }
            return Ok(Arc::clone(log));
        }
        let dir = names::partition_dir(&self.shared.root, topic, partition);
        if !self.shared.options.disk.is_dir(&dir) {
            // Checkpoints must not speak of an earlier log of this name.
            self.shared.forget(std::slice::from_ref(&key)).map_err(OpenError::io(&self.shared.root))?;
        }
        let open = {
            let stored = self.shared.stored.lock();
            OpenLog {
                topic: topic.to_owned(),
                partition,
                topic_id,
                config,
                recovery_point: stored.recovery_points.get(&key).copied(),
                log_start: stored.log_starts.get(&key).copied(),
                cleaned_to: stored.cleaner_offsets.get(&key).copied(),
                fence: stored.fences.get(&key).copied(),
                clean: self.was_clean,
            }
        };
        let known = open.recovery_point.unwrap_or(0);
        let log = open.open(&self.shared)?;
        self.shared.clear_fence(&key)?;
        self.shared.logs.write().insert(key, Arc::clone(&log));
        if self.was_clean && known != log.log_end_offset() {
            // A directory put in the place of ours: what was believed now must not be doubted after a crash.
            self.shared.checkpoint(false).map_err(OpenError::io(&self.shared.root))?;
        }
        Ok(log)
    }

    pub fn log(&self, topic: &str, partition: i32) -> Option<Arc<Log>> {
        self.shared.logs.read().get(&(topic.to_owned(), partition)).cloned()
    }

    /// All open logs, sorted by topic and partition.
    pub fn logs(&self) -> Vec<Arc<Log>> {
        self.shared.all_logs()
    }

    pub fn stats(&self) -> StatsSnapshot {
        self.shared.stats.snapshot()
    }

    /// With page-cache durability: asks for a sync of the logs whose `flush.ms` is over. To be called every half second or so; takes no time.
    pub fn flush_due(&self) {
        if self.shared.options.durability == Durability::PageCache {
            let now = self.shared.options.clock.now_ms();
            self.logs().iter().for_each(|log| log.flush_if_due(now));
        }
    }

    /// Retention on every log, removal of what was deleted long enough ago, expiry of producers. To be called now and then (Kafka: every 5 min),
    /// on a thread that may wait for the disk. Errors are logged; returns how many segments went.
    pub fn housekeeping(&self) -> usize {
        let now = self.shared.options.clock.now_ms();
        let expiration = i64::try_from(self.shared.options.producer_expiration.as_millis()).unwrap_or(i64::MAX);
        let mut advanced = Vec::new();
        for log in self.logs() {
            log.expire_producers(now.saturating_sub(expiration));
            let _one = log.begin_maintenance();
            match log.advance_by_retention(now) {
                Ok(true) => advanced.push(Arc::clone(&log)),
                Ok(false) => {}
                Err(error) => tracing::warn!(log = log.name(), %error, "retention failed"),
            }
        }
        let mut removed = 0;
        if !advanced.is_empty() {
            match self.shared.write_log_starts() {
                Ok(()) => {
                    for log in advanced {
                        let _one = log.begin_maintenance();
                        match log.remove_below_start() {
                            Ok(count) => removed += count,
                            Err(error) => tracing::warn!(log = log.name(), %error, "cannot remove old segments"),
                        }
                    }
                }
                Err(error) => tracing::error!(%error, "cannot write the log start checkpoint: old segments stay"),
            }
        }
        self.remove_deleted();
        removed
    }

    /// Refuses further appends, commits, snapshots producers, writes checkpoints and the clean-shutdown mark. Waits for syncs. Fails (and leaves no
    /// mark) if anything could not be made durable. A second call does nothing.
    pub fn close(&self) -> Result<(), OpenError> {
        let _one = self.changing.lock();
        let Some(_lock) = self.lock.lock().take() else { return Ok(()) };
        self.shared.closing.begin();
        let _no_compaction = self.shared.cleaning.lock();
        self.stop_committer();
        let logs = self.logs();
        for log in &logs {
            log.begin_close();
        }
        let error = || OpenError::io(&self.shared.root);
        self.shared.commit_all();
        let closed = self.shared.checkpoint(true).and_then(|()| self.shared.write_log_starts());
        let undone = logs.iter().filter(|log| log.fenced_at().is_some() || log.has_unsynced()).count();
        self.shared.logs.write().clear();
        closed.map_err(error())?;
        if undone > 0 {
            let source = std::io::Error::other(format!("{undone} logs could not be made durable"));
            return Err(error()(source));
        }
        let path = self.shared.root.join(names::CLEAN_SHUTDOWN);
        replace_file(&*self.shared.options.disk, &path, b"{\"version\":0,\"brokerEpoch\":-1}", CLEAN_SHUTDOWN)
            .map_err(OpenError::io(&path))
    }

    fn start_committer(&self) -> Result<(), OpenError> {
        if self.shared.options.committer == Committer::Thread {
            for _ in 0..SYNC_THREADS {
                let shared = Arc::clone(&self.shared);
                let thread = thread::Builder::new().name("log-commit".into()).spawn(move || shared.run_committer());
                self.committer.lock().push(thread.map_err(OpenError::io(&self.shared.root))?);
            }
        }
        Ok(())
    }

    fn stop_committer(&self) {
        {
            let mut queue = self.shared.queue.lock();
            queue.stop = true;
            self.shared.wake.notify_all();
        }
        for thread in self.committer.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        self.shared.closing.begin();
        self.stop_committer();
        for log in self.logs() {
            log.begin_close();
        }
        self.shared.logs.write().clear();
    }
}
