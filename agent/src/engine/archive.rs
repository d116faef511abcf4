//! Compressed files: the continuation of a file that was rotated, or files of their own.
//!
//! A compressed file is a known file's continuation when its name can be made of that file's, and its content has the
//! same beginning and the same bytes before the acknowledged offset. As long as the known file can be read itself, the
//! compressed one waits; then it goes on where that one stood, under its identity. One that is nobody's is read from
//! its beginning if a glob matches it, or if it came while nobody looked.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Engine,
    admit::Found,
    copy::{self, Original},
};
use crate::{
    checkpoint::Entry,
    clock::Now,
    discover::{Listing, before_rotation},
    identity::{Stat, fingerprint},
    produce::Producer,
    source::{Format, Source},
    tracked::Tracked,
};

/// Compressed files that are read at the same time: each costs a decoder and a window.
pub(super) const MAX_OPEN: usize = 4;
/// Decompressed between two beats of the pulse.
const STRIDE: u64 = 64 << 20;
/// The others of its name wait no longer for a file to be found in a compressed one.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Files that are known to be nobody's continuation, at most.
const MAX_FOREIGN: usize = 100_000;

/// What a compressed file is.
enum Continues {
    Nobody,
    /// Somebody who can still be read.
    Later,
    /// Of this slot, if it is still one.
    Of(Box<Original>, Option<usize>),
}

/// What follows for a compressed file of which nothing was read.
pub(super) enum Resolved {
    /// To be read, from its beginning or where another file stood.
    Read,
    Later,
    /// Not to be read.
    Foreign,
}

impl<P: Producer> Engine<P> {
    pub(super) fn resolve(&mut self, tracked: &mut Tracked, file: &Source) -> io::Result<Resolved> {
        tracked.later_of = None;
        Ok(match self.continues(tracked, file)? {
            Continues::Later => Resolved::Later,
            Continues::Nobody if tracked.only_as_continuation => Resolved::Foreign,
            Continues::Nobody => {
                tracked.resolved = true;
                Resolved::Read
            }
            Continues::Of(original, slot) => {
                let known = slot.and_then(|slot| self.slots.get(slot)).map_or(0, |t| t.size);
                tracked.size = self.unpack_to(file, original.extents_end.max(known))?;
                tracked.resolved = true;
                if let Some(slot) = slot {
                    self.take_place(tracked, slot);
                }
                self.go_on_as_copy(tracked, *original);
                let waits = tracked.after.is_some_and(|(slot, id)| self.slots.get(slot).is_some_and(|t| t.id == id));
                if waits { Resolved::Later } else { Resolved::Read }
            }
        })
    }

    /// Makes a compressed file what its original was to others: its number, what it waits for, what waits for it.
    fn take_place(&mut self, tracked: &mut Tracked, original: usize) {
        self.not_saved(original, tracked.size);
        let Some(known) = self.slots.get_mut(original) else { return };
        let id = known.id;
        (tracked.after, tracked.followed) = (known.after.take(), std::mem::take(&mut known.followed));
        self.forget(original);
        // By its number it keeps its place among the files of its name.
        let own = std::mem::replace(&mut tracked.id, id);
        if tracked.recorded {
            self.pending.push(Entry::Gone(own));
        }
        let Some(own) = self.slots.by_inode(tracked.ino, tracked.birth) else { return };
        let followers: Vec<usize> =
            self.slots.iter().filter(|(_, t)| t.after == Some((original, id))).map(|(slot, _)| slot).collect();
        for follower in followers {
            if let Some(follower) = self.slots.get_mut(follower) {
                follower.after = Some((own, id));
            }
        }
    }

    /// Lets a compressed file that the checkpoint knows, but not whose continuation it is, wait for nobody, nor anybody
    /// for it: it takes a place among the files of its name when it is known.
    pub(super) fn queue_later(&mut self, slot: usize) {
        let unresolved = |t: &&mut Tracked| {
            let compressed = t.name.as_deref().is_some_and(|name| !possible_origins(name).is_empty());
            compressed && t.is_untouched() && !t.resolved && !t.done && t.file.is_none()
        };
        let Some(tracked) = self.slots.get_mut(slot).filter(unresolved) else { return };
        let (id, path, before) = (tracked.id, tracked.path.clone(), tracked.after.take());
        self.succession.remove(&path, id);
        self.follow_instead((slot, id), before);
    }

    /// Lets those that wait for one file wait for another instead, or for none.
    pub(super) fn follow_instead(&mut self, (slot, id): (usize, u64), before: Option<(usize, u64)>) {
        if !self.slots.get_mut(slot).is_some_and(|t| std::mem::take(&mut t.followed)) {
            return;
        }
        let followers = self.slots.iter().filter(|(_, t)| t.after == Some((slot, id)));
        for follower in followers.map(|(slot, _)| slot).collect::<Vec<_>>() {
            if let Some(tracked) = self.slots.get_mut(follower) {
                tracked.after = None;
            }
            self.read_after(follower, before);
            self.wake(follower);
        }
    }

    fn continues(&mut self, tracked: &mut Tracked, file: &Source) -> io::Result<Continues> {
        let names = tracked.name.as_deref().map(possible_origins).unwrap_or_default();
        let known = |t: &Tracked| names.contains(&t.path) && t.id != tracked.id && !t.archived && !t.content_gone;
        let mut slots: Vec<usize> = self.slots.iter().filter(|(_, t)| known(t)).map(|(slot, _)| slot).collect();
        slots.sort_by_key(|slot| self.slots.get(*slot).map(|t| t.birth));
        let mut found = Vec::new();
        for slot in slots {
            let Some(t) = self.slots.get(slot) else { continue };
            let Some(original) = Original::new(t) else { continue };
            // By its name or its open descriptor it is read itself.
            let ended = t.ended.is_some() && !t.has_partial();
            let readable = t.name.is_some() || t.file.is_some() && !ended;
            let wait = readable || !t.in_flight.is_empty();
            // Its plain copy stands further.
            let gone_on = |other: &Tracked| {
                other.id > t.id && other.generation == t.generation && !other.archived && !other.content_gone
            };
            if wait || !self.slots.iter().any(|(_, other)| gone_on(other)) {
                found.push((original, Some(slot), wait));
            }
        }
        let replaced = names.iter().filter_map(|name| self.replaced.get(name).cloned());
        found.extend(replaced.map(|original| (original, None, false)));
        for (original, slot, wait) in found {
            let (len, known) = original.beginning;
            if file.stat(len.into())?.size < len.into() || fingerprint(&file.bytes_at(0, len as usize)?) != known {
                continue;
            }
            if wait {
                tracked.later_of = slot.and_then(|slot| self.slots.get(slot).map(|t| (slot, t.id)));
                return Ok(Continues::Later);
            }
            if self.unpack_to(file, original.position)? < original.position {
                continue;
            }
            match original.mark {
                Some(expected) if copy::mark(file, expected.at)? != Some(expected) => {}
                _ => return Ok(Continues::Of(Box::new(original), slot)),
            }
        }
        Ok(Continues::Nobody)
    }

    /// Decompresses up to `offset`; how much content there is then.
    pub(super) fn unpack_to(&self, file: &Source, offset: u64) -> io::Result<u64> {
        let mut size = file.size().unwrap_or(0);
        loop {
            let next = size.saturating_add(STRIDE).min(offset);
            let now = file.stat(next)?.size;
            if now >= offset || now <= size {
                return Ok(now);
            }
            self.around.pulse.working();
            size = now;
        }
    }

    /// Whether a compressed file that nothing was read of may be the continuation of a file of this name and number.
    pub(super) fn awaits_unpacking(&self, path: &Path, id: u64) -> bool {
        self.possible_continuation(path, id).is_some()
    }

    /// Slot and number of the latest compressed file that may be the continuation of a file of this name and number.
    pub(super) fn possible_continuation(&self, path: &Path, id: u64) -> Option<(usize, u64)> {
        // One that waits for another file's end is that one's: who waits for both would wait for itself.
        let others = |t: &Tracked| {
            let still = |(slot, of): (usize, u64)| self.slots.get(slot).is_some_and(|t| t.id == of && !t.content_gone);
            t.later_of.is_some_and(|(slot, of)| of != id && still((slot, of)))
        };
        let may_be = |t: &Tracked| {
            let unresolved = !t.resolved && !t.done && t.is_untouched() && !others(t);
            unresolved && t.name.as_deref().is_some_and(|name| possible_origins(name).iter().any(|o| o == path))
        };
        self.slots.iter().filter(|(_, t)| may_be(t)).map(|(slot, t)| (slot, t.id)).max_by_key(|(_, id)| *id)
    }

    /// Whether a file that is gone is to be awaited in a compressed one: not for ever, since others wait for it.
    pub(super) fn waits_for_unpacking(&mut self, slot: usize, now: Now) -> bool {
        let asking = self.slots.get(slot).filter(|t| !t.at_end).map(|t| (t.path.clone(), t.id));
        if !asking.is_some_and(|(path, id)| self.awaits_unpacking(&path, id)) {
            return false;
        }
        let Some(tracked) = self.slots.get_mut(slot) else { return false };
        let (_, since) = *tracked.incomplete.get_or_insert((tracked.size, now.mono));
        self.timers.set(now.mono + copy::QUIET, slot, tracked.id);
        now.mono < since + PATIENCE
    }

    /// Compressed files that no glob matches: those that can be a known file's continuation, and at the start those that
    /// came while nobody looked.
    pub(super) fn compressed(&self, listing: &Listing, unmatched: &[PathBuf], new: &mut Vec<Found>) {
        for path in unmatched {
            let origins = possible_origins(path);
            let Some((origin, input)) =
                origins.into_iter().find_map(|origin| self.input_of(&origin).map(|input| (origin, input)))
            else {
                continue;
            };
            let Ok(stat) = Stat::of_path(path) else { continue };
            let known = self.slots.by_inode(stat.ino, stat.birth).is_some() || self.is_foreign(&stat);
            let elsewhere = path.parent() != Some(listing.dir.as_path());
            if known || elsewhere || !stat.is_file() || !Format::is_of(path) {
                continue;
            }
            let born = if stat.birth > 0 { stat.birth } else { stat.modified };
            let came_unseen =
                self.beginning && born / 1_000_000 >= self.unseen_since_ms.max(self.inputs[input].since.ms);
            if came_unseen || self.slots.iter().any(|(_, t)| t.path == origin) {
                let only_as_continuation = !came_unseen;
                new.push(Found { path: path.clone(), origin, input, stat, only_as_continuation });
            }
        }
    }

    pub(super) fn is_foreign(&self, stat: &Stat) -> bool {
        self.foreign.contains(&(stat.ino, stat.birth))
    }

    /// A compressed file that is not to be read, as long as the agent runs.
    pub(super) fn is_nobodys(&mut self, ino: u64, birth: i64) {
        if self.foreign.len() >= MAX_FOREIGN {
            self.foreign.clear();
        }
        self.foreign.insert((ino, birth));
    }

    /// All of a compressed file is read and acknowledged: it is not opened again.
    pub(super) fn done(&mut self, slot: usize) {
        if let Some(tracked) = self.slots.get_mut(slot) {
            tracked.done = true;
            let id = tracked.id;
            self.pending.push(Entry::Done(id));
        }
        self.slots.close(slot);
    }
}

/// The names that the file of a compressed file's name can have had when it matched; none when it is no such name.
pub(super) fn possible_origins(path: &Path) -> Vec<PathBuf> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let Some((_, stem)) = Format::of_name(name) else { return Vec::new() };
    std::iter::once(stem).chain(before_rotation(stem)).map(|name| dir.join(name)).collect()
}
