//! Who waits for a partition's high watermark: produces for their own records, fetches for anything new.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use logmill_log::LogListener;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Woken by the committing thread, never by polling.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Mutex<Waiting>,
    /// Durable end + 1 once a sync failed; 0 before.
    fenced: AtomicI64,
    closed: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    next_key: u64,
    entries: Vec<Entry>,
}

struct Entry {
    key: u64,
    /// Woken once the high watermark is past this offset.
    past: i64,
    wake: Arc<Notify>,
}

/// Ends the wait when dropped.
pub(crate) struct Registration {
    waiters: Arc<Waiters>,
    key: u64,
}

impl Waiters {
    /// Notifies `wake` once when the high watermark is greater than `past`, or nothing more is to come. Look at the state after registering:
    /// what happened before is not told.
    pub(crate) fn register(self: &Arc<Self>, past: i64, wake: Arc<Notify>) -> Registration {
        let mut waiting = self.waiting.lock();
        let key = waiting.next_key;
        waiting.next_key += 1;
        waiting.entries.push(Entry { key, past, wake });
        Registration { waiters: self.clone(), key }
    }

    /// The last durable offset + 1, if a sync failed.
    pub(crate) fn fenced_at(&self) -> Option<i64> {
        match self.fenced.load(Ordering::Acquire) {
            0 => None,
            end => Some(end - 1),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Wakes everybody for good: the topic is deleted.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake(i64::MAX);
    }

    fn wake(&self, high_watermark: i64) {
        self.waiting.lock().entries.retain(|entry| {
            let done = high_watermark > entry.past;
            if done {
                entry.wake.notify_one();
            }
            !done
        });
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock();
        if let Some(index) = waiting.entries.iter().position(|entry| entry.key == self.key) {
            waiting.entries.swap_remove(index);
        }
    }
}

/// Hands a log's news to its partition's waiters.
pub(crate) struct Listener(pub(crate) Arc<Waiters>);

impl LogListener for Listener {
    fn high_watermark_moved(&self, high_watermark: i64) {
        self.0.wake(high_watermark);
    }

    fn fenced(&self, durable_end: i64) {
        self.0.fenced.store(durable_end.saturating_add(1), Ordering::Release);
        self.0.wake(i64::MAX);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::time::Duration;

    use super::*;

    async fn woken(wake: &Notify) -> bool {
        tokio::time::timeout(Duration::from_millis(20), wake.notified()).await.is_ok()
    }

    #[tokio::test]
    async fn only_those_whose_offset_is_passed_are_woken() {
        let waiters = Arc::new(Waiters::default());
        let (first, second) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let _first = waiters.register(4, first.clone());
        let second_registration = waiters.register(5, second.clone());
        let listener = Listener(waiters.clone());
        listener.high_watermark_moved(4);
        assert!(!woken(&first).await);
        listener.high_watermark_moved(5);
        assert!(woken(&first).await && !woken(&second).await);
        drop(second_registration);
        assert!(waiters.waiting.lock().entries.is_empty());
    }

    #[tokio::test]
    async fn a_fence_and_a_deletion_wake_everybody() {
        let waiters = Arc::new(Waiters::default());
        let wake = Arc::new(Notify::new());
        let _registration = waiters.register(100, wake.clone());
        Listener(waiters.clone()).fenced(0);
        assert!(woken(&wake).await);
        assert_eq!(waiters.fenced_at(), Some(0));
        let _registration = waiters.register(100, wake.clone());
        waiters.close();
        assert!(woken(&wake).await && waiters.is_closed());
    }
}
