//! How many requests may be under way: one more for every round of quick answers, half as many when the destination pushes
//! back, a little fewer when it slows down. Pure: time comes in by argument.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Concurrency {
    most: f64,
    limit: f64,
    adapts: bool,
    times: Times,
    /// When the limit was lowered last: what was sent before that says nothing about it.
    lowered: Option<Instant>,
}

/// How long answers take: a moving mean and deviation, in seconds.
#[derive(Debug, Default)]
struct Times {
    seen: u32,
    mean: f64,
    deviation: f64,
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Taken(Duration),
    /// 429, 5xx, nobody there.
    PushedBack,
}

/// Answers to be seen before one of them counts as slow.
const ENOUGH: u32 = 8;
/// Weight of the newest answer.
const NEWEST: f64 = 0.2;
/// Never slow: batches differ by this much anyway.
const QUICK: f64 = 0.1;

impl Concurrency {
    /// Always `most`.
    pub(crate) fn fixed(most: usize) -> Self {
        let most = most.clamp(1, 1 << 16) as f64;
        Self { most, limit: most, adapts: false, times: Times::default(), lowered: None }
    }

    /// Between one and `most`, beginning in the middle.
    pub(crate) fn adaptive(most: usize) -> Self {
        let fixed = Self::fixed(most);
        Self { limit: (fixed.most / 2.0).max(1.0), adapts: true, ..fixed }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// A request was answered. `full`: as many were under way with it as may be.
    pub(crate) fn answered(&mut self, answer: Answer, sent: Instant, full: bool, now: Instant) {
        if !self.adapts {
            return;
        }
        let tells = self.lowered.is_none_or(|lowered| sent >= lowered);
        match answer {
            Answer::PushedBack if tells => self.lower(0.5, now),
            Answer::PushedBack => {}
            Answer::Taken(took) => {
                let slow = self.times.add(took.as_secs_f64());
                if slow && tells {
                    self.lower(0.9, now);
                } else if !slow && full && tells {
                    self.limit = (self.limit + 1.0 / self.limit).min(self.most);
                }
            }
        }
    }

    fn lower(&mut self, factor: f64, now: Instant) {
        self.limit = (self.limit * factor).max(1.0);
        self.lowered = Some(now);
    }
}

impl Times {
    /// Whether it is slow by those before it.
    fn add(&mut self, seconds: f64) -> bool {
        let usual = (2.0 * self.mean + 3.0 * self.deviation).max(QUICK);
        let slow = self.seen >= ENOUGH && seconds > usual;
        let weight = if self.seen < ENOUGH { 1.0 / f64::from(self.seen + 1) } else { NEWEST };
        let off = (seconds - self.mean).abs();
        self.deviation += weight * (if self.seen == 0 { 0.0 } else { off } - self.deviation);
        self.mean += weight * (seconds - self.mean);
        self.seen = self.seen.saturating_add(1);
        slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const QUICKLY: Answer = Answer::Taken(Duration::from_millis(200));

    fn settled(most: usize, now: Instant) -> Concurrency {
        let mut concurrency = Concurrency::adaptive(most);
        for _ in 0..200 {
            concurrency.answered(QUICKLY, now, true, now);
        }
        concurrency
    }

    #[test]
    fn it_grows_to_its_bound_while_it_is_needed() {
        let now = clock::now();
        assert_eq!(Concurrency::adaptive(1).limit(), 1);
        let mut idle = Concurrency::adaptive(8);
        for _ in 0..200 {
            idle.answered(QUICKLY, now, false, now);
        }
        assert_eq!(idle.limit(), 4);
        assert_eq!(settled(8, now).limit(), 8);
    }

    #[test]
    fn a_push_back_halves_once_for_all_that_were_under_way() {
        let start = clock::now();
        let mut concurrency = settled(8, start);
        let pushed = start + Duration::from_secs(1);
        for _ in 0..8 {
            concurrency.answered(Answer::PushedBack, start, true, pushed);
        }
        assert_eq!(concurrency.limit(), 4);
        for _ in 0..9 {
            concurrency.answered(Answer::PushedBack, pushed, true, pushed + Duration::from_millis(1));
        }
        // The second was sent after the first had lowered it; the rest are of its round.
        assert_eq!(concurrency.limit(), 2);
        let later = pushed + Duration::from_secs(9);
        for _ in 0..9 {
            concurrency.answered(Answer::PushedBack, later, true, later);
        }
        assert_eq!(concurrency.limit(), 1, "never none");
        for _ in 0..100 {
            concurrency.answered(QUICKLY, later, true, later);
        }
        assert_eq!(concurrency.limit(), 8, "and back again");
    }

    #[test]
    fn slow_answers_lower_it_until_they_are_usual() {
        let start = clock::now();
        let mut concurrency = settled(8, start);
        let slow = Answer::Taken(Duration::from_secs(3));
        concurrency.answered(slow, start, true, start);
        assert_eq!(concurrency.limit(), 7);
        for n in 1..40 {
            let now = start + Duration::from_secs(n);
            concurrency.answered(slow, now, true, now);
        }
        assert_eq!(concurrency.limit(), 8);
        let mut fixed = Concurrency::fixed(8);
        fixed.answered(Answer::PushedBack, start, true, start);
        assert_eq!(fixed.limit(), 8);
    }
}
