//! The applier: one thread that gives durable pending documents to Tantivy writers and commits them.
//!
//! At most `max_writers` writers are open. An index without one waits in the queue while its documents gather in the
//! log; its turn takes all of them at once, so that many indices written in turns cost one commit per turn and index,
//! not one per bulk. A commit follows within half the refresh interval of the first document, unless commits would take more
//! than a fifth of the time. With nothing to do the thread sleeps without a timer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use logmill_daemon::Pulse;
use parking_lot::{Condvar, Mutex};
use tantivy::TantivyError;

use super::{
    Engine, Shard,
    decide::finish,
    shard::{Change, Pending},
    write::parse,
    writer::OpenWriter,
};
use crate::{
    IndexError, clock,
    wal::{Record, record_end},
};

/// A writer without work is closed after this time.
const IDLE: Duration = Duration::from_secs(10);
/// An index that waits with so many documents gets its turn at once.
const IMPATIENT: usize = 20_000;

#[derive(Default)]
pub(super) struct Signals {
    inbox: Mutex<Inbox>,
    wake: Condvar,
}

#[derive(Default)]
struct Inbox {
    queue: Vec<Arc<Shard>>,
    /// To be made visible now.
    urgent: Vec<Arc<Shard>>,
    /// Something changed that the applier may wait for.
    poked: bool,
    stop: bool,
}

impl Engine {
    /// Tells the applier that an index has something to do.
    pub(super) fn enqueue(&self, shard: &Arc<Shard>) {
        if !shard.queued.swap(true, Ordering::AcqRel) {
            self.signals.inbox.lock().queue.push(shard.clone());
        }
        self.poke();
    }

    /// Wakes the applier: the log got further.
    pub(crate) fn poke(&self) {
        self.signals.inbox.lock().poked = true;
        self.signals.wake.notify_one();
    }

    pub(crate) fn stop_applier(&self) {
        self.signals.inbox.lock().stop = true;
        self.signals.wake.notify_one();
    }

    /// Asks for everything written so far to become findable; [`Engine::wait_visible`] tells when.
    pub(crate) fn refresh(&self, shards: &[Arc<Shard>]) {
        self.signals.inbox.lock().urgent.extend(shards.iter().cloned());
        self.poke();
    }

    /// The log position that must be visible for everything written to `shard` so far to be findable.
    pub(crate) fn written(&self, shard: &Shard) -> u64 {
        let state = shard.state.lock();
        let pending = state.pending.back().map(|pending| record_end(pending.place));
        // Given to the writer but not committed: the next commit's position is not known here, `uncommitted` is.
        pending.or(state.uncommitted.map(|first| first + 1)).unwrap_or(0)
    }

    /// Waits until `position` of an index is findable.
    ///
    /// # Errors
    /// The disk failed.
    pub(crate) async fn wait_visible(&self, shard: &Shard, position: u64) -> Result<(), Arc<str>> {
        let mut visible = shard.visible.subscribe();
        tokio::select! {
            _ = visible.wait_for(|visible| *visible >= position) => Ok(()),
            failed = self.wal.wait_durable(u64::MAX) => failed,
        }
    }

    /// Takes back what pending documents held.
    pub(super) fn forget(&self, pending: &VecDeque<Pending>) {
        let bytes = pending.iter().map(bytes_of).sum();
        self.pending.remove(pending.len(), bytes);
    }

    /// The applier thread.
    ///
    /// # Errors
    /// An index cannot be written: nothing more is accepted, the log keeps what is not committed.
    pub(crate) fn apply_until_stopped(self: &Arc<Self>, pulse: Pulse) -> Result<(), IndexError> {
        let mut applier = Applier { engine: self.clone(), writers: HashMap::new(), waiting: VecDeque::new(), pulse };
        let result = applier.run();
        if let Err(error) = &result {
            self.wal.fail(&error.to_string());
        }
        result
    }
}

fn bytes_of(pending: &Pending) -> usize {
    if let Change::Put { bytes, .. } = &pending.change { *bytes as usize } else { 0 }
}

struct Applier {
    engine: Arc<Engine>,
    writers: HashMap<u64, OpenWriter>,
    /// Indices with something to do and no writer, or whose records are not durable yet, oldest first.
    waiting: VecDeque<(Instant, Arc<Shard>)>,
    /// A piece of work is what one index has pending, or one commit.
    pulse: Pulse,
}

fn failed(shard: &Shard) -> impl FnOnce(TantivyError) -> IndexError {
    let index = shard.name.to_string();
    move |source| IndexError::Tantivy { index, source }
}

impl Applier {
    fn run(&mut self) -> Result<(), IndexError> {
        let interval = self.engine.options.refresh_interval;
        loop {
            let deadline = self.deadline(interval);
            self.pulse.waiting();
            let (queue, urgent, stop) = self.wait(deadline);
            self.pulse.working();
            let now = clock::now();
            self.waiting.extend(queue.into_iter().map(|shard| (now, shard)));
            if stop {
                return self.finish();
            }
            for shard in urgent {
                self.make_visible(&shard)?;
            }
            self.serve_waiting(interval)?;
            self.commit_due(interval)?;
            self.close_idle()?;
            let metrics = &self.engine.metrics;
            metrics.pending.set(i64::try_from(self.engine.pending()).unwrap_or(i64::MAX));
            metrics.log_bytes.set(i64::try_from(self.engine.wal.bytes()).unwrap_or(i64::MAX));
            metrics.indices.set(i64::try_from(self.engine.count()).unwrap_or(i64::MAX));
            metrics.open_writers.set(i64::try_from(self.writers.len()).unwrap_or(i64::MAX));
        }
    }

    fn wait(&self, deadline: Option<Instant>) -> (Vec<Arc<Shard>>, Vec<Arc<Shard>>, bool) {
        let signals = &self.engine.signals;
        let mut inbox = signals.inbox.lock();
        while !inbox.poked && !inbox.stop && inbox.queue.is_empty() && inbox.urgent.is_empty() {
            match deadline {
                Some(deadline) => {
                    if signals.wake.wait_until(&mut inbox, deadline).timed_out() {
                        break;
                    }
                }
                None => signals.wake.wait(&mut inbox),
            }
        }
        inbox.poked = false;
        (std::mem::take(&mut inbox.queue), std::mem::take(&mut inbox.urgent), inbox.stop)
    }

    /// When there is something to do even if nothing happens.
    fn deadline(&self, interval: Duration) -> Option<Instant> {
        let commits = self.writers.values().filter_map(|writer| writer.due(interval));
        let idle =
            self.writers.values().filter(|writer| writer.dirty_since.is_none()).map(|writer| writer.last_used + IDLE);
        let durable = self.engine.wal.durable().position;
        let waiting =
            self.waiting.iter().filter(|(_, shard)| ready(shard, durable)).map(|(since, _)| *since + interval / 2);
        commits.chain(idle).chain(waiting).min()
    }

    fn serve_waiting(&mut self, interval: Duration) -> Result<(), IndexError> {
        let durable = self.engine.wal.durable().position;
        for _ in 0..self.waiting.len() {
            let Some((since, shard)) = self.waiting.pop_front() else { break };
            if shard.is_deleted() {
                self.drop_index(&shard);
                continue;
            }
            if !ready(&shard, durable) {
                if shard.state.lock().pending.is_empty() {
                    self.done_waiting(shard);
                } else {
                    self.waiting.push_back((since, shard));
                }
                continue;
            }
            if !self.writers.contains_key(&shard.number) && self.writers.len() >= self.engine.options.max_writers {
                let patient = clock::now() < since + interval / 2 && shard.state.lock().pending.len() < IMPATIENT;
                if patient || self.stopping() {
                    self.waiting.push_back((since, shard));
                    continue;
                }
            }
            self.feed(&shard)?;
            self.done_waiting(shard);
            self.commit_due(interval)?;
        }
        Ok(())
    }

    /// Takes an index off the queue, unless it got more meanwhile.
    fn done_waiting(&mut self, shard: Arc<Shard>) {
        shard.queued.store(false, Ordering::Release);
        let more = !shard.state.lock().pending.is_empty() || shard.is_deleted();
        if more && !shard.queued.swap(true, Ordering::AcqRel) {
            self.waiting.push_back((clock::now(), shard));
        }
    }

    fn stopping(&self) -> bool {
        self.engine.signals.inbox.lock().stop
    }

    /// Gives all durable pending changes of an index to its writer.
    fn feed(&mut self, shard: &Arc<Shard>) -> Result<(), IndexError> {
        self.pulse.working();
        let durable = self.engine.wal.durable().position;
        let pending: VecDeque<Pending> = {
            let mut state = shard.state.lock();
            let count = state.pending.iter().take_while(|pending| record_end(pending.place) <= durable).count();
            if count == state.pending.len() {
                std::mem::take(&mut state.pending)
            } else {
                state.pending.drain(..count).collect()
            }
        };
        if pending.is_empty() {
            return Ok(());
        }
        let engine = self.engine.clone();
        let writer = self.writer(shard)?;
        for pending in pending {
            let bytes = bytes_of(&pending);
            let position = record_end(pending.place);
            engine.give(writer, pending).map_err(failed(shard))?;
            engine.pending.remove(1, bytes);
            writer.applied(position);
        }
        Ok(())
    }

    /// The index's writer, opened in place of the least recently used one if need be.
    fn writer(&mut self, shard: &Arc<Shard>) -> Result<&mut OpenWriter, IndexError> {
        if !self.writers.contains_key(&shard.number) {
            while self.writers.len() >= self.engine.options.max_writers {
                let Some(oldest) =
                    self.writers.values().min_by_key(|writer| writer.last_used).map(|writer| writer.shard.number)
                else {
                    break;
                };
                self.commit(oldest)?;
                self.close(oldest)?;
            }
            let writer = OpenWriter::open(shard.clone(), self.engine.options.writer_memory).map_err(failed(shard))?;
            self.writers.insert(shard.number, writer);
        }
        self.writers.get_mut(&shard.number).ok_or_else(|| IndexError::Stopped("writer vanished".to_owned()))
    }

    fn commit(&mut self, number: u64) -> Result<(), IndexError> {
        self.pulse.working();
        let Some(writer) = self.writers.get_mut(&number) else { return Ok(()) };
        if writer.dirty_since.is_none() {
            return Ok(());
        }
        let shard = writer.shard.clone();
        let cost = writer.commit().map_err(failed(&shard))?;
        self.engine.metrics.commits.inc();
        self.engine.metrics.commit_seconds.observe(cost.as_secs_f64());
        self.engine.release_log()
    }

    fn commit_due(&mut self, interval: Duration) -> Result<(), IndexError> {
        let now = clock::now();
        let due: Vec<u64> = self
            .writers
            .iter()
            .filter(|(_, writer)| writer.due(interval).is_some_and(|due| due <= now))
            .map(|(number, _)| *number)
            .collect();
        due.into_iter().try_for_each(|number| self.commit(number))
    }

    fn make_visible(&mut self, shard: &Arc<Shard>) -> Result<(), IndexError> {
        if shard.is_deleted() {
            return Ok(());
        }
        self.feed(shard)?;
        self.commit(shard.number)
    }

    fn close(&mut self, number: u64) -> Result<(), IndexError> {
        self.pulse.working();
        let Some(writer) = self.writers.remove(&number) else { return Ok(()) };
        let shard = writer.shard.clone();
        writer.close().map_err(failed(&shard))?;
        // Merges may have made new segments.
        if let Some(open) = &shard.store.lock().open {
            open.reader.reload().map_err(failed(&shard))?;
        }
        Ok(())
    }

    fn close_idle(&mut self) -> Result<(), IndexError> {
        let now = clock::now();
        let idle: Vec<u64> = self
            .writers
            .iter()
            .filter(|(_, writer)| writer.dirty_since.is_none() && writer.last_used + IDLE <= now)
            .map(|(number, _)| *number)
            .collect();
        idle.into_iter().try_for_each(|number| self.close(number))
    }

    fn drop_index(&mut self, shard: &Arc<Shard>) {
        if let Some(writer) = self.writers.remove(&shard.number) {
            // Its merging threads must not write while the directory goes.
            if let Err(error) = writer.close() {
                tracing::debug!(index = &*shard.name, %error, "closing the writer of a deleted index");
            }
        }
        self.engine.close_reader(shard);
        let removed = if shard.dir.exists() { std::fs::remove_dir_all(&shard.dir) } else { Ok(()) };
        let synced =
            removed.and_then(|()| shard.dir.parent().map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all()));
        if let Err(error) = synced {
            // The log keeps the deletion; the next start removes what is left.
            tracing::warn!(index = &*shard.name, dir = %shard.dir.display(), %error, "cannot remove a deleted index yet");
            shard.visible.send_replace(u64::MAX);
            return;
        }
        shard.visible.send_replace(u64::MAX);
        self.engine.catalog.write().dropping.remove(&shard.number);
    }

    /// On a graceful stop: what has a writer is committed, the rest stays in the log.
    fn finish(&mut self) -> Result<(), IndexError> {
        let open: Vec<Arc<Shard>> = self.writers.values().map(|writer| writer.shard.clone()).collect();
        for shard in open {
            self.make_visible(&shard)?;
        }
        let room = self.engine.options.max_writers.saturating_sub(self.writers.len());
        let rest: Vec<Arc<Shard>> = self.waiting.drain(..).map(|(_, shard)| shard).take(room).collect();
        for shard in rest {
            self.make_visible(&shard)?;
        }
        self.writers.clear();
        Ok(())
    }
}

fn ready(shard: &Shard, durable: u64) -> bool {
    shard.is_deleted() || shard.state.lock().pending.front().is_some_and(|pending| record_end(pending.place) <= durable)
}

impl Engine {
    fn give(&self, writer: &mut OpenWriter, pending: Pending) -> Result<(), TantivyError> {
        match pending.change {
            Change::Settings => Ok(()),
            Change::Delete { id } => {
                writer.delete(&id);
                Ok(())
            }
            Change::Put { document: Some(document), replaces, .. } => writer.put(*document, replaces.as_deref()),
            Change::Put { document: None, replaces, .. } => {
                let body = self.wal.read(pending.place.position, pending.place.length)?;
                let Some(Record::Put { seq_no, version, id, source, .. }) = Record::decode(&body) else {
                    return Err(TantivyError::InternalError(format!(
                        "no document at log position {}",
                        pending.place.position
                    )));
                };
                let mut mapping = writer.shard.mapping();
                match parse(&mut mapping, id, source) {
                    Ok(mut document) => {
                        finish(&mut document, seq_no, version);
                        writer.put(*document, replaces.as_deref())
                    }
                    Err(error) => Err(TantivyError::InternalError(format!(
                        "an accepted document no longer parses: {}",
                        error.reason
                    ))),
                }
            }
        }
    }
}
