//! Limits. Those that delay are asked before the read how much may be read now, and charged after framing; those that
//! drop or sample, or are by a field's value, are asked record by record ([`gate`]).
//!
//! A turn stops at the first line that reaches the allowance; what that line has too much is owed and paid before the
//! next read, so that long lines pass and the rate holds on average.

mod gate;

use std::{cell::Cell, num::NonZeroU32, rc::Rc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use logmill_config::agent::{Limit, LimitPer, OnExceed};

pub(crate) use gate::{Gate, Verdict};

/// What may be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl Allowance {
    pub(crate) const UNLIMITED: Self = Self { lines: u64::MAX, bytes: u64::MAX };
}

/// What limits a file: its own, and those it shares with others.
#[derive(Clone, Default)]
pub(crate) struct Limits {
    pub(crate) delays: Vec<Rc<Limiter>>,
    pub(crate) gates: Vec<Rc<Gate>>,
}

impl Limits {
    /// Those of these entries that `chosen` takes.
    pub(crate) fn new(limits: &[Limit], chosen: impl Fn(&LimitPer) -> bool) -> Self {
        let mut all = Self::default();
        for limit in limits.iter().filter(|limit| chosen(&limit.per)) {
            match (&limit.per, limit.on_exceed) {
                (LimitPer::File | LimitPer::Input, OnExceed::Delay) => all.delays.push(Rc::new(Limiter::new(limit))),
                _ => all.gates.push(Rc::new(Gate::new(limit))),
            }
        }
        all
    }

    pub(crate) fn and(mut self, others: &Self) -> Self {
        self.delays.extend(others.delays.iter().map(Rc::clone));
        self.gates.extend(others.gates.iter().map(Rc::clone));
        self
    }

    /// What may be read now, or how long to wait before asking again.
    pub(crate) fn allowance(&self) -> Result<Allowance, Duration> {
        self.delays.iter().try_fold(Allowance::UNLIMITED, |all, limiter| {
            let one = limiter.allowance()?;
            Ok(Allowance { lines: all.lines.min(one.lines), bytes: all.bytes.min(one.bytes) })
        })
    }
}

/// One `limits` entry of one file, or shared by all files of an input. Used from one thread.
pub(crate) struct Limiter<C: Clock = DefaultClock> {
    lines: Option<Bucket<C>>,
    bytes: Option<Bucket<C>>,
}

impl Limiter<DefaultClock> {
    pub(crate) fn new(limit: &Limit) -> Self {
        Self::with_clock(limit, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Limiter<C> {
    fn with_clock(limit: &Limit, clock: &C) -> Self {
        let lines = limit.lines_per_second.and_then(NonZeroU32::new).map(|rate| {
            let burst = limit.burst.and_then(NonZeroU32::new).unwrap_or(rate);
            Bucket::new(rate, burst, clock)
        });
        let bytes = limit.bytes_per_second.and_then(|rate| {
            let rate = NonZeroU32::new(u32::try_from(rate).unwrap_or(u32::MAX))?;
            Some(Bucket::new(rate, rate, clock))
        });
        Self { lines, bytes }
    }

    /// What may be read now, or how long to wait before asking again.
    pub(crate) fn allowance(&self) -> Result<Allowance, Duration> {
        let available = |bucket: &Option<Bucket<C>>| match bucket {
            Some(bucket) => bucket.available().map(u64::from),
            None => Ok(u64::MAX),
        };
        Ok(Allowance { lines: available(&self.lines)?, bytes: available(&self.bytes)? })
    }

    /// Takes one record, or says how long until it may be had.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Duration> {
        self.allowance()?;
        self.charge(1, bytes);
        Ok(())
    }

    /// Charges what was read after [`Limiter::allowance`].
    pub(crate) fn charge(&self, lines: u64, bytes: u64) {
        if let Some(bucket) = &self.lines {
            bucket.charge(lines);
        }
        if let Some(bucket) = &self.bytes {
            bucket.charge(bytes);
        }
    }
}

struct Bucket<C: Clock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>,
    clock: C,
    capacity: NonZeroU32,
    /// A cell was taken to learn how many more there are: that many.
    asked: Cell<Option<u32>>,
    owed: Cell<u64>,
}

impl<C: Clock + Clone> Bucket<C> {
    fn new(rate: NonZeroU32, burst: NonZeroU32, clock: &C) -> Self {
        let quota = Quota::per_second(rate).allow_burst(burst);
        let limiter =
            RateLimiter::direct_with_clock(quota, clock.clone()).with_middleware::<StateInformationMiddleware>();
        Self { limiter, clock: clock.clone(), capacity: burst, asked: Cell::new(None), owed: Cell::new(0) }
    }

    fn available(&self) -> Result<u32, Duration> {
        while let Some(part) = NonZeroU32::new(self.part(self.owed.get())) {
            self.take(part)?;
            self.owed.set(self.owed.get() - u64::from(part.get()));
        }
        let more = match self.asked.get() {
            Some(more) => more,
            None => {
                let snapshot = self.limiter.check().map_err(|until| until.wait_time_from(self.clock.now()))?;
                snapshot.remaining_burst_capacity()
            }
        };
        self.asked.set(Some(more));
        Ok(more.saturating_add(1))
    }

    fn charge(&self, used: u64) {
        if used == 0 {
            return;
        }
        // One cell was taken when asking.
        let mut rest = used - u64::from(self.asked.take().is_some());
        if let Some(part) = NonZeroU32::new(self.part(rest))
            && self.take(part).is_ok()
        {
            rest -= u64::from(part.get());
        }
        self.owed.set(self.owed.get().saturating_add(rest));
    }

    fn part(&self, cells: u64) -> u32 {
        u32::try_from(cells).unwrap_or(u32::MAX).min(self.capacity.get())
    }

    fn take(&self, cells: NonZeroU32) -> Result<(), Duration> {
        match self.limiter.check_n(cells) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(self.clock.now())),
            // Never: no more than the capacity is asked for.
            Err(_) => Err(Duration::from_secs(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn limit(lines: Option<u32>, bytes: Option<u64>, burst: Option<u32>) -> Limit {
        let (per, on_exceed) = (LimitPer::File, OnExceed::Delay);
        Limit { per, lines_per_second: lines, bytes_per_second: bytes, burst, on_exceed }
    }

    /// Reads lines of `size` bytes for `seconds`; how many pass.
    fn pass(limit: &Limit, size: u64, seconds: u64) -> u64 {
        let clock = FakeRelativeClock::default();
        let limiter = Limiter::with_clock(limit, &clock);
        let (mut waited, mut read) = (Duration::ZERO, 0);
        while waited < Duration::from_secs(seconds) {
            match limiter.allowance() {
                Ok(allowed) => {
                    let (mut lines, mut bytes) = (0, 0);
                    while lines < allowed.lines && bytes < allowed.bytes {
                        (lines, bytes) = (lines + 1, bytes + size);
                    }
                    limiter.charge(lines, bytes);
                    read += lines;
                }
                Err(wait) => {
                    let wait = wait.max(Duration::from_micros(1));
                    clock.advance(wait);
                    waited += wait;
                }
            }
        }
        read
    }

    #[test]
    fn the_rate_holds_and_the_burst_comes_first() {
        let lines = pass(&limit(Some(1000), None, None), 200, 10);
        assert!((10_990..=11_010).contains(&lines), "{lines}");
        let lines = pass(&limit(Some(1000), None, Some(50)), 200, 10);
        assert!((10_040..=10_060).contains(&lines), "{lines}");
        let lines = pass(&limit(None, Some(100_000), None), 200, 10);
        assert!((5_490..=5_510).contains(&lines), "{lines}");
        let lines = pass(&limit(Some(100), Some(100_000), None), 200, 10);
        assert!((1_090..=1_110).contains(&lines), "the tighter of the two: {lines}");
    }

    #[test]
    fn record_by_record_the_rate_holds_too() {
        let clock = FakeRelativeClock::default();
        let limiter = Limiter::with_clock(&limit(Some(1000), Some(1_000_000), Some(100)), &clock);
        let mut passed = 0;
        // 50 000 records a second for ten seconds.
        for _ in 0..500_000 {
            passed += u32::from(limiter.take(200).is_ok());
            clock.advance(Duration::from_micros(20));
        }
        assert!((10_080..=10_120).contains(&passed), "{passed}");
    }

    #[test]
    fn lines_longer_than_the_burst_pass_at_the_rate() {
        let lines = pass(&limit(None, Some(1000), None), 10_000, 100);
        assert!((10..=12).contains(&lines), "{lines}");
    }

    #[test]
    fn asking_without_reading_costs_nothing() {
        let limiter = Limiter::with_clock(&limit(Some(10), None, None), &FakeRelativeClock::default());
        for _ in 0..100 {
            assert_eq!(10, limiter.allowance().unwrap().lines);
            limiter.charge(0, 0);
        }
        limiter.charge(10, 0);
        assert!(limiter.allowance().is_err());
    }
}
