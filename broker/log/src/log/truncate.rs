//! Cutting the log's end, for replicas that follow a new leader.

use super::{Boundaries, Log, ahead::Ahead};
use crate::{MaintenanceError, aborted_index, names, producer_snapshot, producers::Producers, segment::Segment};
use logmill_disk::read_file;
use std::{
    io,
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
};

impl Log {
    /// Cuts everything at and past `offset`, durably (the log end becomes the start of the batch that holds it). Waits for a sync.
    /// Appends wait meanwhile. The recovery point must not be past the cut: it is written first.
    pub fn truncate_to(&self, offset: i64) -> Result<(), MaintenanceError> {
        let _one = self.maintenance.lock();
        self.check_open()?;
        let (log_start_offset, high_watermark) = (self.log_start_offset(), self.high_watermark());
        if offset < log_start_offset {
            return Err(MaintenanceError::OffsetOutOfRange { offset, log_start_offset, high_watermark });
        }
        if offset >= self.log_end_offset() {
            return Ok(());
        }
        // No commit may be under way: what it is syncing would be forgotten.
        let commits = self.shared.committing.write();
        // A checkpoint must not say that more is checked than there is.
        self.recovery_point.fetch_min(offset, Ordering::AcqRel);
        self.cleaned_to.fetch_min(offset, Ordering::AcqRel);
        self.shared.write_recovery_points()?;
        let result = self.cut_at(offset);
        drop(commits);
        if let Err(error) = &result {
            tracing::error!(log = self.name(), %error, "truncation failed half-way");
            self.state.lock().broken = true;
            if self.fence() {
                self.shared.record_fences();
            }
        }
        Ok(result?)
    }

    fn cut_at(&self, offset: i64) -> io::Result<()> {
        let mut state = self.state.lock();
        let Some((segment, _)) = self.segment_of(offset) else { return Ok(()) };
        let size = segment.size(self.disk(), &self.dir)?;
        let found = segment.find(self.disk(), &self.dir, offset, size)?;
        let (end, position) =
            found.map_or((offset, size), |found| (found.header.base_offset.min(offset), found.position));
        self.recovery_point.fetch_min(end, Ordering::AcqRel);
        let gone: Vec<Arc<Segment>> = {
            let mut segments = self.segments.write();
            let keep = segments.partition_point(|other| other.base_offset <= segment.base_offset);
            segments.drain(keep..).collect()
        };
        for segment in &gone {
            self.delete_segment_later(segment)?;
        }
        for offset in state.snapshots.iter().filter(|snapshot| **snapshot > end) {
            match self.disk().remove_file(&names::segment_file(&self.dir, *offset, names::SNAPSHOT)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        state.snapshots.retain(|snapshot| *snapshot <= end);
        state.unsynced_snapshots.retain(|snapshot| *snapshot <= end);
        state.unsynced_segments.retain(|base| *base < segment.base_offset);
        let base = segment.base_offset;
        let relative = u32::try_from(end.saturating_sub(base)).unwrap_or(u32::MAX);
        segment.with_indexes(self.disk(), &self.dir, |indexes| {
            indexes.offsets.truncate(self.disk(), &self.dir, base, |entry| u64::from(entry.position) < position)?;
            indexes.times.truncate(self.disk(), &self.dir, base, |entry| entry.relative < relative)?;
            indexes.max_timestamp = indexes.times.last().map(|last| (last.timestamp, base + i64::from(last.relative)));
            Ok(())
        })?;
        if self.has_aborted.load(Ordering::Acquire) {
            let listed = aborted_index::read(self.disk(), &self.dir, base)?;
            let kept = listed.partition_point(|one| one.last_offset < end);
            if kept < listed.len() {
                aborted_index::rewrite(self.disk(), &self.dir, base, kept, &[], "truncate file")?;
            }
        }
        let (file, _) = segment.file_to_append(self.disk(), &self.dir)?;
        file.set_len(position)?;
        segment.set_size(position);
        file.sync_data("truncate file")?;
        self.disk().sync_dir(&self.dir, "truncate directory")?;
        state.truncations += 1;
        state.ahead = Ahead::none(position);
        state.first_timestamp = None;
        for file in std::mem::take(&mut state.dirty_files) {
            file.sync_data("truncate file")?;
        }
        state.active_dirty = false;
        state.epochs.truncate_from_end(end);
        *self.boundaries.lock() = Boundaries::default();
        self.log_end.store(end, Ordering::Release);
        self.high_watermark.fetch_min(end, Ordering::AcqRel);
        self.touched.store(true, Ordering::Release);
        state.producers = self.producers_before(&state.snapshots, end)?;
        // The next commit raises the mark to the new end.
        self.queue(&mut state);
        Ok(())
    }

    /// The producers' state from the newest whole snapshot and the headers that follow.
    fn producers_before(&self, snapshots: &[i64], end: i64) -> io::Result<Producers> {
        let mut producers = Producers::default();
        let mut from = i64::MIN;
        for offset in snapshots.iter().rev() {
            let path = names::segment_file(&self.dir, *offset, names::SNAPSHOT);
            if let Some(found) =
                read_file(self.disk(), &path, u64::MAX).ok().and_then(|bytes| producer_snapshot::decode(&bytes))
            {
                producers = found;
                from = *offset;
                break;
            }
        }
        let segments = self.segments.read().clone();
        for segment in segments.iter().filter(|segment| segment.base_offset < end) {
            let size = segment.size(self.disk(), &self.dir)?;
            let Some(found) = segment.find(self.disk(), &self.dir, from, size)? else { continue };
            let file = segment.file(self.disk(), &self.dir)?;
            crate::batch_scan::walk_headers(&*file, found.position, size, |found| {
                if found.header.base_offset >= from {
                    producers.replay(&found.header);
                }
                ControlFlow::<()>::Continue(())
            })?;
        }
        Ok(producers)
    }
}
