//! The clock of what the daemons share.
#![allow(clippy::disallowed_methods, reason = "this is the clock file")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Monotonic.
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, UTC; 0 on a machine whose clock is before that.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
