//! Counters of compaction.

use crate::{
    CleanerSnapshot,
    cleaner::{choice::Dirty, retain::Counts},
};
use parking_lot::Mutex;
use std::time::Duration;

#[derive(Default)]
pub(crate) struct CleanerStats(Mutex<CleanerSnapshot>);

impl CleanerStats {
    /// What was due when it was looked.
    pub(crate) fn seen(&self, due: impl Iterator<Item = Dirty>) {
        let (mut ratio, mut overdue_ms) = (0f64, 0);
        for dirty in due {
            ratio = ratio.max(dirty.ratio);
            overdue_ms = overdue_ms.max(dirty.overdue_ms);
        }
        let mut stats = self.0.lock();
        stats.max_dirty_percent = ratio * 100.0;
        stats.max_compaction_delay = Duration::from_millis(u64::try_from(overdue_ms).unwrap_or(0));
    }

    /// A log was compacted, to the end or not.
    pub(crate) fn ran(&self, counts: &Counts, read: u64, written: u64, utilization: f64, took: Duration) {
        let mut stats = self.0.lock();
        stats.runs += 1;
        stats.bytes_read += read;
        stats.bytes_written += written;
        stats.records_removed += counts.removed;
        stats.keyless_records_removed += counts.keyless;
        stats.tombstones_removed += counts.tombstones;
        stats.recopy_percent = written as f64 * 100.0 / read.max(1) as f64;
        stats.buffer_utilization_percent = utilization;
        stats.clean_time = took;
    }

    pub(crate) fn failed(&self) {
        self.0.lock().failures += 1;
    }

    pub(crate) fn snapshot(&self) -> CleanerSnapshot {
        *self.0.lock()
    }
}

impl CleanerSnapshot {
    pub(super) fn and(self, other: &Self) -> Self {
        Self {
            runs: self.runs + other.runs,
            failures: self.failures + other.failures,
            bytes_read: self.bytes_read + other.bytes_read,
            bytes_written: self.bytes_written + other.bytes_written,
            records_removed: self.records_removed + other.records_removed,
            keyless_records_removed: self.keyless_records_removed + other.keyless_records_removed,
            tombstones_removed: self.tombstones_removed + other.tombstones_removed,
            recopy_percent: self.recopy_percent.max(other.recopy_percent),
            buffer_utilization_percent: self.buffer_utilization_percent.max(other.buffer_utilization_percent),
            clean_time: self.clean_time.max(other.clean_time),
            max_dirty_percent: self.max_dirty_percent.max(other.max_dirty_percent),
            max_compaction_delay: self.max_compaction_delay.max(other.max_compaction_delay),
        }
    }
}
