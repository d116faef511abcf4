//! Inputs whose records Kafka refuses for a reason that trying again does not mend (no right to the topic, no such topic, no
//! valid name …): such an input stands while the others go on, says so, and asks again with one block of one file now and then.

use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode;

use super::Engine;
use crate::{clock::Now, produce::Producer};

/// Waits between two tries, doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(30);
/// How long a try may go without an answer before the next file tries.
const ANSWER: Duration = Duration::from_secs(5);
/// A refusal this long after the last one is a new one.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// What an input knows of its refusals.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    code: Option<RDKafkaErrorCode>,
    wait: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Accepted,
    /// Nothing is read until then.
    Stands(Instant),
    /// A block was sent to see whether it is taken by now; no other until then.
    Asks(Instant),
    /// Taken again since then.
    Over(Instant),
}

impl Refusal {
    /// Why it stands.
    pub(super) fn code(&self) -> Option<RDKafkaErrorCode> {
        matches!(self.state, State::Stands(_) | State::Asks(_)).then_some(self.code).flatten()
    }

    /// # Errors
    /// When to ask again, if nothing may be read now.
    pub(super) fn may_read(&mut self, now: Instant) -> Result<(), Instant> {
        match self.state {
            State::Accepted | State::Over(_) => Ok(()),
            State::Stands(until) | State::Asks(until) if now < until => Err(until),
            State::Stands(_) | State::Asks(_) => {
                self.state = State::Asks(now + ANSWER);
                Ok(())
            }
        }
    }

    /// Takes a refusal; whether it is news.
    fn refused(&mut self, code: RDKafkaErrorCode, now: Instant) -> bool {
        let news = self.code() != Some(code);
        self.code = Some(code);
        self.wait = match self.state {
            // Reports of what was sent before.
            State::Stands(until) if now < until => return news,
            State::Accepted => FIRST_WAIT,
            State::Over(since) if now.saturating_duration_since(since) >= FORGOTTEN => FIRST_WAIT,
            State::Stands(_) | State::Asks(_) | State::Over(_) => (self.wait * 2).min(LAST_WAIT),
        };
        self.state = State::Stands(now + self.wait);
        news
    }

    /// Whether this is the answer to a try.
    pub(super) fn accepted(&mut self, now: Instant) -> bool {
        let asked = matches!(self.state, State::Asks(_));
        if asked {
            self.state = State::Over(now);
        }
        asked
    }
}

impl<P: Producer> Engine<P> {
    pub(super) fn refused(&mut self, input: usize, code: RDKafkaErrorCode, now: Now) {
        let state = &mut self.inputs[input];
        if state.refusal.refused(code, now.mono) {
            let (name, topic) = (&state.config.name, &state.config.topic);
            tracing::error!(
                input = name,
                topic,
                "kafka refuses the records of this input, its lines wait in their files and it asks again every {} s: {code}",
                LAST_WAIT.as_secs()
            );
            self.around.metrics.refused.with_label_values(&[name.as_str()]).set(1);
        }
    }

    /// Kafka takes the input's records again: its files need not wait any longer.
    pub(super) fn accepted_again(&mut self, input: usize) {
        let name = self.inputs[input].config.name.as_str();
        tracing::info!(input = name, "kafka takes the records of this input again");
        self.around.metrics.refused.with_label_values(&[name]).set(0);
        let slots: Vec<usize> = self.slots.iter().filter(|(_, t)| t.input == input).map(|(slot, _)| slot).collect();
        for slot in slots {
            if let Some(tracked) = self.slots.get_mut(slot) {
                tracked.retry_at = None;
            }
            self.wake(slot);
        }
    }

    /// The first input that stands, in words.
    pub(super) fn standing(&self) -> Option<String> {
        let standing = |i: &super::InputState| i.refusal.code().map(|code| (i.config.name.clone(), code));
        let (name, code) = self.inputs.iter().find_map(standing)?;
        Some(format!("kafka refuses the records of input {name}: {code}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const CODE: RDKafkaErrorCode = RDKafkaErrorCode::TopicAuthorizationFailed;

    #[test]
    fn one_block_asks_at_a_time_and_the_waits_double() {
        let (mut refusal, mut now) = (Refusal::default(), Now::read().mono);
        refusal.may_read(now).unwrap();
        assert!(refusal.refused(CODE, now));
        assert!(!refusal.refused(CODE, now), "a report of the same batch");
        for wait in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(Err(now + Duration::from_secs(wait)), refusal.may_read(now));
            now += Duration::from_secs(wait);
            refusal.may_read(now).unwrap();
            assert_eq!(Err(now + ANSWER), refusal.may_read(now), "another file while one asks");
            refusal.refused(CODE, now);
        }
        assert_eq!(Some(CODE), refusal.code());
    }

    #[test]
    fn what_is_taken_again_and_refused_soon_after_waits_longer() {
        let (mut refusal, now) = (Refusal::default(), Now::read().mono);
        refusal.refused(CODE, now);
        assert!(!refusal.accepted(now), "sent before the refusal");
        let asked = now + FIRST_WAIT;
        refusal.may_read(asked).unwrap();
        assert!(refusal.accepted(asked));
        assert_eq!(None, refusal.code());
        refusal.may_read(asked).unwrap();
        refusal.refused(CODE, asked);
        assert_eq!(Err(asked + FIRST_WAIT * 2), refusal.may_read(asked));
        let later = asked + FIRST_WAIT * 2;
        refusal.may_read(later).unwrap();
        refusal.accepted(later);
        let (forgotten, news) = (later + FORGOTTEN, true);
        assert_eq!(news, refusal.refused(CODE, forgotten));
        assert_eq!(Err(forgotten + FIRST_WAIT), refusal.may_read(forgotten));
    }
}
