//! Threads that sync files beside the committer: the disk takes what is written to several files together, and the file system commits its metadata and
//! flushes the disk's cache for all that wait at the same time.

use super::commit::Round;
use std::{
    sync::{Arc, mpsc},
    thread::{Builder, JoinHandle},
};

/// Made when there is something to do for them first; they end when this is dropped.
pub(crate) struct SyncThreads {
    threads: Vec<Helper>,
    most: usize,
}

struct Helper {
    rounds: mpsc::SyncSender<Arc<Round>>,
    thread: JoinHandle<()>,
}

impl SyncThreads {
    pub(crate) fn to_help() -> Self {
        Self { threads: Vec::new(), most: 3 }
    }

    /// The committer alone, in the order that it is given.
    pub(crate) fn none() -> Self {
        Self { threads: Vec::new(), most: 0 }
    }

    /// As many as there is work for beside the committer's own. One that comes too late finds nothing left to do.
    pub(super) fn join_in(&mut self, round: &Arc<Round>) {
        let wanted = round.tickets.len().saturating_sub(1).min(self.most);
        while self.threads.len() < wanted {
            let (rounds, queue) = mpsc::sync_channel::<Arc<Round>>(1);
            let work = move || queue.iter().for_each(|round| round.work());
            match Builder::new().name("log-sync".into()).spawn(work) {
                Ok(thread) => self.threads.push(Helper { rounds, thread }),
                // The others do its part.
                Err(_) => break,
            }
        }
        for helper in self.threads.iter().take(wanted) {
            // One that has not even woken up for the round before is not waited for.
            let _ = helper.rounds.try_send(Arc::clone(round));
        }
    }
}

impl Drop for SyncThreads {
    fn drop(&mut self) {
        for Helper { rounds, thread } in self.threads.drain(..) {
            drop(rounds);
            let _ = thread.join();
        }
    }
}
