//! What the broker counts, under `logmill_broker_…`.

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Topics with labels of their own, so that what is scraped stays small.
const MAX_TOPICS: usize = 1000;

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
    topics: Arc<Topics>,
}

struct Topics {
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    messages_in: IntCounterVec,
    /// Topics with a label of their own.
    named: Mutex<HashSet<String>>,
}

/// One topic's counters. Above [`MAX_TOPICS`] they are shared under the label `(other)`.
#[derive(Clone)]
pub(crate) struct TopicMetrics {
    /// Record bytes appended.
    pub(crate) bytes_in: IntCounter,
    /// Record bytes sent to consumers.
    pub(crate) bytes_out: IntCounter,
    /// Records appended.
    pub(crate) messages_in: IntCounter,
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
            topics: Arc::new(Topics {
                bytes_in: counters("logmill_broker_bytes_in_total", "Record bytes appended", "topic")?,
                bytes_out: counters("logmill_broker_bytes_out_total", "Record bytes sent to consumers", "topic")?,
                messages_in: counters("logmill_broker_messages_in_total", "Records appended", "topic")?,
                named: Mutex::default(),
            }),
        })
    }

    /// The counters of a topic that is hosted from now on.
    pub(crate) fn topic(&self, name: &str) -> TopicMetrics {
        let mut named = self.topics.named.lock();
        let label = if named.contains(name) || named.len() < MAX_TOPICS {
            named.insert(name.to_owned());
            name
        } else {
            "(other)"
        };
        TopicMetrics {
            bytes_in: self.topics.bytes_in.with_label_values(&[label]),
            bytes_out: self.topics.bytes_out.with_label_values(&[label]),
            messages_in: self.topics.messages_in.with_label_values(&[label]),
        }
    }

    /// A deleted topic's counters go.
    pub(crate) fn forget_topic(&self, name: &str) {
        if self.topics.named.lock().remove(name) {
            for counters in [&self.topics.bytes_in, &self.topics.bytes_out, &self.topics.messages_in] {
                drop(counters.remove_label_values(&[name]));
            }
        }
    }
}
