//! One open Tantivy writer and its commits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tantivy::{
    IndexWriter, TantivyDocument, TantivyError,
    indexer::{IndexWriterOptions, LogMergePolicy},
};

use super::{
    Shard,
    shard::{FORMAT, Payload},
    store,
};
use crate::{clock, schema};

/// Segments of one size that are merged into one.
const MERGE_AT: usize = 8;
/// A segment with more deleted documents than this share is rewritten.
const DELETED_SHARE: f32 = 0.3;
/// Segments above this are left alone.
const MERGE_DOCUMENTS: usize = 5_000_000;

pub(super) struct OpenWriter {
    pub(super) shard: Arc<Shard>,
    writer: IndexWriter,
    /// Behind the last record given to the writer.
    pub(super) applied: u64,
    pub(super) dirty_since: Option<Instant>,
    pub(super) last_used: Instant,
    /// No commit before this, except on demand: commits take at most a share of the time.
    pub(super) not_before: Instant,
}

impl OpenWriter {
    /// Opens the index's writer; makes the index in its directory if it is not there yet.
    ///
    /// # Errors
    /// The directory is unreadable or damaged.
    pub(super) fn open(shard: Arc<Shard>, memory: usize) -> Result<Self, TantivyError> {
        let exists = shard.store.lock().exists;
        let index = if exists {
            store::open(&shard.dir)?
        } else {
            // What is left of a making that was cut short has no commit and is worth nothing.
            if shard.dir.exists() {
                std::fs::remove_dir_all(&shard.dir)?;
            }
            std::fs::create_dir_all(&shard.dir)?;
            let index = store::create(&shard.dir)?;
            if let Some(parent) = shard.dir.parent() {
                std::fs::File::open(parent)?.sync_all()?;
            }
            index
        };
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .memory_budget_per_thread(memory)
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter = index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_num_segments(MERGE_AT);
        policy.set_del_docs_ratio_before_merge(DELETED_SHARE);
        policy.set_max_docs_before_merge(MERGE_DOCUMENTS);
        writer.set_merge_policy(Box::new(policy));
        let now = clock::now();
        Ok(Self { shard, writer, applied: 0, dirty_since: None, last_used: now, not_before: now })
    }

    pub(super) fn put(&mut self, document: TantivyDocument, replaces: Option<&str>) -> Result<(), TantivyError> {
        if let Some(id) = replaces {
            self.writer.delete_term(schema::id_term(id));
        }
        self.writer.add_document(document)?;
        Ok(())
    }

    pub(super) fn delete(&mut self, id: &str) {
        self.writer.delete_term(schema::id_term(id));
    }

    /// Notes that all records before `position` were given to the writer.
    pub(super) fn applied(&mut self, position: u64) {
        let now = clock::now();
        self.applied = self.applied.max(position);
        self.last_used = now;
        self.dirty_since.get_or_insert(now);
    }

    /// Makes what was given durable and findable, and drops it from the version map.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn commit(&mut self) -> Result<Duration, TantivyError> {
        let started = clock::now();
        let shard = &self.shard;
        let next_seq_no = shard.state.lock().next_seq_no;
        let position = self.applied.max(shard.number + 1).max(*shard.visible.borrow());
        let payload = Payload { format: FORMAT, settings: shard.settings(), position, next_seq_no };
        let payload =
            serde_json::to_string(&payload).map_err(|error| TantivyError::InternalError(error.to_string()))?;
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&payload);
        prepared.commit()?;
        {
            let mut store = shard.store.lock();
            store.exists = true;
            if let Some(open) = &store.open {
                open.reader.reload()?;
            }
        }
        {
            let mut state = shard.state.lock();
            state.versions.retain(|_, version| version.place.position >= position);
            if state.versions.len() < state.versions.capacity() / 4 {
                state.versions.shrink_to_fit();
            }
            state.commits += 1;
            state.uncommitted = state.pending.front().map(|pending| pending.place.position);
        }
        shard.visible.send_if_modified(|visible| {
            let ahead = *visible < position;
            *visible = (*visible).max(position);
            ahead
        });
        let now = clock::now();
        let cost = now - started;
        self.dirty_since = None;
        self.last_used = now;
        self.not_before = now + (cost * 4).min(Duration::from_secs(5));
        Ok(cost)
    }

    /// When a commit is due, if there is something to commit.
    pub(super) fn due(&self, interval: Duration) -> Option<Instant> {
        Some((self.dirty_since? + interval / 2).max(self.not_before))
    }

    /// Waits for merges under way and closes.
    pub(super) fn close(self) -> Result<(), TantivyError> {
        self.writer.wait_merging_threads()
    }
}
