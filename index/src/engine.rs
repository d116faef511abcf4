//! The indices, their documents and the order in which both change.
//!
//! A write is decided under one lock (`order`): version check, sequence number, position in the write-ahead log. Its
//! document then waits as *pending* in its index; the applier thread (`apply.rs`) gives pending documents that are
//! durable to the index's Tantivy writer and commits. Until a commit has made a document findable by `_id`, the
//! index's version map knows it; so uniqueness never depends on when a commit happens.
//!
//! Order of locks: `order`, then an index's `state`, then its `store`.

mod apply;
mod catalog;
mod decide;
mod names;
mod recover;
mod shard;
mod store;
mod update;
mod write;
mod writer;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use logmill_config::index::IndexConfig;
use logmill_disk::Disk;
use parking_lot::{Condvar, Mutex, RwLock};

pub(crate) use catalog::{Catalog, CreateError, Template, new_id};
pub(crate) use names::matches;
pub(crate) use recover::lock;
pub(crate) use shard::Shard;
pub(crate) use store::{Opened, StoredDocument, stored, version_of};
pub(crate) use write::{Bulk, Failure, Operation, OperationKind, Outcome, Verb};

use crate::{IndexError, metrics::Metrics, running::Status, wal::Wal};
use apply::Signals;

/// Documents that may wait for their index's turn; a `_bulk` waits while there are more.
const MAX_PENDING: usize = 250_000;
/// Nothing is written while the file system has less free, bytes.
const SPACE_RESERVE: u64 = 256 * 1024 * 1024;
/// Pending documents kept in memory; beyond this they are read back from the write-ahead log.
const MAX_PENDING_BYTES: usize = 8 * 1024 * 1024;

pub(crate) struct Options {
    pub(crate) data_dir: PathBuf,
    pub(crate) refresh_interval: std::time::Duration,
    pub(crate) max_writers: usize,
    pub(crate) writer_memory: usize,
    pub(crate) max_body_bytes: u64,
}

impl From<&IndexConfig> for Options {
    fn from(config: &IndexConfig) -> Self {
        Self {
            data_dir: config.data_dir.clone(),
            refresh_interval: config.refresh_interval,
            max_writers: config.max_writers.max(1),
            writer_memory: usize::try_from(config.writer_memory).unwrap_or(usize::MAX).max(15_000_000),
            max_body_bytes: config.max_body_bytes,
        }
    }
}

pub(crate) struct Engine {
    pub(crate) options: Options,
    disk: Arc<dyn Disk>,
    pub(crate) wal: Wal,
    /// Held while writes are decided and appended.
    order: Mutex<()>,
    catalog: RwLock<Catalog>,
    signals: Signals,
    /// Pending documents over all indices, and the bytes of those in memory.
    pending: Pending,
    /// Counts up with every use of a reader, for closing the least recently used.
    clock: AtomicU64,
    /// When the file system was last asked (milliseconds), and what it had free.
    free: Mutex<(i64, u64)>,
    pub(crate) metrics: Metrics,
    status: Status,
}

#[derive(Default)]
struct Pending {
    documents: AtomicUsize,
    bytes: AtomicUsize,
    room: Mutex<()>,
    changed: Condvar,
}

impl Pending {
    fn add(&self, documents: usize, bytes: usize) {
        self.documents.fetch_add(documents, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, documents: usize, bytes: usize) {
        self.documents.fetch_sub(documents, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        let _room = self.room.lock();
        self.changed.notify_all();
    }

    fn has_room(&self) -> bool {
        self.documents.load(Ordering::Relaxed) < MAX_PENDING
    }

    /// Waits until there is room, at most for `limit`; whether there is.
    fn wait_for_room(&self, limit: std::time::Duration) -> bool {
        let deadline = crate::clock::now() + limit;
        let mut room = self.room.lock();
        while !self.has_room() {
            if self.changed.wait_until(&mut room, deadline).timed_out() {
                return self.has_room();
            }
        }
        true
    }
}

impl Engine {
    /// Why nothing can be written any more, if so.
    pub(crate) fn failed(&self) -> Option<Arc<str>> {
        self.wal.durable().failed
    }

    /// Why nothing may be written for want of space, so that a full disk never reaches a sync.
    ///
    /// The file system is asked at most once a second.
    pub(crate) fn lacks_space(&self) -> Option<String> {
        let now = crate::clock::now_ms();
        let (asked, free) = *self.free.lock();
        let free = if now.saturating_sub(asked) < 1000 {
            free
        } else {
            let free = self.disk.free_space(&self.options.data_dir).unwrap_or(u64::MAX);
            *self.free.lock() = (now, free);
            free
        };
        (free < SPACE_RESERVE).then(|| {
            format!(
                "index blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]: {free} bytes free at {}, at least {SPACE_RESERVE} are needed",
                self.options.data_dir.display()
            )
        })
    }

    /// Waits until everything before `position` is durable.
    ///
    /// # Errors
    /// The disk failed.
    pub(crate) async fn wait_durable(&self, position: u64) -> Result<(), Arc<str>> {
        self.wal.wait_durable(position).await
    }

    /// Counts what came of a bulk.
    pub(crate) fn count_outcomes(&self, outcomes: &[Outcome]) {
        let mut counts: std::collections::BTreeMap<&'static str, u64> = std::collections::BTreeMap::new();
        for outcome in outcomes {
            let result = match &outcome.result {
                Ok(done) => done.result,
                Err(failure) if failure.status == 409 => "conflict",
                Err(failure) if failure.status == 429 => "rejected",
                Err(_) => "failed",
            };
            *counts.entry(result).or_default() += 1;
        }
        for (result, count) in counts {
            self.metrics.documents.with_label_values(&[result]).inc_by(count);
            if matches!(result, "created" | "updated" | "deleted") {
                self.status.0.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// Documents, deleted documents and bytes of an index as of its last commit.
    pub(crate) fn statistics(&self, shard: &Shard) -> (u64, u64, u64) {
        let Ok(Some(opened)) = self.reader(shard) else { return (0, 0, 0) };
        let searcher = opened.reader.searcher();
        let deleted = searcher.segment_readers().iter().map(|segment| u64::from(segment.num_deleted_docs())).sum();
        let bytes = std::fs::read_dir(&shard.dir).map_or(0, |entries| {
            entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
        });
        (searcher.num_docs(), deleted, bytes)
    }

    /// Documents waiting for their index's turn.
    pub(crate) fn pending(&self) -> usize {
        self.pending.documents.load(Ordering::Relaxed)
    }

    /// Removes log files that no index needs any more.
    fn release_log(&self) -> Result<(), IndexError> {
        let needed = {
            // Keeps an index from being between the log and the catalog.
            let _order = self.order.lock();
            let durable = self.wal.durable().position;
            let dropping = self.catalog.read().dropping.values().min().copied();
            let pending = self.all().iter().filter_map(|shard| shard.needed()).min();
            [Some(durable), dropping, pending].into_iter().flatten().min().unwrap_or(durable)
        };
        self.wal
            .release(needed)
            .map_err(IndexError::io(&self.options.data_dir, "cannot remove old write-ahead log files"))
    }
}
