//! What the broker counts, under `logmill_broker_…`; docs/operations.md says by which name Kafka has it.

mod requests;

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

pub(crate) use requests::{ApiMetrics, Requests};

/// Topics with labels of their own, so that what is scraped stays small.
const MAX_TOPICS: usize = 1000;

/// Cheap to clone: every metric is shared.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) requests: Requests,
    pub(crate) connections: IntGauge,
    pub(crate) connections_total: IntCounter,
    /// Connections closed and requests refused by the broker, by `reason`.
    pub(crate) refused: IntCounterVec,
    pub(crate) in_flight: InFlight,
    topics: Arc<Topics>,
}

/// The memory that large requests hold.
#[derive(Clone)]
pub(crate) struct InFlight {
    pub(crate) bytes: IntGauge,
    /// Requests that were not read on before others gave memory back.
    pub(crate) waits: IntCounter,
}

struct Topics {
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    messages_in: IntCounterVec,
    produce_requests: IntCounterVec,
    failed_produce_requests: IntCounterVec,
    fetch_requests: IntCounterVec,
    failed_fetch_requests: IntCounterVec,
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
    /// Each partition of a Produce request counts.
    pub(crate) produces: Counted,
    /// Each partition of a Fetch request counts.
    pub(crate) fetches: Counted,
}

/// How many there were, and how many of them failed.
#[derive(Clone)]
pub(crate) struct Counted {
    all: IntCounter,
    failed: IntCounter,
}

impl Counted {
    pub(crate) fn count(&self, succeeded: bool) {
        self.all.inc();
        if !succeeded {
            self.failed.inc();
        }
    }
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
        let counter = |name: &str, text: &str| -> Result<IntCounter, prometheus::Error> {
            let metric = IntCounter::new(name, text)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        Ok(Self {
            requests: Requests::register(registry)?,
            connections: gauge("logmill_broker_connections", "Open connections")?,
            connections_total: counter("logmill_broker_connections_total", "Connections accepted")?,
            in_flight: InFlight {
                bytes: gauge("logmill_broker_in_flight_bytes", "Memory that large requests hold")?,
                waits: counter(
                    "logmill_broker_in_flight_waits_total",
                    "Requests not read on before others gave memory back",
                )?,
            },
            refused: counters(
                "logmill_broker_refused_total",
                "Connections closed or requests refused, by reason",
                "reason",
            )?,
            topics: Arc::new(Topics {
                bytes_in: counters("logmill_broker_bytes_in_total", "Record bytes appended", "topic")?,
                bytes_out: counters("logmill_broker_bytes_out_total", "Record bytes sent to consumers", "topic")?,
                messages_in: counters("logmill_broker_messages_in_total", "Records appended", "topic")?,
                produce_requests: counters(
                    "logmill_broker_produce_requests_total",
                    "Partitions of Produce requests",
                    "topic",
                )?,
                failed_produce_requests: counters(
                    "logmill_broker_failed_produce_requests_total",
                    "Those of them that were answered with an error",
                    "topic",
                )?,
                fetch_requests: counters(
                    "logmill_broker_fetch_requests_total",
                    "Partitions of Fetch requests",
                    "topic",
                )?,
                failed_fetch_requests: counters(
                    "logmill_broker_failed_fetch_requests_total",
                    "Those of them that were answered with an error",
                    "topic",
                )?,
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
        let of = |counters: &IntCounterVec| counters.with_label_values(&[label]);
        let topics = &self.topics;
        TopicMetrics {
            bytes_in: of(&topics.bytes_in),
            bytes_out: of(&topics.bytes_out),
            messages_in: of(&topics.messages_in),
            produces: Counted { all: of(&topics.produce_requests), failed: of(&topics.failed_produce_requests) },
            fetches: Counted { all: of(&topics.fetch_requests), failed: of(&topics.failed_fetch_requests) },
        }
    }

    /// A deleted topic's counters go.
    pub(crate) fn forget_topic(&self, name: &str) {
        if self.topics.named.lock().remove(name) {
            self.topics.all().into_iter().for_each(|counters| drop(counters.remove_label_values(&[name])));
        }
    }
}

impl Topics {
    fn all(&self) -> [&IntCounterVec; 7] {
        [
            &self.bytes_in,
            &self.bytes_out,
            &self.messages_in,
            &self.produce_requests,
            &self.failed_produce_requests,
            &self.fetch_requests,
            &self.failed_fetch_requests,
        ]
    }
}

#[cfg(test)]
impl Default for InFlight {
    #[allow(clippy::unwrap_used)]
    fn default() -> Self {
        Self { bytes: IntGauge::new("bytes", "-").unwrap(), waits: IntCounter::new("waits", "-").unwrap() }
    }
}
