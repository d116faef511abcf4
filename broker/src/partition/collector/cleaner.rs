//! What compaction counts, by the names of Kafka's LogCleaner and LogCleanerManager.

use std::sync::{Arc, Weak};

use prometheus::{
    Counter, Gauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::super::data_dirs::DataDirs;

pub(super) struct CleanerCollector {
    data_dirs: Weak<DataDirs>,
    runs: Counter,
    failures: Counter,
    bytes_read: Counter,
    bytes_written: Counter,
    records_removed: Counter,
    tombstones_removed: Counter,
    keyless_removed: Counter,
    recopy_percent: Gauge,
    buffer_utilization: Gauge,
    clean_time: Gauge,
    dirty_percent: Gauge,
    compaction_delay: Gauge,
    uncleanable: Gauge,
    uncleanable_bytes: Gauge,
}

impl CleanerCollector {
    pub(super) fn new(data_dirs: &Arc<DataDirs>) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, text: &str| Counter::new(format!("logmill_broker_log_cleaner_{name}"), text);
        let gauge = |name: &str, text: &str| Gauge::new(format!("logmill_broker_log_cleaner_{name}"), text);
        Ok(Self {
            data_dirs: Arc::downgrade(data_dirs),
            runs: counter("runs_total", "Logs compacted")?,
            failures: counter("failures_total", "Compactions that ended with an error; they are tried again")?,
            bytes_read: counter("bytes_read_total", "Bytes that compaction read")?,
            bytes_written: counter("bytes_written_total", "Bytes that compaction wrote")?,
            records_removed: counter("records_removed_total", "Records removed by compaction, of all kinds")?,
            tombstones_removed: counter("tombstones_removed_total", "Tombstones removed when their time was over")?,
            keyless_removed: counter(
                "keyless_records_removed_total",
                "Records without a key removed, written before their topic was compacted",
            )?,
            recopy_percent: gauge("recopy_percent", "Bytes written of those read in the latest compaction")?,
            buffer_utilization: gauge(
                "max_buffer_utilization_percent",
                "Of the memory for keys, in the latest compaction",
            )?,
            clean_time: gauge("max_clean_time_secs", "Seconds that the latest compaction took")?,
            dirty_percent: gauge("max_dirty_percent", "Dirty bytes of the dirtiest log that was due at the last look")?,
            compaction_delay: gauge(
                "max_compaction_delay_secs",
                "By how much a log had exceeded max.compaction.lag.ms at the last look",
            )?,
            uncleanable: gauge("uncleanable_partitions_count", "Partitions whose latest compaction failed")?,
            uncleanable_bytes: gauge("uncleanable_bytes", "Their size")?,
        })
    }

    fn all(&self) -> [&dyn Collector; 14] {
        [
            &self.runs,
            &self.failures,
            &self.bytes_read,
            &self.bytes_written,
            &self.records_removed,
            &self.tombstones_removed,
            &self.keyless_removed,
            &self.recopy_percent,
            &self.buffer_utilization,
            &self.clean_time,
            &self.dirty_percent,
            &self.compaction_delay,
            &self.uncleanable,
            &self.uncleanable_bytes,
        ]
    }
}

impl Collector for CleanerCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(data_dirs) = self.data_dirs.upgrade() else { return Vec::new() };
        let stats = data_dirs.stats().cleaner;
        let set = |counter: &Counter, value: u64| {
            counter.reset();
            counter.inc_by(value as f64);
        };
        set(&self.runs, stats.runs);
        set(&self.failures, stats.failures);
        set(&self.bytes_read, stats.bytes_read);
        set(&self.bytes_written, stats.bytes_written);
        set(&self.records_removed, stats.records_removed);
        set(&self.tombstones_removed, stats.tombstones_removed);
        set(&self.keyless_removed, stats.keyless_records_removed);
        self.recopy_percent.set(stats.recopy_percent);
        self.buffer_utilization.set(stats.buffer_utilization_percent);
        self.clean_time.set(stats.clean_time.as_secs_f64());
        self.dirty_percent.set(stats.max_dirty_percent);
        self.compaction_delay.set(stats.max_compaction_delay.as_secs_f64());
        let uncleanable: Vec<_> = data_dirs.logs().into_iter().filter(|log| log.is_uncleanable()).collect();
        self.uncleanable.set(uncleanable.len() as f64);
        self.uncleanable_bytes.set(uncleanable.iter().map(|log| log.size_bytes() as f64).sum());
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
