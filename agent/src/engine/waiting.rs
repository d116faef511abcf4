//! Files that wait for another one's end before they are read.

use super::Engine;
use crate::{identity::Stat, produce::Producer, source::Format, tracked::Tracked};

impl<P: Producer> Engine<P> {
    /// Whether a file that is read before this one is not at its end.
    pub(super) fn waits(&self, tracked: &Tracked) -> bool {
        let unfinished = |t: &Tracked| !t.at_end && !t.content_gone && !t.done;
        tracked.after.is_some_and(|(slot, id)| self.slots.get(slot).is_some_and(|t| t.id == id && unfinished(t)))
    }

    /// Whether a file that waits for another is to be opened, for what tells later whether it was truncated meanwhile.
    pub(super) fn may_note(&mut self, slot: usize) -> bool {
        let Some(tracked) = self.slots.get(slot) else { return false };
        let plain = tracked.name.as_deref().is_some_and(|name| !Format::is_of(name));
        tracked.file.is_some() || plain && self.slots.room_for_one()
    }

    /// Whether a file that was read to its end has more by now, or was truncated; then it is looked at again.
    pub(super) fn has_changed(&mut self, (slot, id): (usize, u64)) -> bool {
        let Some(tracked) = self.slots.get_mut(slot).filter(|t| t.id == id && !t.content_gone && !t.archived) else {
            return false;
        };
        let size = match (&tracked.file, &tracked.name) {
            (Some(file), _) => file.size(),
            (None, Some(name)) => Stat::of_path(name).ok().filter(|s| s.ino == tracked.ino).map(|s| s.size),
            (None, None) => None,
        };
        let open = tracked.file.is_some();
        let changed = size.is_some_and(|size| size > tracked.size || open && size < tracked.size);
        if changed {
            tracked.at_end = false;
            self.wake(slot);
        }
        changed
    }

    /// Lets a file wait until another one, if there is any, is read to its end.
    pub(super) fn read_after(&mut self, slot: usize, before: Option<(usize, u64)>) {
        if let Some(first) = before.and_then(|(before, _)| self.slots.get_mut(before)) {
            first.followed = true;
            if let Some(tracked) = self.slots.get_mut(slot) {
                tracked.after = before;
            }
        }
    }

    pub(super) fn wake_followers(&mut self, slot: usize, id: u64) {
        let followers: Vec<usize> =
            self.slots.iter().filter(|(_, t)| t.after == Some((slot, id))).map(|(i, _)| i).collect();
        followers.into_iter().for_each(|slot| self.wake(slot));
    }
}
