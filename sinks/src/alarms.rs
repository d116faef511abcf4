//! What keeps a sink from working, in words: for /health/ready, the metric and the log.

use std::collections::BTreeMap;

use logmill_daemon::context::Health;
use parking_lot::Mutex;
use prometheus::IntGaugeVec;

/// Who is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    Kafka,
    /// A request that can be retried fails again and again.
    Unavailable,
    /// Only the operator can mend it.
    Refused,
    DeadLetters,
}

impl Alarm {
    fn name(self) -> &'static str {
        match self {
            Alarm::Kafka => "kafka",
            Alarm::Unavailable => "unavailable",
            Alarm::Refused => "refused",
            Alarm::DeadLetters => "dead_letters",
        }
    }
}

/// The alarms of one sink.
pub(crate) struct Alarms {
    sink: String,
    part: String,
    health: Health,
    paused: IntGaugeVec,
    raised: Mutex<BTreeMap<Alarm, String>>,
}

impl Alarms {
    pub(crate) fn new(sink: &str, health: Health, paused: IntGaugeVec) -> Self {
        let alarms =
            Self { sink: sink.to_owned(), part: format!("sink {sink}"), health, paused, raised: Mutex::default() };
        for alarm in [Alarm::Kafka, Alarm::Unavailable, Alarm::Refused, Alarm::DeadLetters] {
            alarms.paused.with_label_values(&[sink, alarm.name()]).set(0);
        }
        alarms.health.set(&alarms.part, Ok(()));
        alarms
    }

    /// Logs only what is new: a wait says itself once.
    pub(crate) fn raise(&self, alarm: Alarm, words: &str) {
        let mut raised = self.raised.lock();
        if raised.get(&alarm).is_some_and(|known| known == words) {
            return;
        }
        if raised.insert(alarm, words.to_owned()).is_none() {
            tracing::warn!(sink = %self.sink, reason = alarm.name(), "sink waits: {words}");
        } else {
            tracing::debug!(sink = %self.sink, reason = alarm.name(), "sink still waits: {words}");
        }
        self.paused.with_label_values(&[self.sink.as_str(), alarm.name()]).set(1);
        self.health.set(&self.part, state(&raised));
    }

    pub(crate) fn clear(&self, alarm: Alarm) {
        let mut raised = self.raised.lock();
        if raised.remove(&alarm).is_some() {
            tracing::info!(sink = %self.sink, reason = alarm.name(), "sink goes on");
            self.paused.with_label_values(&[self.sink.as_str(), alarm.name()]).set(0);
            self.health.set(&self.part, state(&raised));
        }
    }

    pub(crate) fn is_raised(&self, alarm: Alarm) -> bool {
        self.raised.lock().contains_key(&alarm)
    }
}

fn state(raised: &BTreeMap<Alarm, String>) -> Result<(), String> {
    if raised.is_empty() {
        return Ok(());
    }
    let words: Vec<_> = raised.iter().map(|(alarm, words)| format!("{}: {words}", alarm.name())).collect();
    Err(words.join("; "))
}
