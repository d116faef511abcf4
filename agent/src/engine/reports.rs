//! Delivery reports: what moves the acknowledged prefix, and what makes a file be read again.

use std::time::Duration;

use super::Engine;
use crate::{
    clock::Now,
    ledger::Reason,
    produce::{Outcome, Producer},
    tracked::{Queued, Tracked},
};

/// Waits after failed deliveries of a file and after broken producers, doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LAST_WAIT: Duration = Duration::from_secs(30);

/// After so many failures in a row.
fn backoff(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.min(10).saturating_sub(1)).min(LAST_WAIT)
}

impl<P: Producer> Engine<P> {
    pub(super) fn take_reports(&mut self, now: Now) {
        let mut deliveries = std::mem::take(&mut self.deliveries);
        self.producer.take_deliveries(&mut deliveries);
        self.full &= deliveries.is_empty() && !self.producer.broken();
        let mut last = None;
        for delivery in deliveries.drain(..) {
            let slot = delivery.tag.slot();
            let Some(tracked) = self.slots.get_mut(slot) else { continue };
            let cost = tracked.in_flight.report(delivery.tag.sequence(), delivery.outcome == Outcome::Acknowledged);
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(cost.into());
            match delivery.outcome {
                Outcome::Acknowledged => {
                    let input = tracked.input;
                    tracked.failures = 0;
                    self.broken = 0;
                    self.last_acknowledged = now.mono;
                    if self.inputs[input].refusal.accepted(now.mono) {
                        self.accepted_again(input);
                    }
                }
                Outcome::Refused(code) if cost > 0 => {
                    let input = tracked.input;
                    self.refused(input, code, now);
                }
                Outcome::TooLarge if cost > 0 => {
                    let input = tracked.input;
                    self.too_large(input, now);
                }
                Outcome::TooLarge | Outcome::Refused(_) | Outcome::Failed => {}
            }
            // Reports come in runs of one file.
            if last != Some(slot)
                && let Some(last) = last.replace(slot)
            {
                self.advance(last, now);
            }
        }
        if let Some(last) = last {
            self.advance(last, now);
        }
        self.deliveries = deliveries;
        self.renew |= self.producer.broken();
    }

    /// Moves a file's acknowledged prefix; once all its records are reported and one failed, reads it again.
    pub(super) fn advance(&mut self, slot: usize, now: Now) {
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        if let Some(position) = tracked.in_flight.advance(&mut self.ledger) {
            tracked.advance_to(position);
            self.moved.push(slot);
        }
        if tracked.in_flight.failed() && tracked.in_flight.pending() == 0 {
            tracked.failures = tracked.failures.saturating_add(1);
            let wait = backoff(tracked.failures);
            self.read_again(slot);
            if let Some(tracked) = self.slots.get_mut(slot) {
                tracked.retry_at = Some(now.mono + wait);
                self.timers.set(now.mono + wait, slot, tracked.id);
            }
        }
        let last = |t: &Tracked| t.deleted || t.content_gone || t.archived || self.inputs[t.input].spool.is_some();
        if self.slots.get(slot).is_some_and(|t| t.in_flight.is_empty() && last(t)) {
            self.wake(slot);
        }
    }

    /// Gives up a file's records under way and goes back to its acknowledged prefix.
    fn read_again(&mut self, slot: usize) {
        let gone = self.slots.get(slot).is_some_and(|t| t.content_gone);
        let in_copy = gone && self.copy_of(slot).is_some();
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        let (cost, lines) = tracked.in_flight.give_up();
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(cost);
        if !gone || tracked.may_be_saved {
            tracked.to_recount += lines;
            tracked.rewind();
        } else if in_copy {
            // Which counts them anew.
            self.lines_read = self.lines_read.saturating_sub(lines);
        } else {
            let reason = if tracked.deleted { Reason::Deleted } else { Reason::Truncated };
            self.ledger.dropped[reason as usize] += lines;
            self.ledger.bytes_lost += tracked.offset.saturating_sub(tracked.position);
        }
        if gone {
            // Of what may be saved that is where it was.
            tracked.advance_to(tracked.read_to);
            self.moved.push(slot);
        }
        if tracked.queued == Queued::No {
            self.wake(slot);
        }
    }

    /// Replaces a broken producer, or one whose batches are too large for a topic; all files go back to their prefix.
    pub(super) fn renew_if_asked(&mut self, now: Now) {
        if !self.renew {
            return;
        }
        if self.producer.broken() {
            if now.mono < self.next_renewal {
                return;
            }
            self.broken = self.broken.saturating_add(1);
            self.next_renewal = now.mono + backoff(self.broken);
        }
        let max_batch_bytes = self.narrowed();
        tracing::warn!(
            max_batch_bytes,
            reason = self.producer.trouble().unwrap_or_default(),
            "starting a new producer; unacknowledged lines are read again"
        );
        self.around.metrics.producer_restarts.inc();
        if let Err(error) = self.producer.renew(max_batch_bytes) {
            tracing::error!(%error, "cannot start a new producer, trying again");
            self.full = true;
            return;
        }
        self.renew = false;
        self.full = false;
        let under_way: Vec<usize> =
            self.slots.iter().filter(|(_, t)| !t.in_flight.is_empty()).map(|(i, _)| i).collect();
        for slot in under_way {
            self.read_again(slot);
            if let Some(tracked) = self.slots.get_mut(slot) {
                tracked.retry_at = Some(now.mono + FIRST_WAIT);
                self.timers.set(now.mono + FIRST_WAIT, slot, tracked.id);
            }
        }
    }
}
