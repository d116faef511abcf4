//! How many dead letters a sink writes: counted by class, and an alarm while they are too many within a minute.
//!
//! The alarm stops nothing: the letters are safe, somebody should look at them.

use std::time::Instant;

use logmill_daemon::context::Health;
use parking_lot::Mutex;

use crate::{clock, connector::Class, metrics::Metrics};

pub(crate) struct Burials {
    sink: String,
    part: String,
    /// Letters within a minute from which on it is an alarm.
    limit: u64,
    health: Health,
    metrics: Metrics,
    start: Instant,
    state: Mutex<State>,
}

struct State {
    minute: Minute,
    raised: bool,
}

/// Counts by second of the last sixty: pure.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Minute {
    counts: [u64; 60],
    /// The second counted last.
    at: u64,
}

impl Minute {
    fn new() -> Self {
        Self { counts: [0; 60], at: 0 }
    }

    fn add(&mut self, second: u64, count: u64) {
        let passed = second.saturating_sub(self.at).min(60);
        for back in 0..passed {
            self.set(second - back, 0);
        }
        self.at = self.at.max(second);
        let counted = self.get(self.at);
        self.set(self.at, counted.saturating_add(count));
    }

    fn sum(&self) -> u64 {
        self.counts.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    fn get(&self, second: u64) -> u64 {
        self.counts.get(usize::try_from(second % 60).unwrap_or(0)).copied().unwrap_or(0)
    }

    fn set(&mut self, second: u64, count: u64) {
        if let Some(place) = self.counts.get_mut(usize::try_from(second % 60).unwrap_or(0)) {
            *place = count;
        }
    }
}

impl Burials {
    pub(crate) fn new(sink: &str, limit: u64, health: Health, metrics: Metrics) -> Self {
        Self {
            sink: sink.to_owned(),
            part: format!("sink {sink} dead letters"),
            limit,
            health,
            metrics,
            start: clock::now(),
            state: Mutex::new(State { minute: Minute::new(), raised: false }),
        }
    }

    /// A letter was acknowledged.
    pub(crate) fn count(&self, class: Class) {
        self.metrics.dead_letters.with_label_values(&[self.sink.as_str(), class.name()]).inc();
        self.note(1);
    }

    /// Looks whether it has become quiet.
    pub(crate) fn look(&self) {
        self.note(0);
    }

    fn note(&self, count: u64) {
        let mut state = self.state.lock();
        state.minute.add(self.start.elapsed().as_secs(), count);
        let sum = state.minute.sum();
        let over = sum > self.limit;
        if over {
            let words = format!("{sum} dead letters within a minute, more than {}", self.limit);
            if !state.raised {
                tracing::warn!(sink = %self.sink, "{words}: see logmill dead-letters list");
            }
            self.health.set(&self.part, Err(words));
        } else if state.raised {
            tracing::info!(sink = %self.sink, "dead letters are few again");
            self.health.set(&self.part, Ok(()));
        }
        if over != state.raised {
            self.metrics.dead_letter_alarm.with_label_values(&[self.sink.as_str()]).set(over.into());
        }
        state.raised = over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_slides() {
        let mut minute = Minute::new();
        minute.add(0, 3);
        minute.add(30, 4);
        minute.add(59, 0);
        assert_eq!(minute.sum(), 7);
        minute.add(60, 0);
        assert_eq!(minute.sum(), 4);
        minute.add(89, 1);
        assert_eq!(minute.sum(), 5);
        minute.add(90, 0);
        assert_eq!(minute.sum(), 1);
        minute.add(10_000, 0);
        assert_eq!(minute.sum(), 0);
        // A clock never goes back; if it did, nothing would be lost.
        minute.add(9_000, 2);
        assert_eq!(minute.sum(), 2);
    }

    #[test]
    fn too_many_are_an_alarm_until_they_are_few() {
        let health = Health::default();
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let burials = Burials::new("a", 2, health.clone(), metrics);
        burials.count(Class::Document);
        burials.count(Class::Decode);
        assert_eq!(health.parts().get("sink a dead letters"), None);
        burials.count(Class::Document);
        let words = health.parts()["sink a dead letters"].clone().unwrap_err();
        assert_eq!(words, "3 dead letters within a minute, more than 2");
        burials.state.lock().minute = Minute::new();
        burials.look();
        assert_eq!(health.parts()["sink a dead letters"], Ok(()));
    }
}
