//! What the checkpoint knows at the start: its files are taken over, and those that are nowhere are forgotten.

use std::{path::Path, time::Duration};

use super::Engine;
use crate::{checkpoint::FileState, clock::Now, identity::Stat, produce::Producer, tracked::Tracked};

impl<P: Producer> Engine<P> {
    /// Takes over the files of the checkpoint, under no name yet.
    pub(super) fn restore(&mut self) {
        let mut files: Vec<FileState> = self.log.state().files.values().cloned().collect();
        // The latest generation of an inode comes last: the others' content is gone, but may be in copies.
        files.sort_by_key(|state| (state.entry.ino, state.entry.birth, state.entry.truncations));
        let mut copies = Vec::new();
        for state in files {
            let entry = &state.entry;
            let by_name = self.inputs.iter().position(|i| i.config.name == entry.input);
            // Of an input that is no longer configured: kept in the checkpoint, in case it comes back.
            let Some(input) = by_name.or_else(|| self.input_of(&entry.path)) else { continue };
            let stat = Stat {
                dev: entry.dev,
                ino: entry.ino,
                birth: entry.birth,
                size: 0,
                modified: 0,
                changed: 0,
                links: 1,
                kind: rustix::fs::FileType::RegularFile,
            };
            let mut tracked = self.new_tracked(entry.id, input, &stat, entry.path.clone());
            tracked.restore(&state);
            // A copy is not one of the files that followed each other under its original's name.
            let is_copy = tracked.is_copy(&self.around.host_id);
            match self.slots.insert(tracked) {
                Some(_) if is_copy && state.done => {}
                Some(slot) if is_copy => copies.push((entry.id, slot)),
                Some(slot) => self.queue_by_birth(slot),
                None => {}
            }
        }
        copies.sort_unstable();
        for (id, slot) in copies {
            self.queue_copy(slot, id);
        }
    }

    /// Lets a copy be read after what its original followed, and before what was found under the name since.
    fn queue_copy(&mut self, slot: usize, id: u64) {
        let Some((path, generation)) = self.slots.get(slot).map(|t| (t.path.clone(), t.generation)) else { return };
        let is_original = |(other, t): &(usize, &Tracked)| *other != slot && t.generation == generation;
        let original = self.slots.iter().find(is_original).map(|(original, t)| (original, t.id, t.after));
        if let Some((original, of, after)) = original {
            self.read_after(slot, after);
            // Otherwise its truncation is still to be seen.
            if self.is_replaced(original) {
                self.follow_instead((original, of), Some((slot, id)));
            }
            return;
        }
        let Some((next, _)) = self.succession.found_after(&path, id) else { return };
        let before = self.slots.get(next).and_then(|t| t.after);
        self.read_after(slot, before);
        self.read_after(next, Some((slot, id)));
    }

    /// Whether a later generation of the same inode is known.
    pub(super) fn is_replaced(&self, slot: usize) -> bool {
        self.slots.get(slot).and_then(|t| self.slots.by_inode(t.ino, t.birth)).is_some_and(|latest| latest != slot)
    }

    /// Files that no scan found, although their directory is there.
    pub(super) fn missing(&self) -> impl Iterator<Item = (usize, &Tracked)> {
        let gone = |t: &Tracked| {
            !t.content_gone && t.name.is_none() && t.file.is_none() && t.path.parent().is_some_and(Path::is_dir)
        };
        self.slots.iter().filter(move |(_, t)| gone(t))
    }

    /// What neither has a name nor was kept open while it was read: it is gone, if it is still nowhere some time later.
    pub(super) fn await_missing(&mut self, now: Now) {
        let quiet = self.config.rescan_interval.max(Duration::from_secs(1));
        let missing: Vec<usize> = self.missing().map(|(slot, _)| slot).collect();
        for slot in missing {
            let Some(tracked) = self.slots.get_mut(slot).filter(|t| t.in_flight.is_empty()) else { continue };
            let key = (slot, tracked.id);
            if now.mono >= *tracked.ended.get_or_insert(now.mono) + quiet && !self.awaited.contains(&key) {
                self.awaited.push(key);
            }
        }
    }

    /// After the first scans: what the checkpoint knows and is nowhere, is gone. What a compressed file may go on from is
    /// kept until that is known.
    pub(super) fn forget_missing(&mut self) {
        let missing: Vec<(usize, u64)> = self.missing().map(|(slot, t)| (slot, t.id)).collect();
        self.awaited = missing;
        self.forget_unawaited();
    }

    pub(super) fn forget_unawaited(&mut self) {
        // What was renamed while it was looked for may be any of them, or what one of them goes on in.
        if self.scan_soon {
            return;
        }
        for (slot, id) in std::mem::take(&mut self.awaited) {
            let Some(tracked) = self.slots.get(slot).filter(|t| t.id == id && t.name.is_none()) else { continue };
            let (path, done, before) = (tracked.path.clone(), tracked.done, tracked.after);
            if !done && (self.awaits_unpacking(&path, id) || self.awaits_copy(&path)) {
                self.awaited.push((slot, id));
                continue;
            }
            let saved = if done || self.copy_of(slot).is_some() { u64::MAX } else { 0 };
            self.not_saved(slot, saved);
            // What it waited for is still read before what waited for it.
            self.follow_instead((slot, id), before);
            self.forget(slot);
        }
    }
}
