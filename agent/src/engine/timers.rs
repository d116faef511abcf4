//! Deadlines of files, and what happens when they pass.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use super::{Engine, InputState};
use crate::{
    checkpoint::Entry,
    clock::Now,
    produce::Producer,
    source::Source,
    tracked::{Queued, Tracked},
};

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

    /// Time ends the last event of a file when it has not grown for a while; its boundary is written down before the
    /// event becomes a record.
    fn end_unterminated(&mut self, slot: usize, now: Now) {
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        let wait = self.inputs[tracked.input].flush_after(tracked);
        let Some((size, since)) = tracked.partial else { return };
        let grown = tracked.file.as_ref().and_then(Source::size).is_none_or(|now| now != size);
        if grown || now.mono < since + wait || tracked.read_to != size || !tracked.has_partial() {
            return;
        }
        tracked.partial = None;
        let end = tracked.text.map_or(size, |text| text.whole_units(size));
        let is_new = tracked.boundaries.back().is_none_or(|last| *last < end);
        if is_new && (end > tracked.offset || tracked.long.is_some()) {
            tracked.boundaries.push_back(end);
            self.pending.push(Entry::Boundary(tracked.id, end));
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

impl InputState {
    /// How long a file that does not grow waits before time ends what is left of it: lines that are whole wait for
    /// others of their event, a line that is not for its newline.
    pub(super) fn flush_after(&self, tracked: &Tracked) -> Duration {
        let text = tracked.text.unwrap_or(self.framing.text);
        let ended =
            tracked.long.is_none() && tracked.tail.as_ref().is_some_and(|tail| text.ends_with_newline(&tail.bytes));
        self.framing.timeout().filter(|_| ended).unwrap_or(self.config.flush_unterminated)
    }
}
