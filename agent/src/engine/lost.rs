//! Bytes that nobody can read any more, estimated in the ledger; and deleted files, whose disk space their descriptors hold until
//! they are read, with the cap on it.

use super::{Engine, archive::PATIENCE, copy::QUIET};
use crate::{clock::Now, ledger::Reason, produce::Producer, tracked::Tracked};

/// A line's length as long as none was seen.
const USUAL_LINE: u64 = 200;

impl<P: Producer> Engine<P> {
    /// Counts bytes that were not read.
    pub(super) fn lost(&mut self, reason: Reason, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let usual = self.bytes_read.checked_div(self.lines_seen).filter(|n| *n > 0).unwrap_or(USUAL_LINE);
        let lines = (bytes / usual).max(1);
        self.ledger.dropped[reason as usize] += lines;
        self.ledger.bytes_lost += bytes;
        self.lines_read += lines;
    }

    /// Counts what is lost of a file of which only what lies before `saved` can still be read, elsewhere; how many bytes that are.
    /// What is under way may arrive yet.
    pub(super) fn lost_rest(&mut self, slot: usize, reason: Reason, saved: u64) -> u64 {
        let Some(tracked) = self.slots.get_mut(slot) else { return 0 };
        // Lines that were read once are counted as read.
        let lines = std::mem::take(&mut tracked.to_recount);
        let (begin, counted_to, end) = (tracked.offset.max(saved), tracked.counted_to, tracked.size);
        if begin >= counted_to {
            // Who goes on elsewhere counts them anew.
            self.lines_read = self.lines_read.saturating_sub(lines);
        } else {
            self.ledger.dropped[reason as usize] += lines;
            self.ledger.bytes_lost += counted_to - begin;
        }
        self.lost(reason, end.saturating_sub(begin.max(counted_to)));
        end.saturating_sub(begin)
    }

    /// Counts what is lost of a file that can be read no more, but for what lies before `saved`.
    pub(super) fn not_saved(&mut self, slot: usize, saved: u64) {
        let truncated = self.is_replaced(slot) || self.slots.get(slot).is_some_and(|t| t.content_gone);
        let reason = if truncated { Reason::Truncated } else { Reason::Deleted };
        let lost_bytes = self.lost_rest(slot, reason, saved);
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        tracked.may_be_saved = false;
        if lost_bytes > 0 {
            let reason = reason.name();
            tracing::warn!(path = %tracked.path.display(), lost_bytes, reason, "file is gone before all of it was acknowledged");
        }
    }

    /// Forgets a file whose content is gone once nobody can go on from it. What a truncation took of it is counted as lost only
    /// when no compressed copy has come for a while, since a count is not taken back.
    pub(super) fn end_gone(&mut self, slot: usize, now: Now) {
        let Some((path, id)) = self.slots.get(slot).map(|t| (t.path.clone(), t.id)) else { return };
        let copy = self.possible_continuation(&path, id);
        let written = copy.and_then(|(copy, _)| self.slots.get(copy)).and_then(|copy| copy.rest.since());
        // After a kill, too, a compressed copy may go on from it.
        let mut waits = self.scan_soon || copy.is_some();
        let once = self.around.once;
        if let Some(tracked) = self.slots.get_mut(slot).filter(|t| t.may_be_saved && t.offset < t.size) {
            let gone = *tracked.ended.get_or_insert(now.mono);
            let since = written.map_or(gone, |written| written.max(gone));
            if tracked.beginning.is_some() && !once && now.mono < since + PATIENCE {
                waits = true;
            } else {
                self.not_saved(slot, 0);
            }
        }
        if waits {
            self.timers.set(now.mono + QUIET, slot, id);
        } else {
            self.forget(slot);
        }
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
        let path = tracked.path.clone();
        let unread_bytes = self.lost_rest(slot, Reason::Deleted, 0);
        tracing::warn!(path = %path.display(), unread_bytes, "deleted files take more than max_deleted_bytes, giving this one up");
        if followed {
            self.wake_followers(slot, id);
        }
        self.wake(slot);
    }
}
