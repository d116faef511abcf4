//! The log's side of compaction: what may be compacted, and putting a group's replacement in place.

use super::{Log, Phase, swap};
use crate::{
    LogConfig,
    batch_scan::walk_headers,
    cleaner::{
        choice::{Dirty, Facts, dirty_part},
        pass::CleanError,
        rewrite::Cleaned,
    },
    producers::LastBatch,
    segment::Segment,
};
use std::{
    collections::HashMap,
    io,
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
};

/// A segment that takes no more appends.
pub(crate) struct Sealed {
    pub segment: Arc<Segment>,
    pub facts: Facts,
    /// Of its larger index.
    pub index_bytes: u64,
}

/// The sealed segments at one moment.
pub(crate) struct View {
    pub segments: Vec<Sealed>,
    /// Truncations so far: after another one, none of this holds.
    pub truncations: u64,
}

/// How putting a replacement in place ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swapped {
    Done,
    /// The segments are not what they were; nothing was done.
    Changed,
}

impl Log {
    pub(crate) fn sealed(&self) -> Result<View, CleanError> {
        let (truncations, segments) = {
            let state = self.state.lock();
            if state.phase != Phase::Open || state.broken || self.fenced_at().is_some() {
                return Err(CleanError::Changed);
            }
            (state.truncations, self.segments.read().clone())
        };
        let mut sealed = Vec::with_capacity(segments.len());
        for pair in segments.windows(2) {
            let [segment, next] = pair else { continue };
            let index_bytes = segment.with_indexes(self.disk(), &self.dir, |indexes| {
                Ok(indexes.offsets.bytes().max(indexes.times.bytes()))
            })?;
            let size = segment.size(self.disk(), &self.dir)?;
            let (base_offset, end_offset) = (segment.base_offset, next.base_offset);
            let facts = Facts { base_offset, end_offset, size, newest: -1, oldest: i64::MAX };
            sealed.push(Sealed { segment: Arc::clone(segment), facts, index_bytes });
        }
        Ok(View { segments: sealed, truncations })
    }

    /// What may be compacted now; with `anywhere` also what no checkpoint has written as durable yet.
    pub(crate) fn dirty(&self, config: &LogConfig, now_ms: i64, anywhere: bool) -> Result<Option<Dirty>, CleanError> {
        let cleaned_to = self.cleaned_to.load(Ordering::Acquire);
        // Gaps between offsets are only told from damage before the recovery point.
        let durable = if anywhere { i64::MAX } else { self.written_recovery_point.load(Ordering::Acquire) };
        let stable = self.state.lock().producers.first_open_transaction().unwrap_or(i64::MAX);
        let limit = self.high_watermark().min(durable).min(stable);
        let mut facts = Vec::new();
        for sealed in self.sealed()?.segments {
            let mut one = sealed.facts;
            if one.end_offset > cleaned_to {
                if config.min_compaction_lag_ms > 0 {
                    one.newest = self.newest_in(&sealed.segment)?;
                }
                if config.max_compaction_lag_ms < i64::MAX {
                    let file = sealed.segment.file(self.disk(), &self.dir)?;
                    let first = walk_headers(&*file, 0, one.size, ControlFlow::Break)?;
                    one.oldest = first.map_or(i64::MAX, |found| found.header.max_timestamp);
                }
            }
            facts.push(one);
        }
        Ok(dirty_part(&facts, cleaned_to, limit, config, now_ms))
    }

    /// Everything before `offset` has been compacted once.
    pub(crate) fn set_cleaned_to(&self, offset: i64) {
        self.cleaned_to.store(offset, Ordering::Release);
    }

    /// The checkpoint with this recovery point is on disk.
    pub(crate) fn set_written_recovery_point(&self, offset: i64) {
        self.written_recovery_point.store(offset, Ordering::Release);
    }

    /// Which batch of each producer must stay.
    pub(crate) fn last_batches(&self) -> HashMap<i64, LastBatch> {
        self.state.lock().producers.last_batches(self.high_watermark())
    }

    /// Puts `cleaned` in the place of `group`: durable when it returns. Readers that have the old segments go on with them.
    pub(crate) fn swap(
        &self,
        group: &[Arc<Segment>],
        cleaned: &Cleaned,
        truncations: u64,
    ) -> Result<Swapped, CleanError> {
        let _one = self.maintenance.lock();
        {
            let state = self.state.lock();
            if state.phase != Phase::Open
                || state.broken
                || self.fenced_at().is_some()
                || state.truncations != truncations
                || self.place_of(group).is_none()
            {
                return Ok(Swapped::Changed);
            }
        }
        for segment in group {
            segment.detach(self.disk(), &self.dir)?;
        }
        let replaced: Vec<i64> = group.iter().skip(1).map(|segment| segment.base_offset).collect();
        let swapped = swap::commit(self.disk(), &self.dir, cleaned.base_offset)
            .and_then(|()| swap::finish(self.disk(), &self.dir, cleaned.base_offset, &replaced));
        match swapped {
            Ok(deleted) => self.delete_later(deleted),
            Err(error) => {
                tracing::error!(log = self.name(), %error, "replacing compacted segments failed half-way");
                self.state.lock().broken = true;
                if self.fence() {
                    self.shared.record_fences();
                }
                return Err(error.into());
            }
        }
        self.replace_segments(group, cleaned, &replaced)?;
        Ok(Swapped::Done)
    }

    fn replace_segments(&self, group: &[Arc<Segment>], cleaned: &Cleaned, replaced: &[i64]) -> io::Result<()> {
        let mut state = self.state.lock();
        let Some(place) = self.place_of(group) else { return Err(io::ErrorKind::NotFound.into()) };
        let new = Segment::existing(cleaned.base_offset);
        new.set_size(cleaned.bytes);
        new.trust_from(0);
        let mut segments = self.segments.write();
        segments.splice(place, [Arc::new(new)]);
        self.boundaries.lock().forget(|segment| group.iter().any(|old| old.base_offset == segment));
        drop(segments);
        state.unsynced_segments.retain(|base| !group.iter().any(|old| old.base_offset == *base));
        state.unsynced_snapshots.retain(|offset| !replaced.contains(offset));
        state.snapshots.retain(|offset| !replaced.contains(offset));
        Ok(())
    }

    /// Where exactly these segments are in the log, one after the other, none of them active.
    fn place_of(&self, group: &[Arc<Segment>]) -> Option<std::ops::Range<usize>> {
        let segments = self.segments.read();
        let first = group.first()?;
        let at = segments.iter().position(|segment| Arc::ptr_eq(segment, first))?;
        let end = at.checked_add(group.len())?;
        let same = segments.get(at..end)?.iter().zip(group).all(|(a, b)| Arc::ptr_eq(a, b));
        (same && end < segments.len()).then_some(at..end)
    }
}
