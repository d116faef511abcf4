//! What the data directories count, read when the metrics are scraped.

mod cleaner;
pub(crate) mod counts;
mod flush;

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use logmill_log::StatsSnapshot;
use prometheus::{
    Gauge, IntCounter, IntGauge, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::data_dirs::DataDirs;

/// Topics whose size is told one by one; the largest first.
const MAX_TOPICS: usize = 100;

struct LogCollector {
    /// Weak: the registry may outlive the broker, which must be able to let go of its files.
    data_dirs: Weak<DataDirs>,
    commits: IntCounter,
    committed_partitions: IntCounter,
    commit_seconds: prometheus::Counter,
    commit_seconds_max: Gauge,
    failed_syncs: IntCounter,
    fenced_partitions: IntGauge,
    corrupt_partitions: IntGauge,
    partitions: IntGauge,
    log_bytes: IntGaugeVec,
    flush_time: flush::FlushTime,
}

/// Registers the metrics of the data directories.
pub(crate) fn register(registry: &Registry, data_dirs: &Arc<DataDirs>) -> Result<(), prometheus::Error> {
    registry.register(Box::new(cleaner::CleanerCollector::new(data_dirs)?))?;
    registry.register(Box::new(LogCollector {
        data_dirs: Arc::downgrade(data_dirs),
        commits: IntCounter::new(
            "logmill_broker_commits_total",
            "Group commits: syncs of what is dirty of one partition or, when there are many, of all",
        )?,
        committed_partitions: IntCounter::new(
            "logmill_broker_committed_partitions_total",
            "Partitions synced, over all group commits",
        )?,
        commit_seconds: prometheus::Counter::new("logmill_broker_commit_seconds_total", "Time spent in group commits")?,
        commit_seconds_max: Gauge::new(
            "logmill_broker_commit_seconds_max",
            "The longest group commit since the start",
        )?,
        failed_syncs: IntCounter::new("logmill_broker_failed_syncs_total", "Syncs that the disk refused")?,
        fenced_partitions: IntGauge::new(
            "logmill_broker_fenced_partitions",
            "Partitions that take no writes since a sync failed",
        )?,
        corrupt_partitions: IntGauge::new(
            "logmill_broker_corrupt_partitions",
            "Partitions with records that were found damaged since the start; these are not served",
        )?,
        partitions: IntGauge::new("logmill_broker_open_partitions", "Partitions whose log is open")?,
        log_bytes: IntGaugeVec::new(
            Opts::new("logmill_broker_log_bytes", "Bytes of all segments of a topic; the largest topics only"),
            &["topic"],
        )?,
        flush_time: flush::FlushTime::new()?,
    }))
}

impl LogCollector {
    fn all(&self) -> [&dyn Collector; 9] {
        [
            &self.commits,
            &self.committed_partitions,
            &self.commit_seconds,
            &self.commit_seconds_max,
            &self.failed_syncs,
            &self.fenced_partitions,
            &self.corrupt_partitions,
            &self.partitions,
            &self.log_bytes,
        ]
    }

    fn refresh(&self, data_dirs: &DataDirs, stats: &StatsSnapshot) {
        let set = |counter: &IntCounter, value: u64| {
            counter.reset();
            counter.inc_by(value);
        };
        set(&self.commits, stats.commits);
        set(&self.committed_partitions, stats.committed_partitions);
        set(&self.failed_syncs, stats.failed_syncs);
        self.commit_seconds.reset();
        self.commit_seconds.inc_by(stats.commit_time_sum.as_secs_f64());
        self.commit_seconds_max.set(stats.commit_time_max.as_secs_f64());
        self.fenced_partitions.set(i64::try_from(stats.fenced_partitions).unwrap_or(i64::MAX));
        let logs = data_dirs.logs();
        let corrupt = logs.iter().filter(|log| log.is_corrupt()).count();
        self.corrupt_partitions.set(i64::try_from(corrupt).unwrap_or(i64::MAX));
        self.partitions.set(i64::try_from(logs.len()).unwrap_or(i64::MAX));
        let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
        for log in &logs {
            *sizes.entry(log.topic().to_owned()).or_default() += log.size_bytes();
        }
        let mut sizes: Vec<_> = sizes.into_iter().collect();
        sizes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        self.log_bytes.reset();
        for (topic, bytes) in sizes.iter().take(MAX_TOPICS) {
            self.log_bytes.with_label_values(&[topic.as_str()]).set(i64::try_from(*bytes).unwrap_or(i64::MAX));
        }
    }
}

impl Collector for LogCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).chain([self.flush_time.desc()]).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(data_dirs) = self.data_dirs.upgrade() else { return Vec::new() };
        let stats = data_dirs.stats();
        self.refresh(&data_dirs, &stats);
        self.all().into_iter().flat_map(Collector::collect).chain([self.flush_time.collect(&stats)]).collect()
    }
}
