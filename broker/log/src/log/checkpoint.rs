//! The log's side of a checkpoint: what must be durable before the recovery point may move.

use super::{Log, Phase, State};
use crate::{Durability, checkpoint_file::print_epochs, names, producer_snapshot};
use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

/// A checkpoint also writes the producers' state after this part of the recovery point's interval (16 MiB of 64): bounds the headers a
/// recovery reads for it.
const SNAPSHOTS_PER_RECOVERY_POINT: u64 = 4;

/// One log's part of a checkpoint, written but not synced.
pub(crate) struct Prepared {
    pub log: Arc<Log>,
    /// The recovery point, once everything here is durable.
    pub offset: i64,
    /// Files to sync.
    pub files: Vec<PathBuf>,
    /// To be renamed once synced: `leader-epoch-checkpoint`.
    pub rename: Option<(PathBuf, PathBuf)>,
    indexes: Vec<i64>,
    snapshots: Vec<i64>,
}

impl Log {
    /// Writes index entries, producer state and epochs; `None` if the last checkpoint said it all. `closing`: the log will not be appended to.
    pub(crate) fn prepare_checkpoint(self: &Arc<Self>, closing: bool) -> io::Result<Option<Prepared>> {
        let mut state = self.state.lock();
        if state.phase == Phase::Deleted || self.fenced_at().is_some() || state.broken {
            return Ok(None);
        }
        let touched = self.touched.swap(false, Ordering::AcqRel);
        let gives_back = closing && state.ahead.is_some();
        if !touched && !gives_back {
            return Ok(None);
        }
        let prepared = self.prepare(&mut state, closing);
        if prepared.as_ref().map_or(true, |one| one.offset < self.log_end_offset()) {
            self.touched.store(true, Ordering::Release);
        }
        prepared.map(Some)
    }

    fn prepare(self: &Arc<Self>, state: &mut State, closing: bool) -> io::Result<Prepared> {
        let log_end = self.log_end_offset();
        let page_cache = self.shared.options.durability == Durability::PageCache;
        let offset = if page_cache { log_end } else { self.high_watermark() };
        let active = self.active();
        let size = active.size(self.disk(), &self.dir)?;
        if size > 0 {
            active.with_indexes(self.disk(), &self.dir, |indexes| {
                if closing {
                    indexes.add_time(active.base_offset);
                }
                indexes.flush(self.disk(), &self.dir, active.base_offset)
            })?;
            if closing {
                state.ahead.give_back(&*active.file(self.disk(), &self.dir)?, size)?;
            }
        }
        let snapshot_bytes = self.shared.options.recovery_point_bytes / SNAPSHOTS_PER_RECOVERY_POINT;
        if closing || state.bytes_since_snapshot >= snapshot_bytes {
            self.snapshot_producers(state, log_end)?;
        }
        let rename = if state.epochs.take_dirty() {
            let path = self.dir.join(names::LEADER_EPOCHS);
            let temporary = self.dir.join(format!("{}.tmp", names::LEADER_EPOCHS));
            if let Err(e) = self.write_new(&temporary, print_epochs(state.epochs.entries()).as_bytes()) {
                state.epochs.mark_dirty();
                return Err(e);
            }
            Some((temporary, path))
        } else {
            None
        };
        let mut indexes = std::mem::take(&mut state.unsynced_segments);
        let snapshots = std::mem::take(&mut state.unsynced_snapshots);
        let mut files = Vec::new();
        for base in indexes.iter().copied().chain((size > 0).then_some(active.base_offset)) {
            files.push(names::segment_file(&self.dir, base, names::INDEX));
            files.push(names::segment_file(&self.dir, base, names::TIME_INDEX));
            if self.has_aborted.load(Ordering::Acquire) {
                files.push(names::segment_file(&self.dir, base, names::TXN_INDEX));
            }
            // Sealed and closed ones have given back what was prepared behind their end.
            if page_cache || closing || base != active.base_offset {
                files.push(names::segment_file(&self.dir, base, names::LOG));
            }
        }
        files.extend(snapshots.iter().map(|offset| names::segment_file(&self.dir, *offset, names::SNAPSHOT)));
        files.extend(rename.iter().map(|(temporary, _)| temporary.clone()));
        if page_cache {
            files.push(self.dir.join(names::PARTITION_METADATA));
            state.dirty_files.clear();
            state.active_dirty = false;
        }
        indexes.retain(|base| *base != active.base_offset);
        Ok(Prepared { log: Arc::clone(self), offset, files, rename, indexes, snapshots })
    }

    /// The state of all producers now, which must be that before `offset`.
    pub(super) fn snapshot_producers(&self, state: &mut State, offset: i64) -> io::Result<()> {
        if state.snapshots.last() == Some(&offset) {
            return Ok(());
        }
        let path = names::segment_file(&self.dir, offset, names::SNAPSHOT);
        self.write_new(&path, &producer_snapshot::encode(&state.producers))?;
        state.snapshots.push(offset);
        state.unsynced_snapshots.push(offset);
        state.bytes_since_snapshot = 0;
        Ok(())
    }

    pub(super) fn write_new(&self, path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.disk().open(path, true)?;
        file.set_len(0)?;
        file.write_all_at(bytes, 0)
    }

    /// Segments that retention or deletion may have taken since: their files need no sync.
    pub(crate) fn checkpoint_durable(&self, prepared: &Prepared) {
        self.recovery_point.fetch_max(prepared.offset, Ordering::AcqRel);
    }

    /// The checkpoint failed: all of it is to be done again.
    pub(crate) fn checkpoint_failed(&self, prepared: &Prepared) {
        let mut state = self.state.lock();
        state.unsynced_segments.extend(&prepared.indexes);
        state.unsynced_snapshots.extend(&prepared.snapshots);
        if prepared.rename.is_some() {
            state.epochs.mark_dirty();
        }
        self.touched.store(true, Ordering::Release);
    }

    /// The recovery point is written: of the producer snapshots only the newest before it, and one per segment, is of use. Nothing is synced.
    pub(crate) fn prune_snapshots(&self) {
        let recovery_point = self.recovery_point();
        let mut state = self.state.lock();
        if state.phase == Phase::Deleted {
            return;
        }
        let Some(newest) = state.snapshots.iter().rev().find(|offset| **offset <= recovery_point).copied() else {
            return;
        };
        let segments = self.segments.read();
        let is_base = |offset: i64| segments.binary_search_by_key(&offset, |segment| segment.base_offset).is_ok();
        state.snapshots.retain(|offset| {
            let keep = *offset >= newest || is_base(*offset);
            if !keep {
                let _ = self.disk().remove_file(&names::segment_file(&self.dir, *offset, names::SNAPSHOT));
            }
            keep
        });
    }
}
