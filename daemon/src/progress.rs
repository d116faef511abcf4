//! Whether the daemon's own loops still turn: what the watchdog of systemd and /health/live hang on.
//!
//! A loop tells when it begins a piece of work and when it waits for some. Work that goes on longer than its limit is a
//! stall; waiting never is, so that a daemon whose Kafka is away lives on.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::clock;

/// The loops of one process. Cheap to clone.
#[derive(Clone)]
pub struct Progress(Arc<Loops>);

struct Loops {
    /// Times are kept as milliseconds since then.
    begin: Instant,
    loops: Mutex<Vec<Weak<Loop>>>,
}

struct Loop {
    name: String,
    limit: Duration,
    begin: Instant,
    /// When its piece of work began, in milliseconds since `begin` plus one; 0 while it waits.
    working_since: AtomicU64,
}

/// One loop's side; it is no longer watched when this is dropped.
pub struct Pulse(Arc<Loop>);

impl Progress {
    /// Watches a loop whose single pieces of work take no longer than `limit`.
    pub fn watch(&self, name: &str, limit: Duration) -> Pulse {
        let watched = Loop { name: name.to_owned(), limit, begin: self.0.begin, working_since: AtomicU64::new(0) };
        let watched = Arc::new(watched);
        let mut loops = self.0.loops.lock();
        loops.retain(|other| other.strong_count() > 0);
        loops.push(Arc::downgrade(&watched));
        Pulse(watched)
    }

    /// In words which loop has been at one piece of work for too long.
    pub fn stalled(&self) -> Option<String> {
        self.stalled_at(clock::now())
    }

    fn stalled_at(&self, now: Instant) -> Option<String> {
        let loops: Vec<_> = self.0.loops.lock().iter().filter_map(Weak::upgrade).collect();
        loops.iter().find_map(|watched| {
            let since = watched.working_since.load(Ordering::Relaxed).checked_sub(1)?;
            let busy = now.saturating_duration_since(watched.begin).saturating_sub(Duration::from_millis(since));
            (busy > watched.limit).then(|| {
                format!("{}: no progress for {} s (at most {})", watched.name, busy.as_secs(), watched.limit.as_secs())
            })
        })
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Loops { begin: clock::now(), loops: Mutex::default() }))
    }
}

impl Pulse {
    /// A piece of work begins, and the one before, if any, is done.
    pub fn working(&self) {
        self.working_at(clock::now());
    }

    fn working_at(&self, now: Instant) {
        let ms = u64::try_from(now.saturating_duration_since(self.0.begin).as_millis()).unwrap_or(u64::MAX - 1);
        self.0.working_since.store(ms.saturating_add(1), Ordering::Relaxed);
    }

    /// Nothing to do until something happens.
    pub fn waiting(&self) {
        self.0.working_since.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn work_that_goes_on_too_long_is_a_stall() {
        let progress = Progress::default();
        let pulse = progress.watch("reader", 10 * SECOND);
        let start = progress.0.begin;
        assert_eq!(progress.stalled_at(start + 100 * SECOND), None, "it has not begun");
        pulse.working_at(start + SECOND);
        assert_eq!(progress.stalled_at(start + 11 * SECOND), None);
        let words = "reader: no progress for 12 s (at most 10)";
        assert_eq!(progress.stalled_at(start + 13 * SECOND).as_deref(), Some(words));
        pulse.working_at(start + 13 * SECOND);
        assert_eq!(progress.stalled_at(start + 14 * SECOND), None, "the next piece");
        pulse.waiting();
        assert_eq!(progress.stalled_at(start + 100 * SECOND), None, "waiting may take any time");
    }

    #[test]
    fn each_loop_counts_until_it_is_gone() {
        let progress = Progress::default();
        let (good, bad) = (progress.watch("good", SECOND), progress.watch("bad", SECOND));
        let start = progress.0.begin;
        good.waiting();
        bad.working_at(start);
        assert!(progress.stalled_at(start + 5 * SECOND).is_some_and(|words| words.starts_with("bad:")));
        drop(bad);
        assert_eq!(progress.stalled_at(start + 5 * SECOND), None);
    }
}
