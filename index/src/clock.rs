//! The crate's clock: the only file that asks for the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch, UTC.
#[allow(clippy::disallowed_methods)]
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Monotonic time, for intervals and durations.
#[allow(clippy::disallowed_methods)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
