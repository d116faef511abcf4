//! Repeated warnings: at most one per interval, with the number of those left out.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock;

/// Says when a repeated warning may be logged again.
///
/// ```
/// # let throttle = logmill_daemon::Throttle::every(std::time::Duration::from_secs(10));
/// if let Some(left_out) = throttle.pass() {
///     tracing::warn!(left_out, "the disk is nearly full");
/// }
/// ```
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Throttle {
    pub fn every(interval: Duration) -> Self {
        Self { interval, state: Mutex::default() }
    }

    /// `Some(how many were left out since the last)` when it may be logged now.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(clock::now())
    }

    /// As [`Throttle::pass`] at a given time.
    pub fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < self.interval) {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn one_per_interval_with_a_count_of_the_rest() {
        let throttle = Throttle::every(Duration::from_secs(10));
        let start = clock::now();
        assert_eq!(throttle.pass_at(start), Some(0));
        assert_eq!(throttle.pass_at(start + Duration::from_secs(1)), None);
        assert_eq!(throttle.pass_at(start + Duration::from_secs(9)), None);
        assert_eq!(throttle.pass_at(start + Duration::from_secs(10)), Some(2));
        assert_eq!(throttle.pass_at(start + Duration::from_secs(30)), Some(0));
    }
}
