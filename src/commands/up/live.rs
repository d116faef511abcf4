//! The live line on a terminal: what was read, produced and indexed, what waits, how fast.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use logmill_daemon::clock;
use prometheus::Registry;

/// Once a second: enough for the eye, nothing for the processor.
const EVERY: Duration = Duration::from_secs(1);

/// Redraws until it is dropped.
pub(super) async fn show(registry: &Registry) {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        bar.set_style(style);
    }
    let (mut last, mut at) = (Counts::of(registry), clock::now());
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let (counts, now) = (Counts::of(registry), clock::now());
        let seconds = now.duration_since(at).as_secs_f64().max(0.001);
        let rate = counts.read.saturating_sub(last.read) as f64 / seconds;
        bar.set_message(counts.line(rate));
        bar.tick();
        (last, at) = (counts, now);
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    read: u64,
    acknowledged: u64,
    indexed: u64,
    lag: u64,
}

impl Counts {
    fn of(registry: &Registry) -> Self {
        let mut counts = Self::default();
        for family in registry.gather() {
            let slot = match family.name() {
                "logmill_agent_lines_read_total" => &mut counts.read,
                "logmill_agent_lines_acknowledged_total" => &mut counts.acknowledged,
                "logmill_sinks_lag_records" => &mut counts.lag,
                "logmill_sinks_records_total" => {
                    for metric in family.get_metric() {
                        if metric.get_label().iter().any(|l| l.name() == "outcome" && l.value() == "indexed") {
                            counts.indexed += metric.get_counter().get_value() as u64;
                        }
                    }
                    continue;
                }
                _ => continue,
            };
            for metric in family.get_metric() {
                *slot += (metric.get_counter().get_value() + metric.get_gauge().get_value()).max(0.0) as u64;
            }
        }
        counts
    }

    fn line(&self, rate: f64) -> String {
        format!(
            "read {}  produced {}  indexed {}  lag {}  {rate:.0} lines/s",
            self.read, self.acknowledged, self.indexed, self.lag
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts};

    use super::*;

    #[test]
    fn counts_come_from_the_ledger_metrics() {
        let registry = Registry::new();
        let read = IntCounter::new("logmill_agent_lines_read_total", "r").unwrap();
        let records = IntCounterVec::new(Opts::new("logmill_sinks_records_total", "s"), &["sink", "outcome"]).unwrap();
        let lag = IntGaugeVec::new(Opts::new("logmill_sinks_lag_records", "l"), &["sink"]).unwrap();
        registry.register(Box::new(read.clone())).unwrap();
        registry.register(Box::new(records.clone())).unwrap();
        registry.register(Box::new(lag.clone())).unwrap();
        read.inc_by(9);
        records.with_label_values(&["a", "indexed"]).inc_by(5);
        records.with_label_values(&["a", "duplicate"]).inc_by(2);
        lag.with_label_values(&["a"]).set(2);
        let counts = Counts::of(&registry);
        assert_eq!(counts, Counts { read: 9, acknowledged: 0, indexed: 5, lag: 2 });
        assert_eq!(counts.line(3.2), "read 9  produced 0  indexed 5  lag 2  3 lines/s");
    }
}
