//! The log's side of a group commit: what is dirty, and what happens once it is durable or lost.

use super::{Boundary, Log, Phase, State};
use crate::names;
use logmill_disk::DiskFile;
use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

/// What one commit has to make durable for one log.
pub(crate) struct Ticket {
    pub log: Arc<Log>,
    pub files: Vec<Arc<dyn DiskFile>>,
    /// The partition directory has new names.
    pub names: bool,
    /// The data directory has the partition directory's, and `partition.metadata` is new.
    pub partition: bool,
    end: Boundary,
    truncations: u64,
}

impl Ticket {
    pub(crate) fn partition_metadata(&self) -> PathBuf {
        self.log.dir().join(names::PARTITION_METADATA)
    }
}

impl Log {
    /// Wants to be synced; returns whether that is news.
    pub(super) fn queue(&self, state: &mut State) -> bool {
        let news = !std::mem::replace(&mut state.queued, true);
        if news && !state.committing {
            self.shared.enqueue(&self.me);
        }
        news
    }

    /// Takes what is dirty; later appends queue anew.
    pub(crate) fn take_ticket(self: &Arc<Self>) -> io::Result<Option<Ticket>> {
        let mut state = self.state.lock();
        state.queued = false;
        if state.phase == Phase::Deleted || self.fenced_at().is_some() {
            return Ok(None);
        }
        let active = self.active();
        let position = active.size(self.disk(), &self.dir)?;
        debug_assert!(!state.committing, "two commits of {} at a time", self.name());
        state.committing = true;
        state.active_dirty = false;
        state.ahead.committed();
        Ok(Some(Ticket {
            log: Arc::clone(self),
            files: std::mem::take(&mut state.dirty_files),
            names: std::mem::take(&mut state.new_names),
            partition: std::mem::take(&mut state.new_partition),
            end: Boundary { offset: self.log_end_offset(), segment: active.base_offset, position },
            truncations: state.truncations,
        }))
    }

    /// The ticket's bytes and names are durable.
    pub(crate) fn committed(&self, ticket: &Ticket) {
        let shown = {
            let mut state = self.state.lock();
            state.committing = false;
            if state.queued {
                self.shared.enqueue_again(&ticket.log);
            }
            if state.truncations != ticket.truncations || self.fenced_at().is_some() {
                return;
            }
            self.boundaries.lock().push(ticket.end);
            // What came meanwhile waited for this sync only, unless another was asked for.
            if state.flushing && !state.queued {
                state.flushing = false;
                self.log_end_offset()
            } else {
                ticket.end.offset
            }
        };
        self.advance_high_watermark(shown);
    }

    pub(super) fn advance_high_watermark(&self, to: i64) {
        if self.high_watermark.fetch_max(to, Ordering::AcqRel) < to
            && let Some(listener) = self.listener.get()
        {
            listener.high_watermark_moved(to);
        }
    }

    /// A sync failed: nothing past the high watermark will ever count. Returns whether that is news.
    pub(crate) fn fence(&self) -> bool {
        let durable_end = self.high_watermark();
        if self.fenced_at.compare_exchange(-1, durable_end, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return false;
        }
        self.shared.stats.fenced_partitions.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            log = self.name(),
            durable_end,
            log_end = self.log_end_offset(),
            "a sync failed: the log takes no more writes; what is past its durable end is cut at the next start"
        );
        if let Some(listener) = self.listener.get() {
            listener.fenced(durable_end);
        }
        true
    }

    /// Whether there is something a failed sync of the whole file system may have lost.
    pub(crate) fn has_unsynced(&self) -> bool {
        self.log_end_offset() > self.high_watermark()
    }

    /// Refuses further appends.
    pub(crate) fn begin_close(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
    }

    /// Refuses everything that would touch the directory.
    pub(crate) fn mark_deleted(&self) {
        self.state.lock().phase = Phase::Deleted;
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.state.lock().phase == Phase::Deleted
    }

    /// Forgets producers whose last batch is older.
    pub(crate) fn expire_producers(&self, older_than_ms: i64) {
        self.state.lock().producers.expire(older_than_ms);
    }
}
