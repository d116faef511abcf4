//! The bytes of records held from poll to commit.
//!
//! The reader takes before it knows whether there is room (a record that was polled must be kept) and stops polling
//! while nothing is left: the budget is passed by at most one record.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Budget {
    limit: AtomicUsize,
    used: AtomicUsize,
    freed: Notify,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: AtomicUsize::new(limit), used: AtomicUsize::new(0), freed: Notify::new() }
    }

    /// Another share from now on; what is held above it is kept, and nothing is read until it is gone.
    pub(crate) fn limit_to(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Release);
        self.freed.notify_one();
    }

    pub(crate) fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(crate) fn give(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::AcqRel);
            self.freed.notify_one();
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    pub(crate) fn spent(&self) -> bool {
        self.used() >= self.limit.load(Ordering::Acquire)
    }

    /// Whether at most half is used: reading starts again here, so that it does not stop and go per record.
    pub(crate) fn relaxed(&self) -> bool {
        self.used() <= self.limit.load(Ordering::Acquire) / 2
    }

    /// Returns when something was given back since the last call.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }
}
