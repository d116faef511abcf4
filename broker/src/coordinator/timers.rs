//! When which group has to be looked at: the earliest deadline of each, in one queue that one task sleeps on.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Timers {
    /// Monotonic milliseconds, group.
    queue: Mutex<BTreeSet<(u64, Arc<str>)>>,
    /// The earliest deadline has moved forward.
    earlier: Notify,
}

impl Timers {
    /// Replaces a group's deadline.
    pub(super) fn set(&self, group: &Arc<str>, old: Option<u64>, new: Option<u64>) {
        let mut queue = self.queue.lock();
        if let Some(old) = old {
            queue.remove(&(old, Arc::clone(group)));
        }
        if let Some(new) = new {
            let before = queue.first().map(|(at, _)| *at);
            queue.insert((new, Arc::clone(group)));
            if before.is_none_or(|before| new < before) {
                self.earlier.notify_one();
            }
        }
    }

    /// The earliest deadline.
    pub(super) fn first(&self) -> Option<u64> {
        self.queue.lock().first().map(|(at, _)| *at)
    }

    /// Takes out what is due, with the deadline it was entered with.
    pub(super) fn take_due(&self, now: u64) -> Vec<(u64, Arc<str>)> {
        let mut queue = self.queue.lock();
        let mut due = Vec::new();
        while queue.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(queue.pop_first());
        }
        due
    }

    /// Returns when an earlier deadline than [`Timers::first`] gave may have come in.
    pub(super) async fn earlier(&self) {
        self.earlier.notified().await;
    }
}
