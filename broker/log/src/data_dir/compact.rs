//! Compaction of the logs that need it, the dirtiest first, one at a time.

use super::DataDir;
use crate::{
    Log,
    cleaner::{
        choice::Dirty,
        pace::Pace,
        pass::{CleanError, Pass},
        retain::Counts,
    },
    shared::Shared,
};
use std::sync::Arc;

impl DataDir {
    /// What compaction may use from the next log on, in the place of [`crate::Options::compaction_memory`] and
    /// [`crate::Options::compaction_bytes_per_second`].
    pub fn set_compaction(&self, memory: usize, bytes_per_second: Option<u64>) {
        *self.shared.compaction.lock() = (memory, bytes_per_second);
    }

    /// Compacts every log that is due by its configuration, within the memory and at the pace that are set; returns how many there were. To be called now and
    /// then (Kafka: every 15 s), on a thread that may wait for the disk. Errors are logged and counted; the log concerned is left as it is. Ends early when
    /// the data directory is closed.
    pub fn compact(&self) -> usize {
        let _one = self.shared.cleaning.lock();
        let mut compacted = 0;
        for (log, dirty) in self.shared.due_logs() {
            match self.shared.compact_log(&log, dirty) {
                Ok(()) => {
                    log.compaction_succeeded();
                    compacted += 1;
                }
                Err(CleanError::Interrupted) => break,
                Err(CleanError::Changed) => {}
                Err(CleanError::Io(_)) if log.is_deleted() => {}
                Err(CleanError::Io(error)) => {
                    let wait = log.compaction_failed(self.shared.options.clock.now_ms());
                    self.shared.stats.cleaner.failed();
                    tracing::error!(log = log.name(), %error, "compaction failed; the next attempt in {} s", wait / 1000);
                }
            }
        }
        compacted
    }

    /// Forgets what was compacted: every log that is to be compacted counts as dirty from its start.
    #[cfg(test)]
    pub(crate) fn forget_compaction(&self) {
        self.logs().iter().for_each(|log| log.set_cleaned_to(0));
    }
}

impl Shared {
    /// The dirtiest first.
    fn due_logs(&self) -> Vec<(Arc<Log>, Dirty)> {
        let now = self.options.clock.now_ms();
        let candidates: Vec<_> =
            self.all_logs().into_iter().filter(|log| log.config().compact && log.may_be_compacted(now)).collect();
        let is_due = |log: &Arc<Log>, anywhere| {
            let config = log.config();
            log.dirty(&config, now, anywhere).ok().flatten().filter(|dirty| dirty.is_due(&config))
        };
        // Only what a checkpoint says to be durable may be compacted: write one if that is what is missing.
        let waits = |log: &Arc<Log>| {
            is_due(log, true).is_some_and(|all| is_due(log, false).is_none_or(|durable| durable.to < all.to))
        };
        if candidates.iter().any(waits)
            && let Err(error) = self.checkpoint(false)
        {
            tracing::error!(%error, root = %self.root.display(), "cannot write the recovery points");
        }
        let mut due: Vec<_> =
            candidates.into_iter().filter_map(|log| is_due(&log, false).map(|dirty| (log, dirty))).collect();
        self.stats.cleaner.seen(due.iter().map(|(_, dirty)| *dirty));
        due.sort_by(|(_, a), (_, b)| {
            b.overdue_ms.cmp(&a.overdue_ms).then(b.ratio.partial_cmp(&a.ratio).unwrap_or(std::cmp::Ordering::Equal))
        });
        due
    }

    fn compact_log(&self, log: &Arc<Log>, mut dirty: Dirty) -> Result<(), CleanError> {
        let config = log.config();
        let started = self.options.clock.elapsed();
        let (memory, bytes_per_second) = *self.compaction.lock();
        let mut pace = Pace::new(bytes_per_second, started);
        // From now on there may be gaps: recovery has to know.
        self.write_cleaned_to(log, dirty.from)?;
        let mut pass = Pass {
            log,
            disk: &*self.options.disk,
            dir: log.dir(),
            config: &config,
            clock: &*self.options.clock,
            closing: &self.closing,
            pace: &mut pace,
            memory,
            bytes_read: 0,
            bytes_written: 0,
            counts: Counts::default(),
            utilization: 0.0,
        };
        let before = log.size_bytes();
        let mut result = Ok(());
        while dirty.from < dirty.to {
            match pass.run(dirty) {
                Ok(end) => {
                    self.write_cleaned_to(log, end)?;
                    dirty.from = end;
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let took = self.options.clock.elapsed().saturating_sub(started);
        self.stats.cleaner.ran(&pass.counts, pass.bytes_read, pass.bytes_written, pass.utilization, took);
        if pass.counts.keyless > 0 {
            tracing::warn!(log = log.name(), records = pass.counts.keyless, "compaction removed records without a key");
        }
        tracing::debug!(log = log.name(), counts = ?pass.counts, before, after = log.size_bytes(), ?took, "compacted");
        result
    }

    fn write_cleaned_to(&self, log: &Log, offset: i64) -> std::io::Result<()> {
        self.write_cleaner_offset(log.key(), offset)?;
        log.set_cleaned_to(offset);
        Ok(())
    }
}
