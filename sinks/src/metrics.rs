//! What /metrics says about the sinks.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::alarms::Alarm;

/// Registered once per process; every value carries the sink's name.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// By outcome, as committed: goes on at the counts stored with the group's offsets.
    pub(crate) records: IntCounterVec,
    /// In all, as committed: counted apart from the outcomes, so that they can be held against it.
    pub(crate) committed: IntCounterVec,
    /// The ledger of each partition owned now, by outcome.
    pub(crate) ledger: IntGaugeVec,
    pub(crate) lag: IntGaugeVec,
    pub(crate) lag_seconds: IntGaugeVec,
    pub(crate) bulk_seconds: HistogramVec,
    pub(crate) retries: IntCounterVec,
    pub(crate) paused: IntGaugeVec,
    pub(crate) dead_letters: IntCounterVec,
    pub(crate) dead_letter_alarm: IntGaugeVec,
    pub(crate) buffer: IntGaugeVec,
    pub(crate) transformed: IntCounterVec,
    pub(crate) enriched: IntCounterVec,
    pub(crate) host_in: IntGaugeVec,
    pub(crate) concurrency: IntGaugeVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            records: IntCounterVec::new(
                Opts::new("logmill_sinks_records_total", "Records finished and committed, by outcome"),
                &["sink", "outcome"],
            )?,
            committed: IntCounterVec::new(
                Opts::new("logmill_sinks_committed_total", "Records finished and committed, in all"),
                &["sink"],
            )?,
            ledger: IntGaugeVec::new(
                Opts::new(
                    "logmill_sinks_ledger_records",
                    "Records of the partitions owned now since their group first read them",
                ),
                &["sink", "topic", "partition", "outcome"],
            )?,
            lag: IntGaugeVec::new(
                Opts::new("logmill_sinks_lag_records", "Records in the partitions owned now that are not finished"),
                &["sink"],
            )?,
            lag_seconds: IntGaugeVec::new(
                Opts::new(
                    "logmill_sinks_lag_seconds",
                    "Age of the oldest record in the partitions owned now that is not finished; 0 when caught up",
                ),
                &["sink"],
            )?,
            bulk_seconds: HistogramVec::new(
                HistogramOpts::new("logmill_sinks_bulk_seconds", "Time from sending a bulk request to its answer")
                    .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0]),
                &["sink"],
            )?,
            retries: IntCounterVec::new(
                Opts::new("logmill_sinks_retries_total", "Records sent again after a failure"),
                &["sink"],
            )?,
            paused: IntGaugeVec::new(
                Opts::new("logmill_sinks_paused", "1 while the sink waits for what the label names"),
                &["sink", "reason"],
            )?,
            dead_letters: IntCounterVec::new(
                Opts::new("logmill_sinks_dead_letters_total", "Dead letters acknowledged since the start, by class"),
                &["sink", "class"],
            )?,
            dead_letter_alarm: IntGaugeVec::new(
                Opts::new("logmill_sinks_dead_letters_alarm", "1 while a minute has more dead letters than is usual"),
                &["sink"],
            )?,
            buffer: IntGaugeVec::new(
                Opts::new("logmill_sinks_buffer_bytes", "Bytes of records held from poll to commit"),
                &["sink"],
            )?,
            transformed: IntCounterVec::new(
                Opts::new(
                    "logmill_sinks_transformed_total",
                    "Events that the program was run on: changed, dropped by it (aborted), or failed with",
                ),
                &["sink", "outcome"],
            )?,
            enriched: IntCounterVec::new(
                Opts::new(
                    "logmill_sinks_enriched_total",
                    "Events that something was added to, or that had nothing to look up or what is not known",
                ),
                &["sink", "by", "outcome"],
            )?,
            host_in: IntGaugeVec::new(
                Opts::new(
                    "logmill_sinks_host_in",
                    "0 while a host of Elasticsearch is left out because it does not answer",
                ),
                &["sink", "host"],
            )?,
            concurrency: IntGaugeVec::new(
                Opts::new("logmill_sinks_requests_limit", "Requests that may be under way at once now"),
                &["sink"],
            )?,
        };
        registry.register(Box::new(metrics.records.clone()))?;
        registry.register(Box::new(metrics.committed.clone()))?;
        registry.register(Box::new(metrics.ledger.clone()))?;
        registry.register(Box::new(metrics.lag.clone()))?;
        registry.register(Box::new(metrics.lag_seconds.clone()))?;
        registry.register(Box::new(metrics.bulk_seconds.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.paused.clone()))?;
        registry.register(Box::new(metrics.dead_letters.clone()))?;
        registry.register(Box::new(metrics.dead_letter_alarm.clone()))?;
        registry.register(Box::new(metrics.buffer.clone()))?;
        registry.register(Box::new(metrics.transformed.clone()))?;
        registry.register(Box::new(metrics.enriched.clone()))?;
        registry.register(Box::new(metrics.host_in.clone()))?;
        registry.register(Box::new(metrics.concurrency.clone()))?;
        Ok(metrics)
    }

    /// A sink that is no more stands nowhere; what it has counted stays.
    pub(crate) fn forget(&self, sink: &str) {
        for gauge in [&self.lag, &self.lag_seconds, &self.buffer, &self.concurrency, &self.dead_letter_alarm] {
            // There only if it was ever set.
            let _ = gauge.remove_label_values(&[sink]);
        }
        for alarm in Alarm::ALL {
            let _ = self.paused.remove_label_values(&[sink, alarm.name()]);
        }
    }
}
