//! What the index counts: `logmill_index_*`.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) documents: IntCounterVec,
    pub(crate) requests: IntCounterVec,
    pub(crate) commits: IntCounter,
    pub(crate) commit_seconds: Histogram,
    pub(crate) search_seconds: Histogram,
    pub(crate) open_writers: IntGauge,
    pub(crate) open_readers: IntGauge,
    pub(crate) pending: IntGauge,
    pub(crate) log_bytes: IntGauge,
    pub(crate) indices: IntGauge,
}

impl Metrics {
    /// Registers everything; a name that is already registered (a second index in one process) is left to the first.
    pub(crate) fn new(registry: &Registry) -> Self {
        Self::build(registry).unwrap_or_else(|error| unreachable!("metric definitions are valid: {error}"))
    }

    fn build(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let seconds = |name: &str, help: &str| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0]))
        };
        let metrics = Self {
            documents: counters("logmill_index_documents_total", "Items of bulk requests by result.", "result")?,
            requests: counters("logmill_index_requests_total", "HTTP requests by status class.", "status")?,
            commits: IntCounter::new("logmill_index_commits_total", "Commits of an index.")?,
            commit_seconds: seconds("logmill_index_commit_seconds", "Time of a commit.")?,
            search_seconds: seconds("logmill_index_search_seconds", "Time of a search.")?,
            open_writers: IntGauge::new("logmill_index_open_writers", "Index writers open.")?,
            open_readers: IntGauge::new("logmill_index_open_readers", "Indices open for reading.")?,
            pending: IntGauge::new(
                "logmill_index_pending_documents",
                "Documents in the write-ahead log waiting for their index's turn.",
            )?,
            log_bytes: IntGauge::new("logmill_index_log_bytes", "Bytes in the write-ahead log.")?,
            indices: IntGauge::new("logmill_index_indices", "Indices.")?,
        };
        let all: [Box<dyn prometheus::core::Collector>; 10] = [
            Box::new(metrics.documents.clone()),
            Box::new(metrics.requests.clone()),
            Box::new(metrics.commits.clone()),
            Box::new(metrics.commit_seconds.clone()),
            Box::new(metrics.search_seconds.clone()),
            Box::new(metrics.open_writers.clone()),
            Box::new(metrics.open_readers.clone()),
            Box::new(metrics.pending.clone()),
            Box::new(metrics.log_bytes.clone()),
            Box::new(metrics.indices.clone()),
        ];
        for collector in all {
            // A second index on the same registry counts for itself only.
            let _ = registry.register(collector);
        }
        Ok(metrics)
    }
}
