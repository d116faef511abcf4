//! The CPU cap: reading, from which all other work follows, waits while the process is ahead of its share.

use std::time::{Duration, Instant};

/// This much of a wall clock's time may be used up at once after less was used.
const BURST: f64 = 0.1;
/// Less is not worth a wait.
const SHORTEST_WAIT: f64 = 0.000_1;
/// The longest wait, whatever else the process spends its time on.
const LONGEST_WAIT: f64 = 10.0;

/// What the process has used beyond its share of a core, kept as the wait that makes up for it.
#[derive(Debug, Default)]
pub(super) struct CpuCap {
    share: Option<f64>,
    /// Seconds to wait; below zero what may still be used.
    ahead: f64,
    last: Option<(Instant, Duration)>,
    /// How long reading waited in all, seconds.
    pub(super) waited: f64,
}

impl CpuCap {
    pub(super) fn new(percent: Option<u32>) -> Self {
        Self { share: percent.map(|percent| f64::from(percent) / 100.0), ..Self::default() }
    }

    /// Applies another cap, or none.
    pub(super) fn set(&mut self, percent: Option<u32>) {
        *self = Self { waited: self.waited, ..Self::new(percent) };
    }

    pub(super) fn is_set(&self) -> bool {
        self.share.is_some()
    }

    /// How long reading must wait at `now`, when the process has `used` so much CPU time since its start.
    pub(super) fn wait(&mut self, now: Instant, used: Duration) -> Option<Duration> {
        let share = self.share?;
        let (since, before) = self.last.replace((now, used)).unwrap_or((now, used));
        let spent = used.saturating_sub(before).as_secs_f64() / share;
        let passed = now.saturating_duration_since(since).as_secs_f64();
        self.waited += passed.min(self.ahead.max(0.0));
        self.ahead = (self.ahead + spent - passed).clamp(-BURST, LONGEST_WAIT);
        (self.ahead > SHORTEST_WAIT).then(|| Duration::from_secs_f64(self.ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;

    /// The part of ten minutes that is used by one who works in stretches of `work`, whenever he may.
    fn used(percent: Option<u32>, work: Duration) -> f64 {
        let (mut cap, start) = (CpuCap::new(percent), Now::read().mono);
        let (mut now, mut used) = (start, Duration::ZERO);
        while now < start + Duration::from_secs(600) {
            match cap.wait(now, used) {
                Some(wait) => now += wait,
                None => (now, used) = (now + work, used + work),
            }
        }
        used.as_secs_f64() / now.saturating_duration_since(start).as_secs_f64()
    }

    #[test]
    fn the_share_holds_for_short_and_long_stretches() {
        for work in [Duration::from_micros(200), Duration::from_millis(5), Duration::from_millis(300)] {
            for percent in [5, 50, 90] {
                let used = used(Some(percent), work) * 100.0;
                assert!((used - f64::from(percent)).abs() < 0.2, "{used} of {percent} % in stretches of {work:?}");
            }
            assert!(used(None, work) > 0.999 && used(Some(200), work) > 0.999);
        }
    }

    #[test]
    fn what_was_not_used_is_not_kept_and_what_others_use_ends() {
        let (mut cap, start) = (CpuCap::new(Some(10)), Now::read().mono);
        assert_eq!(None, cap.wait(start, Duration::ZERO));
        let later = start + Duration::from_secs(3600);
        assert_eq!(None, cap.wait(later, Duration::ZERO));
        let wait = cap.wait(later, Duration::from_secs(1)).map(|wait| wait.as_secs_f64());
        assert!(wait.is_some_and(|wait| (9.8..10.0).contains(&wait)), "{wait:?}");
        let wait = cap.wait(later, Duration::from_secs(60)).map(|wait| wait.as_secs_f64());
        assert_eq!(Some(LONGEST_WAIT), wait);
    }
}
