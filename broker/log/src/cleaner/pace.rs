//! How fast compaction may read and write, and how it is stopped: it waits rather than starve those who produce.

use parking_lot::{Condvar, Mutex};
use std::time::Duration;

/// Whether the data directory is closing; compaction looks at it and waits on it.
#[derive(Default)]
pub(crate) struct Closing {
    closing: Mutex<bool>,
    wake: Condvar,
}

/// The data directory is closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupted;

impl Closing {
    pub(crate) fn begin(&self) {
        *self.closing.lock() = true;
        self.wake.notify_all();
    }

    /// Waits, but not past the beginning of the close.
    fn wait(&self, time: Duration) -> Result<(), Interrupted> {
        let mut closing = self.closing.lock();
        if !*closing && !time.is_zero() {
            self.wake.wait_for(&mut closing, time);
        }
        if *closing { Err(Interrupted) } else { Ok(()) }
    }
}

/// Bytes against time; `None` does not wait.
pub(crate) struct Pace {
    bytes_per_second: Option<u64>,
    /// When it began, on the clock's monotonic time.
    started: Duration,
    bytes: u64,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: Option<u64>, now: Duration) -> Self {
        Self { bytes_per_second, started: now, bytes: 0 }
    }

    /// Counts bytes read or written and waits as long as they take at the rate allowed.
    pub(crate) fn spend(&mut self, bytes: u64, now: Duration, closing: &Closing) -> Result<(), Interrupted> {
        self.bytes += bytes;
        closing.wait(self.ahead(now))
    }

    /// How far the bytes are ahead of the time; below a few milliseconds it is not worth a wait.
    fn ahead(&self, now: Duration) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        let due = Duration::from_secs_f64(self.bytes as f64 / rate.max(1) as f64);
        let ahead = due.saturating_sub(now.saturating_sub(self.started));
        if ahead < Duration::from_millis(5) { Duration::ZERO } else { ahead.min(Duration::from_secs(10)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time() {
        let start = Duration::from_secs(100);
        let mut pace = Pace::new(Some(1000), start);
        let closing = Closing::default();
        closing.begin();
        assert_eq!(pace.spend(500, start, &closing), Err(Interrupted));
        assert_eq!(pace.ahead(start), Duration::from_millis(500));
        assert_eq!(pace.ahead(start + Duration::from_millis(400)), Duration::from_millis(100));
        assert_eq!(pace.ahead(start + Duration::from_secs(1)), Duration::ZERO);
        let mut free = Pace::new(None, start);
        assert_eq!(free.spend(1 << 40, start, &Closing::default()), Ok(()));
    }
}
