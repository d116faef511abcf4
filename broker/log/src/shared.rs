//! What the logs of a data directory share: options, the queue of dirty logs, the checkpoints' content, counters.

use crate::{
    Durability, Log, OpenError, Options,
    checkpoint_file::{Offsets, PartitionKey, print_offsets},
    cleaner::pace::Closing,
    commit_choice::Costs,
    data_dir::delete::Deleted,
    names,
    space::Space,
    stats::Stats,
};
use logmill_disk::{FileSystem, ReplaceSites, replace_file};
use parking_lot::{Condvar, Mutex, RwLock};
use std::{
    collections::{HashMap, VecDeque},
    io,
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

const RECOVERY_POINT: ReplaceSites = ReplaceSites { data: "recovery point data", dir: "recovery point directory" };
const LOG_START: ReplaceSites = ReplaceSites { data: "log start data", dir: "log start directory" };
const HIGH_WATERMARK: ReplaceSites = ReplaceSites { data: "high watermark data", dir: "high watermark directory" };
const CLEANER_OFFSET: ReplaceSites = ReplaceSites { data: "cleaner offset data", dir: "cleaner offset directory" };
const FENCE: ReplaceSites = ReplaceSites { data: "fence data", dir: "fence directory" };

pub(crate) struct Shared {
    pub options: Options,
    pub root: PathBuf,
    /// Held from start; `None` where syncfs is not to be used.
    pub file_system: Option<Arc<dyn FileSystem>>,
    pub queue: Mutex<Queue>,
    pub wake: Condvar,
    /// Shared by those who sync a log each; alone is who syncs the file system or changes what commits rely on.
    pub committing: RwLock<()>,
    pub costs: Mutex<Costs>,
    pub logs: RwLock<HashMap<PartitionKey, Arc<Log>>>,
    pub stored: Mutex<Stored>,
    /// Bytes appended since the last checkpoint.
    pub since_checkpoint: AtomicU64,
    pub stats: Stats,
    /// One compaction at a time.
    pub cleaning: Mutex<()>,
    /// Memory and bytes per second of compaction.
    pub compaction: Mutex<(usize, Option<u64>)>,
    pub closing: Closing,
    pub space: Space,
    pub deleted: Mutex<Vec<Deleted>>,
}

/// What the committer is to do.
#[derive(Default)]
pub(crate) struct Queue {
    pub dirty: VecDeque<Arc<Log>>,
    pub checkpoint: bool,
    pub stop: bool,
}

/// The checkpoints as on disk; entries of logs not (yet) open stay.
#[derive(Default)]
pub(crate) struct Stored {
    pub recovery_points: Offsets,
    pub log_starts: Offsets,
    pub fences: Offsets,
    pub cleaner_offsets: Offsets,
}

impl Shared {
    /// A log became dirty.
    pub(crate) fn enqueue(&self, log: &Weak<Log>) {
        if let Some(log) = log.upgrade() {
            let mut queue = self.queue.lock();
            queue.dirty.push_back(log);
            // Whoever takes one of several wakes the next.
            if queue.dirty.len() == 1 {
                self.wake.notify_one();
            }
        }
    }

    /// The same by a thread of the committer, which looks into the queue next by itself.
    pub(crate) fn enqueue_again(&self, log: &Arc<Log>) {
        self.queue.lock().dirty.push_back(Arc::clone(log));
    }

    pub(crate) fn appended(&self, bytes: u64) {
        self.stats.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        let before = self.since_checkpoint.fetch_add(bytes, Ordering::Relaxed);
        // With fsync the commit that follows looks at the count by itself.
        if self.options.durability == Durability::PageCache
            && before < self.options.recovery_point_bytes
            && before + bytes >= self.options.recovery_point_bytes
        {
            self.queue.lock().checkpoint = true;
            self.wake.notify_one();
        }
    }

    pub(crate) fn all_logs(&self) -> Vec<Arc<Log>> {
        let mut logs: Vec<_> = self.logs.read().values().cloned().collect();
        // In a fixed order, so that a simulated run is repeatable.
        logs.sort_by(|a, b| (a.topic(), a.partition()).cmp(&(b.topic(), b.partition())));
        logs
    }

    /// Durably writes `recovery-point-offset-checkpoint` (and, for Apache Kafka, `replication-offset-checkpoint`).
    pub(crate) fn write_recovery_points(&self) -> io::Result<()> {
        let mut stored = self.stored.lock();
        let mut high_watermarks = stored.recovery_points.clone();
        for log in self.all_logs() {
            stored.recovery_points.insert(log.key(), log.recovery_point());
            high_watermarks.insert(log.key(), log.high_watermark());
        }
        self.replace(names::HIGH_WATERMARKS, &high_watermarks, HIGH_WATERMARK)?;
        self.replace(names::RECOVERY_POINTS, &stored.recovery_points, RECOVERY_POINT)?;
        for log in self.all_logs() {
            if let Some(offset) = stored.recovery_points.get(&log.key()) {
                log.set_written_recovery_point(*offset);
            }
        }
        self.stats.recovery_points_written.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Durably writes `log-start-offset-checkpoint`.
    pub(crate) fn write_log_starts(&self) -> io::Result<()> {
        let mut stored = self.stored.lock();
        for log in self.all_logs() {
            if log.log_start_offset() > 0 {
                stored.log_starts.insert(log.key(), log.log_start_offset());
            }
        }
        self.replace(names::LOG_STARTS, &stored.log_starts, LOG_START)
    }

    /// Durably writes `cleaner-offset-checkpoint`: up to where a log was compacted.
    pub(crate) fn write_cleaner_offset(&self, key: PartitionKey, offset: i64) -> io::Result<()> {
        let mut stored = self.stored.lock();
        if stored.cleaner_offsets.get(&key) == Some(&offset) {
            return Ok(());
        }
        stored.cleaner_offsets.insert(key, offset);
        self.replace(names::CLEANER_OFFSETS, &stored.cleaner_offsets, CLEANER_OFFSET)
    }

    /// Durably forgets what the checkpoints say of these logs, if anything.
    pub(crate) fn forget(&self, keys: &[PartitionKey]) -> io::Result<()> {
        let mut stored = self.stored.lock();
        let forget = |offsets: &mut Offsets| {
            let before = offsets.len();
            offsets.retain(|key, _| !keys.contains(key));
            offsets.len() != before
        };
        if forget(&mut stored.recovery_points) {
            self.replace(names::RECOVERY_POINTS, &stored.recovery_points, RECOVERY_POINT)?;
        }
        if forget(&mut stored.log_starts) {
            self.replace(names::LOG_STARTS, &stored.log_starts, LOG_START)?;
        }
        if forget(&mut stored.cleaner_offsets) {
            self.replace(names::CLEANER_OFFSETS, &stored.cleaner_offsets, CLEANER_OFFSET)?;
        }
        if forget(&mut stored.fences) {
            self.write_fences(&stored.fences);
        }
        Ok(())
    }

    /// Records the fences of all logs in both places; a failure is loud but cannot be helped.
    pub(crate) fn record_fences(&self) {
        let mut stored = self.stored.lock();
        for log in self.all_logs() {
            if let Some(durable_end) = log.fenced_at() {
                let fence = stored.fences.entry(log.key()).or_insert(durable_end);
                *fence = durable_end.min(*fence);
            }
        }
        self.write_fences(&stored.fences);
    }

    /// A fenced log was cut and synced: its record may go.
    pub(crate) fn clear_fence(&self, key: &PartitionKey) -> Result<(), OpenError> {
        let mut stored = self.stored.lock();
        if stored.fences.remove(key).is_some() && !self.write_fences(&stored.fences) {
            let path = self.root.join(names::FENCES);
            let source = io::Error::other("cannot clear the record of a failed sync");
            return Err(OpenError::Io { path, source });
        }
        Ok(())
    }

    /// Where fences are recorded: in the data directory and, since its disk is failing, somewhere else.
    pub(crate) fn fence_files(&self) -> [PathBuf; 2] {
        let elsewhere = self.options.fence_file.clone().unwrap_or_else(|| {
            let mut name = self.root.file_name().unwrap_or_default().to_owned();
            name.push(".");
            name.push(names::FENCES);
            self.root.with_file_name(name)
        });
        [self.root.join(names::FENCES), elsewhere]
    }

    /// `true` if no place still says something else.
    fn write_fences(&self, fences: &Offsets) -> bool {
        let disk = &*self.options.disk;
        let mut all = true;
        for path in self.fence_files() {
            if fences.is_empty() && !disk.exists(&path) {
                continue;
            }
            if let Err(error) = replace_file(disk, &path, print_offsets(fences).as_bytes(), FENCE) {
                all = false;
                tracing::error!(path = %path.display(), %error, ?fences, "cannot record the durable ends of fenced logs");
            }
        }
        all
    }

    fn replace(&self, name: &str, offsets: &Offsets, sites: ReplaceSites) -> io::Result<()> {
        replace_file(&*self.options.disk, &self.root.join(name), print_offsets(offsets).as_bytes(), sites)
    }
}
