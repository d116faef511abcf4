//! Group commit: everything dirty at once, while the next ones gather.

use super::{DataDir, sync_threads::SyncThreads};
use crate::{commit_choice::Method, log::Ticket, shared::Shared};
use std::{
    io, iter,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

impl DataDir {
    /// Syncs what is dirty, on this thread, and writes checkpoints if they are due; returns how many partitions were dirty. The committer's thread
    /// does this by itself.
    pub fn commit(&self) -> usize {
        let committed = self.shared.commit(&mut SyncThreads::none());
        self.shared.checkpoint_if_due();
        committed
    }
}

impl Shared {
    /// The committer's thread: woken by appends, never by time.
    pub(crate) fn run_committer(self: &Arc<Self>) {
        let mut threads = SyncThreads::to_help();
        loop {
            {
                let mut queue = self.queue.lock();
                while queue.dirty.is_empty() && !queue.checkpoint && !queue.stop {
                    self.wake.wait(&mut queue);
                }
                if queue.stop {
                    return;
                }
            }
            let commit = || {
                self.commit(&mut threads);
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
        self.queue.lock().checkpoint = false;
        if self.since_checkpoint.load(Ordering::Relaxed) >= self.options.recovery_point_bytes
            && let Err(error) = self.checkpoint(false)
        {
            tracing::error!(%error, root = %self.root.display(), "cannot write the recovery points");
        }
    }

    pub(crate) fn commit(self: &Arc<Self>, threads: &mut SyncThreads) -> usize {
        let mut costs = self.committing.lock();
        let dirty = std::mem::take(&mut self.queue.lock().dirty);
        let mut tickets = Vec::with_capacity(dirty.len());
        let mut fenced = false;
        for log in dirty {
            match log.take_ticket() {
                Ok(Some(ticket)) => tickets.push(ticket),
                Ok(None) => {}
                Err(_) => fenced |= log.fence(),
            }
        }
        if tickets.is_empty() {
            if fenced {
                self.record_fences();
            }
            return 0;
        }
        let count = tickets.len();
        let syncs = tickets.iter().map(Ticket::syncs).sum();
        let start = self.options.clock.elapsed();
        let method = costs.choose(syncs, self.options.group_commit, self.file_system.is_some(), start);
        fenced |= match (method, &self.file_system) {
            (Method::Syncfs, Some(file_system)) => match file_system.syncfs("commit syncfs") {
                Ok(()) => {
                    tickets.iter().for_each(|ticket| ticket.log.committed(ticket));
                    false
                }
                Err(error) => {
                    self.commit_failed(&error, tickets.iter().map(|ticket| &ticket.log));
                    true
                }
            },
            _ => self.sync_each_log(tickets, threads),
        };
        let now = self.options.clock.elapsed();
        let took = now.saturating_sub(start);
        costs.measured(method, syncs, took, now);
        self.stats.commit(count, method == Method::Syncfs, took);
        if fenced {
            self.record_fences();
        }
        count
    }

    /// Side by side, as far as there are threads. Returns whether any log was fenced.
    fn sync_each_log(self: &Arc<Self>, tickets: Vec<Ticket>, threads: &mut SyncThreads) -> bool {
        let new_partition = tickets.iter().any(|ticket| ticket.partition);
        let root = new_partition.then(|| self.options.disk.sync_dir(&self.root, "commit data directory"));
        let root_error = root.and_then(Result::err);
        let count = tickets.len();
        let (told, fenced) = mpsc::sync_channel(count);
        let round = Arc::new(Round { shared: Arc::clone(self), tickets, root_error, next: AtomicUsize::new(0), told });
        threads.join_in(&round);
        round.work();
        fenced.iter().take(count).fold(false, |any, fenced| any | fenced)
    }

    fn sync_ticket(&self, ticket: &Ticket) -> io::Result<()> {
        let disk = &*self.options.disk;
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
    pub(crate) fn commit_failed<'a>(&self, error: &io::Error, committing: impl Iterator<Item = &'a Arc<crate::Log>>) {
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
        self.files.len() + usize::from(self.names || self.partition) + usize::from(self.partition)
    }
}

/// The logs of one commit that are synced one by one, each by whoever comes first.
pub(super) struct Round {
    shared: Arc<Shared>,
    pub(super) tickets: Vec<Ticket>,
    /// Why the data directory, which has the names of new partitions, could not be synced.
    root_error: Option<io::Error>,
    next: AtomicUsize,
    /// Whether a log was fenced, once for each.
    told: mpsc::SyncSender<bool>,
}

impl Round {
    /// Each log is told as soon as its own is durable.
    pub(super) fn work(&self) {
        while let Some(ticket) = self.tickets.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            // The committer waits for this thread's word, whatever becomes of the sync.
            let synced = catch_unwind(AssertUnwindSafe(|| self.sync(ticket)));
            let fenced = match synced.unwrap_or_else(|_| Err(io::Error::other("panicked"))) {
                Ok(()) => false,
                Err(error) => {
                    self.shared.stats.failed_syncs.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(log = ticket.log.name(), %error, "sync failed");
                    ticket.log.fence()
                }
            };
            let _ = self.told.send(fenced);
        }
    }

    fn sync(&self, ticket: &Ticket) -> io::Result<()> {
        match &self.root_error {
            Some(e) if ticket.partition => return Err(io::Error::new(e.kind(), e.to_string())),
            _ => self.shared.sync_ticket(ticket)?,
        }
        ticket.log.committed(ticket);
        Ok(())
    }
}
