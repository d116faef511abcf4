//! Inputs that are no files: their spools' segments are read like files, and removed once all of them is acknowledged.

use std::path::Path;

use super::{Engine, InputState, emit::Kept};
use crate::{
    AgentError,
    clock::Now,
    discover::Base,
    feed::{self, Spooled},
    identity::Generation,
    ledger::Reason,
    line_id::segment_line_id,
    produce::Producer,
    record::Flags,
    status::FileStatus,
    tracked::Tracked,
};

impl InputState {
    /// The one name of all segments of its spool, if it has one: by it they are read one after the other.
    pub(super) fn stream(&self) -> Option<&Path> {
        self.spool.as_ref().map(|spool| spool.dir())
    }
}

impl<P: Producer> Engine<P> {
    /// Has segments looked at that grew or were sealed.
    pub(super) fn take_news(&mut self, now: Now) {
        let mut bases = Vec::new();
        for at in 0..self.inputs.len() {
            let Some(spool) = self.inputs[at].spool.clone() else { continue };
            let mut unknown = false;
            for segment in spool.news() {
                match self.slots.by_name(&segment) {
                    Some(slot) => self.wake(slot),
                    None => unknown = true,
                }
            }
            if unknown {
                bases.push(Base { dir: spool.dir().to_owned(), depth: 0 });
            }
        }
        if !bases.is_empty() {
            for listing in self.list(&bases, now) {
                self.take_listing(&listing, false);
            }
        }
    }

    /// A line of a spool with its identity; of another file as it is. None when there is nothing to send.
    pub(super) fn identified<'a>(
        &mut self,
        tracked: &mut Tracked,
        generation: &Generation,
        kept: Kept<'a>,
    ) -> Option<Kept<'a>> {
        let input = &self.inputs[tracked.input];
        if input.spool.is_none() {
            return Some(kept);
        }
        if !input.config.source.is_journal() {
            let name = tracked.name.as_ref().and_then(|name| name.file_name()).unwrap_or_default();
            let id = segment_line_id(generation, name.as_encoded_bytes(), kept.start, kept.raw, &mut self.scratch);
            return Some(Kept { id: Some(id), ..kept });
        }
        match feed::spooled(kept.raw) {
            Spooled::Entry { id, truncated } => {
                let flags = Flags { truncated: truncated || kept.flags.truncated, ..kept.flags };
                Some(Kept { id: Some(id), flags, ..kept })
            }
            Spooled::TooLong => {
                tracked.in_flight.dropped(kept.end, Reason::LongLine);
                self.count_read(tracked, kept.end);
                None
            }
            Spooled::Torn => {
                tracked.in_flight.skipped(kept.end, false);
                None
            }
        }
    }

    /// Whether nothing of a segment is needed any more.
    pub(super) fn is_spent(&self, slot: usize) -> bool {
        let Some(tracked) = self.slots.get(slot) else { return false };
        let (Some(spool), Some(name)) = (&self.inputs[tracked.input].spool, &tracked.name) else { return false };
        tracked.in_flight.is_empty() && spool.is_whole(name, tracked.position)
    }

    /// Removes the segments that are spent, after their positions are durable: a segment that is gone was acknowledged.
    pub(super) fn remove_spent(&mut self, now: Now) -> Result<(), AgentError> {
        if self.spent.is_empty() {
            return Ok(());
        }
        self.checkpoint(now, true)?;
        if self.no_space {
            return Ok(());
        }
        for slot in std::mem::take(&mut self.spent) {
            if !self.is_spent(slot) {
                continue;
            }
            let Some(tracked) = self.slots.get(slot) else { continue };
            let (Some(spool), Some(name)) = (self.inputs[tracked.input].spool.clone(), tracked.name.clone()) else {
                continue;
            };
            match spool.remove(&name) {
                Ok(()) => self.forget(slot),
                // The next scan looks at it again.
                Err(error) => self.warn(&name, &error, now),
            }
        }
        self.write_pending()
    }

    /// Whether there is nothing left to wait for: standard input alone is at its end, or all is read that was to be read once.
    pub(crate) fn is_finished(&self) -> bool {
        let alone = self.inputs.len() == 1 && self.inputs.iter().all(|input| input.config.source.is_stdin());
        let mut spools = self.inputs.iter().filter_map(|input| input.spool.as_ref());
        (alone || self.around.once) && spools.all(|spool| spool.is_finished()) && (alone || self.all_read())
    }

    /// A spool as one stream.
    pub(super) fn status_of_spool(&self, at: usize, now: Now) -> Option<FileStatus> {
        let InputState { config, spool, .. } = self.inputs.get(at)?;
        let spool = spool.as_ref()?;
        let mut whole = FileStatus {
            input: config.name.clone(),
            path: config.source.name().to_owned(),
            name: None,
            size: spool.held(),
            acknowledged: 0,
            read: 0,
            bytes_per_second: 0,
            state: spool.activity(),
        };
        for (_, segment) in self.slots.iter().filter(|(_, t)| t.input == at) {
            let segment = self.status_of(segment, now);
            whole.acknowledged += segment.acknowledged;
            whole.read += segment.read;
            whole.bytes_per_second += segment.bytes_per_second;
            if segment.lag() > 0 && !whole.state.contains("; ") {
                whole.state = format!("{}; {}", whole.state, segment.state);
            }
        }
        Some(whole)
    }
}
