//! Writing positions and the ledger, and telling about both.

use std::time::Duration;

use super::Engine;
use crate::{AgentError, checkpoint::Entry, clock::Now, produce::Producer};

/// Without an acknowledgement for this long while records wait, the agent is not ready.
const SILENCE: Duration = Duration::from_secs(5);

impl<P: Producer> Engine<P> {
    /// Writes the positions that moved, with the ledger, in one frame. Not synced in normal running: an older position
    /// only means that acknowledged lines are read again, with the same ids.
    pub(super) fn checkpoint(&mut self, now: Now, durable: bool) -> Result<(), AgentError> {
        self.bound_deleted();
        self.write_pending()?;
        self.moved.sort_unstable();
        self.moved.dedup();
        let mut entries = self.moved_positions();
        if !entries.is_empty() || self.ledger != self.log.state().ledger {
            entries.push(Entry::Ledger(self.ledger));
            entries.push(Entry::Written(now.unix_ms));
        }
        // Where there was no room for what hangs on these, there is none for them.
        let nothing = entries.is_empty() && !durable;
        if nothing || self.pending.is_empty() && self.append(&entries, durable)? {
            self.moved.clear();
        }
        for slot in &self.moved {
            if let Some(tracked) = self.slots.get_mut(*slot) {
                tracked.mark = None;
            }
        }
        self.update_metrics();
        Ok(())
    }

    /// Positions that moved, each with what its copy is known by.
    pub(super) fn moved_positions(&mut self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(2 * self.moved.len() + 2);
        for at in 0..self.moved.len() {
            let slot = self.moved[at];
            entries.extend(self.new_mark(slot));
            if let Some(tracked) = self.slots.get(slot).filter(|t| t.recorded) {
                entries.push(Entry::Position(tracked.id, tracked.position));
            }
        }
        entries
    }

    pub(super) fn update_metrics(&self) {
        let ledger = crate::metrics::Counts {
            read: self.lines_read,
            ledger: self.ledger,
            files: self.slots.len(),
            open_files: self.slots.open_files(),
            bytes_read: self.bytes_read,
            hole_bytes: self.hole_bytes,
            in_flight_bytes: self.in_flight_bytes,
            deleted_bytes: self.deleted_bytes,
            cpu_waited: self.cpu.waited,
        };
        self.around.metrics.update(&ledger);
    }

    pub(super) fn update_health(&self, now: Now) {
        let waiting = self.in_flight_bytes > 0 && now.mono.saturating_duration_since(self.last_acknowledged) > SILENCE;
        let state = if self.no_space {
            Err(format!("no space left to write {}", self.log.path().display()))
        } else if waiting || self.renew {
            Err(self.producer.trouble().unwrap_or_else(|| "kafka does not acknowledge".to_owned()))
        } else {
            self.standing().map_or(Ok(()), Err)
        };
        self.around.health.set("agent", state);
    }
}
