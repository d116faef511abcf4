//! What the broker counts, under `logmill_broker_…`.

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Cheap to clone: every metric is shared.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Requests by `api`.
    pub(crate) requests: IntCounterVec,
    /// Seconds from the whole request being read to its response being ready, by `api`.
    pub(crate) request_seconds: HistogramVec,
    pub(crate) connections: IntGauge,
    pub(crate) connections_total: IntCounter,
    /// Connections closed and requests refused by the broker, by `reason`.
    pub(crate) refused: IntCounterVec,
    /// Record bytes appended, by `topic`.
    pub(crate) bytes_in: IntCounterVec,
    /// Record bytes sent to consumers, by `topic`.
    pub(crate) bytes_out: IntCounterVec,
    /// Records appended, by `topic`.
    pub(crate) messages_in: IntCounterVec,
    /// Bytes of request frames held in memory.
    pub(crate) request_bytes: IntGauge,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, text: &str, label: &str| -> Result<IntCounterVec, prometheus::Error> {
            let metric = IntCounterVec::new(Opts::new(name, text), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauge = |name: &str, text: &str| -> Result<IntGauge, prometheus::Error> {
            let metric = IntGauge::new(name, text)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let connections_total = IntCounter::new("logmill_broker_connections_total", "Connections accepted")?;
        registry.register(Box::new(connections_total.clone()))?;
        let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
        let request_seconds = HistogramVec::new(
            HistogramOpts::new(
                "logmill_broker_request_seconds",
                "From a request being read to its response being ready",
            )
            .buckets(buckets),
            &["api"],
        )?;
        registry.register(Box::new(request_seconds.clone()))?;
        Ok(Self {
            requests: counters("logmill_broker_requests_total", "Requests by API", "api")?,
            request_seconds,
            connections: gauge("logmill_broker_connections", "Open connections")?,
            connections_total,
            refused: counters(
                "logmill_broker_refused_total",
                "Connections closed or requests refused, by reason",
                "reason",
            )?,
            bytes_in: counters("logmill_broker_bytes_in_total", "Record bytes appended", "topic")?,
            bytes_out: counters("logmill_broker_bytes_out_total", "Record bytes sent to consumers", "topic")?,
            messages_in: counters("logmill_broker_messages_in_total", "Records appended", "topic")?,
            request_bytes: gauge("logmill_broker_request_bytes", "Bytes of request frames in memory")?,
        })
    }
}
