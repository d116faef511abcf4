//! The crate's clock: wall time for records and retention, handed in so that tests set it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

/// Milliseconds since the epoch, from the system or from a test. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    pub(crate) fn system() -> Self {
        Self(Arc::new(|| {
            #[allow(clippy::disallowed_methods)] // this is the crate's clock
            let now = std::time::SystemTime::now();
            let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        }))
    }

    /// Wall time in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.0)()
    }

    /// Monotonic time, for deadlines and latencies.
    pub(crate) fn monotonic(&self) -> Instant {
        Instant::now()
    }
}
