//! Deadlines of files, and what happens when they pass.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use super::Engine;
use crate::{checkpoint::Entry, clock::Now, produce::Producer, tracked::Queued};

/// Deadlines, earliest first. A deadline says only: look again; what is true then is asked then.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, usize, u64)>>);

impl Timers {
    /// For the file with this number in this slot.
    pub(super) fn set(&mut self, at: Instant, slot: usize, id: u64) {
        self.0.push(Reverse((at, slot, id)));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }

    fn pop_due(&mut self, now: Instant) -> Option<(usize, u64)> {
        let due = self.0.peek().is_some_and(|Reverse((at, ..))| *at <= now);
        if !due {
            return None;
        }
        self.0.pop().map(|Reverse((_, slot, id))| (slot, id))
    }
}

impl<P: Producer> Engine<P> {
    pub(super) fn due_timers(&mut self, now: Now) {
        while let Some((slot, id)) = self.timers.pop_due(now.mono) {
            if self.slots.get(slot).is_some_and(|t| t.id == id) {
                self.wake(slot);
                self.end_unterminated(slot, now);
            }
        }
    }

    /// Time ends the last line of a file when it has not grown for `flush_unterminated`; its boundary is written down
    /// before the line becomes a record.
    fn end_unterminated(&mut self, slot: usize, now: Now) {
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        let wait = self.inputs[tracked.input].config.flush_unterminated;
        let Some((size, since)) = tracked.partial else { return };
        let grown = tracked.file.as_ref().and_then(|f| f.metadata().ok()).is_none_or(|m| m.len() != size);
        if grown || now.mono < since + wait || tracked.read_to != size || !tracked.has_partial() {
            return;
        }
        tracked.partial = None;
        if tracked.boundaries.back().is_none_or(|last| *last < size) {
            tracked.boundaries.push_back(size);
            self.pending.push(Entry::Boundary(tracked.id, size));
        }
        if tracked.long.is_none() {
            tracked.read_to = tracked.offset;
        }
        if tracked.queued != Queued::Read {
            tracked.queued = Queued::Read;
            self.read.push_back(slot);
        }
    }

    /// Has a file looked at soon.
    pub(super) fn wake(&mut self, slot: usize) {
        if let Some(tracked) = self.slots.get_mut(slot)
            && tracked.queued == Queued::No
        {
            tracked.queued = Queued::Look;
            self.look.push_back(slot);
        }
    }
}
