//! How long to wait after a failure: doubled each time up to a bound, with jitter, without end.

use std::time::Duration;

use logmill_config::sinks::Retry;

/// The wait before try number `failures + 1` (`failures` ≥ 1). `random` in 0.0..1.0 spreads it over the upper half, so
/// that many sinks do not come back at the same moment. A destination's own wish is a lower bound, up to ten minutes.
pub(crate) fn wait(retry: &Retry, failures: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doubled = retry.initial.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let full = doubled.min(retry.max);
    let wait = full.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0));
    wait.max(asked.unwrap_or_default().min(Duration::from_secs(600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_bound_and_never_overflows() {
        let retry = Retry { initial: Duration::from_millis(200), max: Duration::from_secs(60) };
        let top = |failures| wait(&retry, failures, None, 1.0);
        assert_eq!(top(1), Duration::from_millis(200));
        assert_eq!(top(4), Duration::from_millis(1600));
        for failures in [20, 33, u32::MAX] {
            assert_eq!(top(failures), Duration::from_secs(60));
        }
        assert_eq!(wait(&retry, 1, None, 0.0), Duration::from_millis(100));
        assert_eq!(wait(&retry, 1, Some(Duration::from_secs(5)), 0.0), Duration::from_secs(5));
        assert_eq!(wait(&retry, 1, Some(Duration::from_secs(1 << 40)), 0.0), Duration::from_secs(600));
    }
}
