//! One partition's log: its state and the lock-free views of it.

mod ahead;
mod append;
mod checkpoint;
mod commit;
pub(crate) mod compaction;
mod read;
mod recovery;
mod retention;
mod swap;
mod time;
mod transactions;
mod truncate;

pub(crate) use checkpoint::Prepared;
pub(crate) use commit::Ticket;
pub use read::Located;
pub(crate) use recovery::OpenLog;

use self::ahead::Ahead;
use crate::{
    ActiveProducer, LogConfig, LogListener, TopicId,
    leader_epochs::LeaderEpochs,
    producers::{Producer, Producers},
    segment::Segment,
    shared::Shared,
};
use logmill_disk::{Disk, DiskFile};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::{
    path::Path,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
    },
};

/// A partition's log. All methods may be called from any thread; none waits for a sync except where it says so.
pub struct Log {
    me: Weak<Log>,
    shared: Arc<Shared>,
    topic: Box<str>,
    partition: i32,
    topic_id: TopicId,
    dir: Box<Path>,
    config: RwLock<Arc<LogConfig>>,
    listener: OnceLock<Arc<dyn LogListener>>,
    high_watermark: AtomicI64,
    log_end: AtomicI64,
    log_start: AtomicI64,
    /// -1 while no sync failed.
    fenced_at: AtomicI64,
    /// As of the last written checkpoint (or recovery).
    recovery_point: AtomicI64,
    /// As on disk; compaction stays before it.
    written_recovery_point: AtomicI64,
    /// Everything before it was compacted at least once.
    cleaned_to: AtomicI64,
    /// Some segment has an index of aborted transactions.
    has_aborted: AtomicBool,
    /// How often in a row compaction failed, and when (ms) it is tried again.
    failed_compactions: AtomicU32,
    compact_after: AtomicI64,
    /// Whether a checkpoint would say something new.
    touched: AtomicBool,
    /// Ascending; the last is the active one. Never empty.
    segments: RwLock<Vec<Arc<Segment>>>,
    state: Mutex<State>,
    /// Recent batch boundaries, where consumers at the end of the log read on.
    boundaries: Mutex<Boundaries>,
    /// One retention run, deletion or truncation at a time.
    maintenance: Mutex<()>,
}

/// What appends change.
struct State {
    phase: Phase,
    /// The file may hold a part of a write that failed: to be fenced.
    broken: bool,
    producers: Producers,
    epochs: LeaderEpochs,
    /// Log files with bytes not yet synced.
    dirty_files: Vec<Arc<dyn DiskFile>>,
    /// Whether the active segment's is among them.
    active_dirty: bool,
    /// Names in the partition directory are not durable.
    new_names: bool,
    /// Nor is the directory's own, nor its metadata file.
    new_partition: bool,
    /// In the committer's queue, or to be put there once the commit under way is over.
    queued: bool,
    /// A commit is under way: its sync would take away from another's the news that a write failed.
    committing: bool,
    /// With page-cache durability: records since the last sync that flush.messages or flush.ms asked for, and when (ms) the first of them came.
    unflushed: u64,
    unflushed_since: i64,
    /// Such a sync is asked for and not yet done: what was appended is not shown before.
    flushing: bool,
    /// Counts truncations: a commit begun before one says nothing about what came after.
    truncations: u64,
    ahead: Ahead,
    /// Largest timestamp of the active segment's first batch, once known.
    first_timestamp: Option<i64>,
    /// Producer snapshots on disk, ascending.
    snapshots: Vec<i64>,
    bytes_since_snapshot: u64,
    /// Base offsets of sealed segments whose end and indexes, and offsets of snapshots that, no checkpoint has synced yet.
    unsynced_segments: Vec<i64>,
    unsynced_snapshots: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Takes no appends any more; what is dirty still gets committed.
    Closing,
    /// Its directory has gone.
    Deleted,
}

/// A small ring of known batch boundaries: offset, segment, position.
#[derive(Default)]
struct Boundaries {
    ring: [Option<Boundary>; 8],
    next: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Boundary {
    offset: i64,
    segment: i64,
    position: u64,
}

impl Boundaries {
    fn push(&mut self, boundary: Boundary) {
        if !self.ring.contains(&Some(boundary)) {
            self.ring[self.next] = Some(boundary);
            self.next = (self.next + 1) % self.ring.len();
        }
    }

    /// Forgets those in segments that were replaced.
    fn forget(&mut self, is_replaced: impl Fn(i64) -> bool) {
        for known in &mut self.ring {
            known.take_if(|known| is_replaced(known.segment));
        }
    }

    fn position(&self, segment: i64, offset: i64) -> Option<u64> {
        let known = self.ring.iter().flatten().find(|known| known.offset == offset && known.segment == segment);
        known.map(|known| known.position)
    }
}

impl Log {
    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn partition(&self) -> i32 {
        self.partition
    }

    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    pub fn config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.config.read())
    }

    /// Takes effect with the next append or retention run.
    pub fn set_config(&self, config: Arc<LogConfig>) {
        *self.config.write() = config;
    }

    /// At most one, set once, before the first append; later ones are ignored.
    pub fn set_listener(&self, listener: Arc<dyn LogListener>) {
        let _ = self.listener.set(listener);
    }

    /// First offset not yet durable (page-cache mode: not yet written). Lock-free.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// Offset of the next record. Lock-free.
    pub fn log_end_offset(&self) -> i64 {
        self.log_end.load(Ordering::Acquire)
    }

    /// First offset that can be read. Lock-free.
    pub fn log_start_offset(&self) -> i64 {
        self.log_start.load(Ordering::Acquire)
    }

    /// The durable end if a sync failed since the start: the log takes no appends any more. Lock-free.
    pub fn fenced_at(&self) -> Option<i64> {
        Some(self.fenced_at.load(Ordering::Acquire)).filter(|offset| *offset >= 0)
    }

    /// Everything before it was durable, indexes included, when the last checkpoint was written.
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point.load(Ordering::Acquire)
    }

    /// The newest epoch batches were appended with.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.state.lock().epochs.latest()
    }

    /// OffsetForLeaderEpoch: the largest epoch ≤ `epoch` and its end offset; `None` for an epoch not yet seen.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let state = self.state.lock();
        state.epochs.end_offset_for(epoch, self.log_end_offset())
    }

    /// Bytes in all segments.
    pub fn size_bytes(&self) -> u64 {
        let segments = self.segments.read();
        segments.iter().map(|segment| segment.size(self.disk(), &self.dir).unwrap_or(0)).sum()
    }

    /// Producer ids with remembered state.
    pub fn producer_count(&self) -> usize {
        self.state.lock().producers.len()
    }

    /// The producers it remembers, by their ids.
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        let state = self.state.lock();
        let one = |(id, producer): (i64, &Producer)| ActiveProducer {
            id,
            epoch: producer.epoch,
            last_sequence: producer.last().map(|batch| batch.last_sequence),
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            transaction_start: producer.transaction_start,
        };
        let mut all: Vec<_> = state.producers.iter().map(one).collect();
        all.sort_by_key(|producer| producer.id);
        all
    }

    /// Whether the latest compaction of this log failed.
    pub fn is_uncleanable(&self) -> bool {
        self.failed_compactions.load(Ordering::Acquire) > 0
    }

    /// It is tried again after a time that doubles from half a minute to an hour; returns it in milliseconds.
    pub(crate) fn compaction_failed(&self, now_ms: i64) -> i64 {
        let before = self.failed_compactions.fetch_add(1, Ordering::AcqRel);
        let wait = (30_000i64 << before.min(7)).min(3_600_000);
        self.compact_after.store(now_ms.saturating_add(wait), Ordering::Release);
        wait
    }

    pub(crate) fn compaction_succeeded(&self) {
        self.failed_compactions.store(0, Ordering::Release);
    }

    pub(crate) fn may_be_compacted(&self, now_ms: i64) -> bool {
        !self.is_uncleanable() || now_ms >= self.compact_after.load(Ordering::Acquire)
    }

    /// Waits for other maintenance of this log, and keeps it out until dropped.
    pub(crate) fn begin_maintenance(&self) -> MutexGuard<'_, ()> {
        self.maintenance.lock()
    }

    /// `<topic>-<partition>`, for messages.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }

    pub(crate) fn key(&self) -> (String, i32) {
        (self.topic.to_string(), self.partition)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn disk(&self) -> &dyn Disk {
        &*self.shared.options.disk
    }

    /// The segment appends go to.
    fn active(&self) -> Arc<Segment> {
        let segments = self.segments.read();
        match segments.last() {
            Some(active) => Arc::clone(active),
            // Never empty; an empty segment at the log's end is what would be made.
            None => Arc::new(Segment::new(self.log_end_offset())),
        }
    }

    /// The segment that holds `offset`, and the base offset of the next.
    fn segment_of(&self, offset: i64) -> Option<(Arc<Segment>, Option<i64>)> {
        let segments = self.segments.read();
        let after = segments.partition_point(|segment| segment.base_offset <= offset);
        let segment = segments.get(after.checked_sub(1)?)?;
        Some((Arc::clone(segment), segments.get(after).map(|next| next.base_offset)))
    }
}
