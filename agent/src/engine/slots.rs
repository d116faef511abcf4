//! The files the agent knows, by slot, name and inode.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use crate::{
    in_flight::InFlight,
    produce::Tag,
    tracked::{Queued, Tracked},
};

/// A slot's number never changes while its file is known, and its sequence numbers go on with the next file.
pub(super) struct Slots {
    slots: Vec<Option<Box<Tracked>>>,
    free: Vec<usize>,
    /// Where the sequence numbers of a free slot go on.
    sequences: Vec<u64>,
    by_name: HashMap<PathBuf, usize>,
    /// By inode and birth time; the latest generation of each.
    by_inode: HashMap<(u64, i64), usize>,
    /// Inodes alone, to spare looking at every file in a directory.
    inodes: HashSet<u64>,
    max_open: usize,
    open: usize,
    /// Looked for in vain in this pass.
    none_idle: bool,
    tick: u64,
}

impl Slots {
    pub(super) fn new(max_open: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            sequences: Vec::new(),
            by_name: HashMap::new(),
            by_inode: HashMap::new(),
            inodes: HashSet::new(),
            max_open: max_open.max(1),
            open: 0,
            none_idle: false,
            tick: 0,
        }
    }

    pub(super) fn get(&self, slot: usize) -> Option<&Tracked> {
        self.slots.get(slot)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Tracked> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Tracked)> {
        self.slots.iter().enumerate().filter_map(|(i, t)| Some((i, t.as_deref()?)))
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn open_files(&self) -> usize {
        self.open
    }

    /// Takes a file out for a while, to work on it beside the engine; [`Slots::put`] brings it back.
    pub(super) fn take(&mut self, slot: usize) -> Option<Box<Tracked>> {
        self.slots.get_mut(slot)?.take()
    }

    pub(super) fn put(&mut self, slot: usize, tracked: Box<Tracked>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(tracked);
        }
    }

    /// None when there are more files than can be told apart.
    pub(super) fn insert(&mut self, mut tracked: Tracked) -> Option<usize> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < Tag::SLOTS => {
                self.slots.push(None);
                self.sequences.push(0);
                self.slots.len() - 1
            }
            None => return None,
        };
        tracked.in_flight = InFlight::starting_at(self.sequences[slot]);
        self.by_inode.insert((tracked.ino, tracked.birth), slot);
        self.inodes.insert(tracked.ino);
        if let Some(name) = &tracked.name {
            self.by_name.insert(name.clone(), slot);
        }
        self.slots[slot] = Some(Box::new(tracked));
        Some(slot)
    }

    pub(super) fn remove(&mut self, slot: usize) -> Option<Box<Tracked>> {
        self.close(slot);
        self.rename(slot, None);
        let tracked = self.take(slot)?;
        let key = (tracked.ino, tracked.birth);
        if self.by_inode.get(&key) == Some(&slot) {
            self.by_inode.remove(&key);
            if !self.by_inode.keys().any(|(ino, _)| *ino == tracked.ino) {
                self.inodes.remove(&tracked.ino);
            }
        }
        self.sequences[slot] = tracked.in_flight.next_sequence();
        self.free.push(slot);
        Some(tracked)
    }

    pub(super) fn by_name(&self, name: &Path) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn by_inode(&self, ino: u64, birth: i64) -> Option<usize> {
        self.by_inode.get(&(ino, birth)).copied()
    }

    pub(super) fn knows_inode(&self, ino: u64) -> bool {
        self.inodes.contains(&ino)
    }

    /// Notes a file's name; whoever had that name before has none now.
    pub(super) fn rename(&mut self, slot: usize, name: Option<PathBuf>) {
        let Some(tracked) = self.get_mut(slot) else { return };
        let old = tracked.rename(name.clone());
        if let Some(old) = old
            && self.by_name.get(&old) == Some(&slot)
        {
            self.by_name.remove(&old);
        }
        if let Some(name) = name
            && let Some(before) = self.by_name.insert(name, slot)
            && before != slot
            && let Some(before) = self.get_mut(before)
        {
            before.rename(None);
        }
    }

    /// Files may have become idle since the last pass over the woken ones.
    pub(super) fn begin_pass(&mut self) {
        self.none_idle = false;
    }

    /// Whether one more file may be opened; closes the least recently used idle ones to make it so. Several at once, and once
    /// in vain in a pass: to find them every file is looked at, and with many files every one of them asks.
    pub(super) fn room_for_one(&mut self) -> bool {
        if self.open < self.max_open {
            return true;
        }
        if self.none_idle {
            return false;
        }
        // A deleted file could not be opened again, and one without a name neither.
        let idle = |t: &Tracked| {
            t.file.is_some() && t.queued == Queued::No && !t.deleted && t.name.is_some() && t.partial.is_none()
        };
        let mut oldest: Vec<(u64, usize)> =
            self.iter().filter(|(_, t)| idle(t)).map(|(slot, t)| (t.last_used, slot)).collect();
        let several = self.max_open.div_ceil(8);
        if oldest.len() > several {
            oldest.select_nth_unstable(several);
            oldest.truncate(several);
        }
        for (_, slot) in &oldest {
            self.close(*slot);
        }
        self.none_idle = oldest.is_empty();
        !self.none_idle
    }

    pub(super) fn opened(&mut self, slot: usize) {
        self.open += 1;
        self.used(slot);
    }

    pub(super) fn used(&mut self, slot: usize) {
        self.tick += 1;
        let tick = self.tick;
        if let Some(tracked) = self.get_mut(slot) {
            tracked.last_used = tick;
        }
    }

    /// How often files were looked at.
    #[cfg(test)]
    pub(super) fn uses(&self) -> u64 {
        self.tick
    }

    pub(super) fn close(&mut self, slot: usize) {
        if self.get_mut(slot).and_then(|t| t.file.take()).is_some() {
            self.open -= 1;
        }
    }

    pub(super) fn nothing_in_flight(&self) -> bool {
        self.iter().all(|(_, t)| t.in_flight.pending() == 0)
    }
}
