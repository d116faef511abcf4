//! How many requests a destination is sent per second: asked before each, which waits for its turn.

use std::time::Duration;

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use logmill_config::sinks::Rate;

pub(crate) struct Pace {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl Pace {
    pub(crate) fn new(rate: Rate) -> Self {
        let quota = Quota::per_second(rate.requests_per_second).allow_burst(rate.burst);
        Self { limiter: RateLimiter::direct(quota), clock: DefaultClock::default() }
    }

    /// Takes a turn, or says how long until there is one.
    pub(crate) fn turn(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|early| early.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let number = |n| NonZeroU32::new(n).unwrap();
        let pace = Pace::new(Rate { requests_per_second: number(2), burst: number(3) });
        assert_eq!([pace.turn(), pace.turn(), pace.turn()], [Ok(()); 3]);
        let wait = pace.turn().unwrap_err();
        assert!(wait > Duration::from_millis(300) && wait <= Duration::from_millis(500), "{wait:?}");
    }
}
