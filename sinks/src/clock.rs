//! The crate's clock: the only place that asks the system for the time.

#![allow(clippy::disallowed_methods)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// By the wall clock, for names and ages of files.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Milliseconds since the epoch, by the wall clock.
pub(crate) fn wall_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
