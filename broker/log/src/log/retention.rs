//! Retention and DeleteRecords: the log start moves first, durably, then whole segments below it go.

use super::{Log, Phase};
use crate::{
    LogConfig, MaintenanceError,
    data_dir::delete::Deleted,
    names,
    segment::{Segment, rename_deleted},
};
use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

impl Log {
    /// Applies `retention.ms` and `retention.bytes` at `now_ms`; returns how many segments went. Waits for a sync.
    pub fn delete_old_segments(&self, now_ms: i64) -> Result<usize, MaintenanceError> {
        let _one = self.maintenance.lock();
        if !self.advance_by_retention(now_ms)? {
            return Ok(0);
        }
        self.shared.write_log_starts()?;
        Ok(self.remove_below_start()?)
    }

    /// DeleteRecords: moves the log start to `offset` (-1: the high watermark), durably, and returns the new log start. Waits for a sync.
    pub fn delete_records_before(&self, offset: i64) -> Result<i64, MaintenanceError> {
        let _one = self.maintenance.lock();
        self.check_open()?;
        let (log_start_offset, high_watermark) = (self.log_start_offset(), self.high_watermark());
        let offset = if offset == -1 { high_watermark } else { offset };
        if offset < 0 || offset > high_watermark {
            return Err(MaintenanceError::OffsetOutOfRange { offset, log_start_offset, high_watermark });
        }
        if offset > log_start_offset {
            self.move_start(offset);
            self.shared.write_log_starts()?;
            self.remove_below_start()?;
        }
        Ok(self.log_start_offset())
    }

    /// Retention for many logs at once: moves the start in memory only. `true`: write the checkpoint, then [`Log::remove_below_start`].
    pub(crate) fn advance_by_retention(&self, now_ms: i64) -> Result<bool, MaintenanceError> {
        self.check_open()?;
        let config = self.config();
        let segments = self.segments.read().clone();
        let start = self.retained_from(&segments, &config, now_ms)?;
        if start <= self.log_start_offset() {
            return Ok(false);
        }
        if start == self.log_end_offset() {
            // The active segment is old too: a new one begins, so that it can go.
            let mut state = self.state.lock();
            let active = self.active();
            if start == self.log_end_offset() && state.phase == Phase::Open && active.size(self.disk(), &self.dir)? > 0
            {
                self.roll(&mut state, &active)?;
            }
        }
        self.move_start(start.min(self.high_watermark()));
        Ok(true)
    }

    /// Where the log should start: the base of the first segment that neither age nor size lets go.
    fn retained_from(&self, segments: &[Arc<Segment>], config: &LogConfig, now_ms: i64) -> io::Result<i64> {
        let high_watermark = self.high_watermark();
        let mut size = 0;
        for segment in segments {
            size += segment.size(self.disk(), &self.dir)?;
        }
        for (at, segment) in segments.iter().enumerate() {
            let next = segments.get(at + 1).map_or(self.log_end_offset(), |next| next.base_offset);
            let segment_size = segment.size(self.disk(), &self.dir)?;
            let too_much = config.retention_bytes.is_some_and(|max| size.saturating_sub(segment_size) >= max);
            let too_old = match config.retention_ms {
                Some(max) if segment_size > 0 => {
                    let newest = self.last_written(segment)?;
                    newest >= 0 && now_ms.saturating_sub(newest) > max
                }
                _ => false,
            };
            // The active segment only goes by age.
            let last = at + 1 == segments.len();
            if segment_size == 0 || next > high_watermark || !(too_old || too_much && !last) {
                return Ok(segment.base_offset);
            }
            size -= segment_size;
        }
        Ok(self.log_end_offset())
    }

    /// The largest timestamp; of records of before Kafka 0.10, which have none, when their file was written to. -1 if nobody knows.
    fn last_written(&self, segment: &Segment) -> io::Result<i64> {
        let newest = self.newest_in(segment)?;
        if newest >= 0 {
            return Ok(newest);
        }
        let path = names::segment_file(&self.dir, segment.base_offset, names::LOG);
        Ok(self.disk().modified_ms(&path).unwrap_or(-1))
    }

    fn move_start(&self, offset: i64) {
        self.log_start.fetch_max(offset, Ordering::AcqRel);
        self.state.lock().epochs.truncate_from_start(offset);
        self.touched.store(true, Ordering::Release);
    }

    /// Takes away whole segments below the log start, whose checkpoint must be durable; their files go after file.delete.delay.ms.
    pub(crate) fn remove_below_start(&self) -> io::Result<usize> {
        let log_start = self.log_start_offset();
        let gone: Vec<Arc<Segment>> = {
            let mut segments = self.segments.write();
            let kept_from = segments.partition_point(|segment| segment.base_offset <= log_start).saturating_sub(1);
            segments.drain(..kept_from).collect()
        };
        let mut state = self.state.lock();
        for segment in &gone {
            self.delete_segment_later(segment)?;
            state.unsynced_segments.retain(|base| *base != segment.base_offset);
            state.unsynced_snapshots.retain(|offset| *offset != segment.base_offset);
            state.snapshots.retain(|offset| *offset != segment.base_offset);
        }
        Ok(gone.len())
    }

    /// Its files get the names of deleted ones; nothing is synced.
    pub(super) fn delete_segment_later(&self, segment: &Segment) -> io::Result<()> {
        self.delete_later(rename_deleted(self.disk(), &self.dir, segment.base_offset, names::SEGMENT_AND_SNAPSHOT)?);
        Ok(())
    }

    /// These files, which have the names of deleted ones, go after file.delete.delay.ms.
    pub(super) fn delete_later(&self, renamed: Vec<PathBuf>) {
        let delay = i64::try_from(self.config().file_delete_delay.as_millis()).unwrap_or(i64::MAX);
        let due_ms = self.shared.options.clock.now_ms().saturating_add(delay);
        self.shared.deleted.lock().extend(renamed.into_iter().map(|path| Deleted { path, due_ms }));
    }

    pub(super) fn check_open(&self) -> Result<(), MaintenanceError> {
        let state = self.state.lock();
        if state.phase != Phase::Open {
            return Err(MaintenanceError::Closed);
        }
        if state.broken || self.fenced_at().is_some() {
            return Err(MaintenanceError::StorageFenced { log: self.name() });
        }
        Ok(())
    }
}
