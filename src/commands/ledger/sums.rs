//! The sums and what must hold between them.

use std::collections::BTreeMap;

use super::metrics::Samples;

/// Lines, over all agents.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) read: u64,
    pub(crate) acknowledged: u64,
    /// By reason.
    pub(crate) dropped: BTreeMap<String, u64>,
    /// What the agents say is under way, when they say it.
    stated_in_flight: Option<u64>,
}

/// Everything the ledger shows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) agent: Option<Agent>,
    /// Sink → outcome → records.
    pub(crate) sinks: BTreeMap<String, BTreeMap<String, u64>>,
    /// Sink → records in all, as the commits count them beside the outcomes.
    pub(crate) committed: BTreeMap<String, u64>,
}

/// Every way a record may end at a sink.
const OUTCOMES: [&str; 5] = ["indexed", "duplicate", "filtered", "dead_lettered", "expired"];

impl Agent {
    fn dropped_lines(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// As the agents say, else what is left over.
    pub(crate) fn in_flight(&self) -> u64 {
        let left = self.read.saturating_sub(self.acknowledged).saturating_sub(self.dropped_lines());
        self.stated_in_flight.unwrap_or(left)
    }
}

impl Sums {
    pub(crate) fn of(samples: &Samples) -> Self {
        let agent = samples.sum("logmill_agent_lines_read_total").map(|read| {
            let mut dropped = BTreeMap::new();
            for sample in samples.named("logmill_agent_lines_dropped_total") {
                let reason = sample.labels.get("reason").cloned().unwrap_or_default();
                *dropped.entry(reason).or_insert(0) += sample.count();
            }
            Agent {
                read,
                acknowledged: samples.sum("logmill_agent_lines_acknowledged_total").unwrap_or(0),
                dropped,
                stated_in_flight: samples.sum("logmill_agent_lines_in_flight"),
            }
        });
        let mut sinks: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        let mut committed = BTreeMap::new();
        for sample in samples.named("logmill_sinks_committed_total") {
            let sink = sample.labels.get("sink").cloned().unwrap_or_default();
            *committed.entry(sink).or_insert(0) += sample.count();
        }
        for sample in samples.named("logmill_sinks_records_total") {
            let label = |name: &str| sample.labels.get(name).cloned().unwrap_or_default();
            *sinks.entry(label("sink")).or_default().entry(label("outcome")).or_insert(0) += sample.count();
        }
        Self { agent, sinks, committed }
    }

    /// What does not add up, in words.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(agent) = &self.agent {
            let accounted = agent.acknowledged + agent.dropped_lines() + agent.in_flight();
            if accounted != agent.read {
                faults.push(format!(
                    "agent: read {} but acknowledged {} + dropped {} + in flight {} = {accounted}",
                    agent.read,
                    agent.acknowledged,
                    agent.dropped_lines(),
                    agent.in_flight()
                ));
            }
        }
        for (sink, outcomes) in &self.sinks {
            if let Some(odd) = outcomes.keys().find(|o| !OUTCOMES.contains(&o.as_str())) {
                faults.push(format!("sink {sink}: outcome \"{odd}\" is unknown"));
            }
            let sum: u64 = outcomes.values().sum();
            if let Some(committed) = self.committed.get(sink).filter(|committed| **committed != sum) {
                faults.push(format!("sink {sink}: {committed} records were committed but the outcomes are of {sum}"));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn sums(text: &str) -> Sums {
        let mut samples = Samples::default();
        samples.add(text.to_owned());
        Sums::of(&samples)
    }

    #[test]
    fn a_ledger_that_adds_up() {
        let sums = sums(
            "logmill_agent_lines_read_total 10\nlogmill_agent_lines_acknowledged_total 7\n\
             logmill_agent_lines_dropped_total{reason=\"long_line\"} 1\n\
             logmill_sinks_records_total{sink=\"a\",outcome=\"indexed\"} 6\n\
             logmill_sinks_records_total{sink=\"a\",outcome=\"duplicate\"} 1\nlogmill_sinks_committed_total{sink=\"a\"} 7\n",
        );
        assert_eq!(sums.agent.as_ref().unwrap().in_flight(), 2);
        assert_eq!(sums.sinks["a"]["indexed"], 6);
        assert!(sums.faults().is_empty());
    }

    #[test]
    fn ledgers_that_do_not() {
        let more = sums("logmill_agent_lines_read_total 10\nlogmill_agent_lines_acknowledged_total 11\n");
        assert_eq!(more.faults(), ["agent: read 10 but acknowledged 11 + dropped 0 + in flight 0 = 11"]);
        let lost = sums(
            "logmill_agent_lines_read_total 10\nlogmill_agent_lines_acknowledged_total 7\nlogmill_agent_lines_in_flight 2\n",
        );
        assert_eq!(lost.faults(), ["agent: read 10 but acknowledged 7 + dropped 0 + in flight 2 = 9"]);
        assert_eq!(sums("logmill_sinks_records_total{sink=\"a\",outcome=\"lost\"} 1").faults().len(), 1);
        let lie = sums(
            "logmill_sinks_committed_total{sink=\"a\"} 9\nlogmill_sinks_records_total{sink=\"a\",outcome=\"indexed\"} 6\n\
             logmill_sinks_records_total{sink=\"a\",outcome=\"filtered\"} 2\n",
        );
        assert_eq!(lie.faults(), ["sink a: 9 records were committed but the outcomes are of 8"]);
    }
}
