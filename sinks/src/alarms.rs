//! What keeps a sink from working, in words: for /health/ready, the metric and the log.

use std::collections::BTreeMap;

use logmill_daemon::context::Health;
use parking_lot::Mutex;
use prometheus::IntGaugeVec;

use crate::clock;

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
    pub(crate) const ALL: [Self; 4] = [Alarm::Kafka, Alarm::Unavailable, Alarm::Refused, Alarm::DeadLetters];

    pub(crate) fn name(self) -> &'static str {
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
    last: Mutex<Option<Said>>,
}

/// What went wrong, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// Since 1970.
    pub(crate) millis: i64,
    pub(crate) words: String,
}

impl Said {
    /// To the second, RFC 3339.
    pub(crate) fn time(&self) -> String {
        jiff::Timestamp::from_second(self.millis / 1000).map(|time| time.to_string()).unwrap_or_default()
    }
}

/// Of an error's words are kept.
const WORDS: usize = 500;

impl Alarms {
    pub(crate) fn new(sink: &str, health: Health, paused: IntGaugeVec) -> Self {
        let alarms = Self {
            sink: sink.to_owned(),
            part: format!("sink {sink}"),
            health,
            paused,
            raised: Mutex::default(),
            last: Mutex::default(),
        };
        for alarm in Alarm::ALL {
            alarms.paused.with_label_values(&[sink, alarm.name()]).set(0);
        }
        alarms.health.set(&alarms.part, Ok(()));
        alarms
    }

    /// Keeps an error that is no alarm, for who asks what was the last.
    pub(crate) fn note(&self, words: &str) {
        let words = words.chars().take(WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        *self.last.lock() = Some(Said { millis: clock::wall_millis(), words });
    }

    /// The last error, over or not.
    pub(crate) fn last(&self) -> Option<Said> {
        self.last.lock().clone()
    }

    /// Logs only what is new: a wait says itself once.
    pub(crate) fn raise(&self, alarm: Alarm, words: &str) {
        self.note(words);
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

    /// What is waited for, where something is.
    pub(crate) fn words(&self) -> Option<String> {
        state(&self.raised.lock()).err()
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
