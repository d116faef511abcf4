//! Bytes that nobody can read any more, estimated in the ledger; and deleted files, whose disk space their descriptors hold until
//! they are read, with the cap on it.

use super::Engine;
use crate::{ledger::Reason, produce::Producer, tracked::Tracked};

/// A line's length as long as none was seen.
const USUAL_LINE: u64 = 200;

impl<P: Producer> Engine<P> {
    /// Counts bytes that were not read.
    pub(super) fn lost(&mut self, reason: Reason, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let usual = self.bytes_read.checked_div(self.lines_read).filter(|n| *n > 0).unwrap_or(USUAL_LINE);
        let lines = (bytes / usual).max(1);
        self.ledger.dropped[reason as usize] += lines;
        self.ledger.bytes_lost += bytes;
        self.lines_read += lines;
    }

    /// Sums up what deleted files hold, and gives up the oldest of them above the cap.
    pub(super) fn bound_deleted(&mut self) {
        let held = |t: &Tracked| {
            let file = t.file.as_ref().filter(|_| t.deleted || t.name.is_none())?;
            file.on_disk().ok().filter(|stat| stat.links == 0).map(|stat| stat.size)
        };
        let mut deleted: Vec<_> =
            self.slots.iter().filter_map(|(slot, t)| Some((t.birth, t.id, slot, held(t)?))).collect();
        self.deleted_bytes = deleted.iter().map(|(.., bytes)| bytes).sum();
        let Some(most) = self.config.max_deleted_bytes.filter(|most| self.deleted_bytes > *most) else { return };
        deleted.sort_unstable();
        for (.., slot, bytes) in deleted {
            if self.deleted_bytes <= most {
                break;
            }
            self.give_up(slot);
            self.deleted_bytes -= bytes;
        }
    }

    /// Closes a deleted file before its end; what of it is under way is still waited for.
    fn give_up(&mut self, slot: usize) {
        self.slots.close(slot);
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        (tracked.content_gone, tracked.deleted, tracked.at_end) = (true, true, true);
        let (id, followed) = (tracked.id, std::mem::take(&mut tracked.followed));
        let (path, unread_bytes) = (tracked.path.clone(), tracked.size.saturating_sub(tracked.offset));
        tracing::warn!(path = %path.display(), unread_bytes, "deleted files take more than max_deleted_bytes, giving this one up");
        self.lost(Reason::Deleted, unread_bytes);
        if followed {
            self.wake_followers(slot, id);
        }
        self.wake(slot);
    }
}
