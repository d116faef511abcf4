//! Commits: what is dirty becomes durable, log by log on several threads or all at once, while the next appends gather.

use super::DataDir;
use crate::{Log, commit_choice::Method, log::Ticket, shared::Shared};
use logmill_disk::FileSystem;
use std::{
    io, iter, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

impl DataDir {
    /// Syncs what is dirty, on this thread, and writes checkpoints if they are due; returns how many partitions were dirty. The committer's threads
    /// do this by themselves.
    pub fn commit(&self) -> usize {
        let committed = self.shared.commit_all();
        self.shared.checkpoint_if_due();
        committed
    }
}

/// What a thread of the committer does next.
enum Next<'a> {
    One(Arc<Log>),
    AllAtOnce(&'a dyn FileSystem),
    /// Look at the checkpoints only.
    None,
}

impl Shared {
    /// One of the committer's threads, woken by appends, never by time. Each takes the log that has waited longest, so that what comes to one does not
    /// wait for others to be synced; the file system commits its metadata and flushes the disk's cache for all that sync at the same time.
    pub(crate) fn run_committer(&self) {
        loop {
            let next = {
                let mut queue = self.queue.lock();
                while queue.dirty.is_empty() && !queue.checkpoint && !queue.stop {
                    self.wake.wait(&mut queue);
                }
                if queue.stop {
                    return;
                }
                queue.checkpoint = false;
                let next = match self.to_sync_at_once(queue.dirty.len()) {
                    Some(file_system) => Next::AllAtOnce(file_system),
                    None => queue.dirty.pop_front().map_or(Next::None, Next::One),
                };
                if matches!(next, Next::One(_)) && !queue.dirty.is_empty() {
                    self.wake.notify_one();
                }
                next
            };
            let commit = || {
                match next {
                    Next::One(log) => {
                        self.commit_one(&log);
                    }
                    Next::AllAtOnce(file_system) => {
                        self.commit_at_once(file_system);
                    }
                    Next::None => {}
                }
                self.checkpoint_if_due();
            };
            if catch_unwind(AssertUnwindSafe(commit)).is_err() {
                // What it had taken to be synced is known to nobody any more.
                self.commit_failed(&io::Error::other("the committer panicked"), iter::empty());
                self.record_fences();
            }
        }
    }

    fn checkpoint_if_due(&self) {
        let due = self.options.recovery_point_bytes;
        // Of several threads that see it, one.
        if self.since_checkpoint.load(Ordering::Relaxed) >= due
            && self.since_checkpoint.swap(0, Ordering::Relaxed) >= due
            && let Err(error) = self.checkpoint(false)
        {
            tracing::error!(%error, root = %self.root.display(), "cannot write the recovery points");
        }
    }

    pub(crate) fn commit_all(&self) -> usize {
        let dirty = {
            let mut queue = self.queue.lock();
            if let Some(file_system) = self.to_sync_at_once(queue.dirty.len()) {
                drop(queue);
                return self.commit_at_once(file_system);
            }
            mem::take(&mut queue.dirty)
        };
        dirty.iter().filter(|log| self.commit_one(log)).count()
    }

    /// The file system, if that is to be synced and not one log after the other.
    fn to_sync_at_once(&self, dirty: usize) -> Option<&dyn FileSystem> {
        let file_system = self.file_system.as_deref()?;
        let now = self.options.clock.elapsed();
        let method = self.costs.lock().choose(dirty, self.options.group_commit, now);
        (method == Method::Syncfs).then_some(file_system)
    }

    /// Returns whether there was anything to sync.
    fn commit_one(&self, log: &Arc<Log>) -> bool {
        let _commits = self.committing.read();
        let ticket = match log.take_ticket() {
            Ok(Some(ticket)) => ticket,
            Ok(None) => return false,
            Err(_) => {
                if log.fence() {
                    self.record_fences();
                }
                return false;
            }
        };
        let start = self.options.clock.elapsed();
        // Readers wait for what comes of it, whatever that is.
        let synced = catch_unwind(AssertUnwindSafe(|| self.sync_ticket(&ticket)));
        let synced = synced.unwrap_or_else(|_| Err(io::Error::other("panicked")));
        self.measured(Method::Fdatasync, std::slice::from_ref(&ticket), start);
        match synced {
            Ok(()) => log.committed(&ticket),
            Err(error) => {
                self.stats.failed_syncs.fetch_add(1, Ordering::Relaxed);
                tracing::error!(log = log.name(), %error, "sync failed");
                if log.fence() {
                    self.record_fences();
                }
            }
        }
        true
    }

    /// All that are dirty once no other commit is under way; returns how many that were.
    fn commit_at_once(&self, file_system: &dyn FileSystem) -> usize {
        let _commits = self.committing.write();
        let dirty = mem::take(&mut self.queue.lock().dirty);
        let mut tickets = Vec::with_capacity(dirty.len());
        let mut fenced = false;
        for log in dirty {
            match log.take_ticket() {
                Ok(Some(ticket)) => tickets.push(ticket),
                Ok(None) => {}
                Err(_) => fenced |= log.fence(),
            }
        }
        if !tickets.is_empty() {
            let start = self.options.clock.elapsed();
            let synced = file_system.syncfs("commit syncfs");
            self.measured(Method::Syncfs, &tickets, start);
            match synced {
                Ok(()) => tickets.iter().for_each(|ticket| ticket.log.committed(ticket)),
                Err(error) => {
                    self.commit_failed(&error, tickets.iter().map(|ticket| &ticket.log));
                    fenced = true;
                }
            }
        }
        if fenced {
            self.record_fences();
        }
        tickets.len()
    }

    fn measured(&self, method: Method, tickets: &[Ticket], start: std::time::Duration) {
        let now = self.options.clock.elapsed();
        let (took, syncs) = (now.saturating_sub(start), tickets.iter().map(Ticket::syncs).sum());
        self.costs.lock().measured(method, syncs, took, now);
        self.stats.commit(tickets.len(), method == Method::Syncfs, took);
    }

    fn sync_ticket(&self, ticket: &Ticket) -> io::Result<()> {
        let disk = &*self.options.disk;
        if ticket.partition {
            disk.sync_dir(&self.root, "commit data directory")?;
        }
        for file in &ticket.files {
            file.sync_data("commit file")?;
        }
        if ticket.partition {
            disk.open(&ticket.partition_metadata(), false)?.sync_data("commit partition metadata")?;
        }
        if ticket.names || ticket.partition {
            disk.sync_dir(ticket.log.dir(), "commit partition directory")?;
        }
        Ok(())
    }

    /// The error is reported once, whoever's data were lost: every log that has anything unsynced is fenced.
    pub(crate) fn commit_failed<'a>(&self, error: &io::Error, committing: impl Iterator<Item = &'a Arc<Log>>) {
        self.stats.failed_syncs.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, root = %self.root.display(), "commit failed");
        for log in committing {
            log.fence();
        }
        for log in self.all_logs().iter().filter(|log| log.has_unsynced()) {
            log.fence();
        }
    }
}

impl Ticket {
    /// Syncs it takes one by one.
    fn syncs(&self) -> usize {
        self.files.len() + usize::from(self.names || self.partition) + 2 * usize::from(self.partition)
    }
}
