//! The agent's clock: the only file that asks the system for the time, CPU time included.

use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Both clocks at one moment: `mono` for deadlines, `unix_ms` for what is written into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) mono: Instant,
    /// Milliseconds since 1970, UTC.
    pub(crate) unix_ms: i64,
}

impl Now {
    #[allow(clippy::disallowed_methods)]
    pub(crate) fn read() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { mono: Instant::now(), unix_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX) }
    }
}

/// What all threads of the process have used since its start.
pub(crate) fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default()
}
