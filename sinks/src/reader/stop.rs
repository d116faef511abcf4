//! The end of a reader: what was taken is finished and committed if there is time, then the group is left.

use std::time::Duration;

use rdkafka::consumer::Consumer as _;

use super::Reader;
use crate::{alarms::Alarm, clock, consumer::Rebalance};

impl Reader {
    /// Takes nothing more, waits for what is under way, commits. Within three quarters of the shutdown time-out; where
    /// the destination is away anyway, at once.
    pub(super) fn finish(&mut self) {
        let numbers: Vec<u32> = self.assignments.values().flat_map(|p| p.values().copied()).collect();
        self.shared.partitions.stop_taking(&numbers);
        self.pause(true);
        self.flush();
        let patience = self.shutdown_timeout.mul_f64(0.6);
        let deadline = clock::now() + patience;
        while clock::now() < deadline && (self.pending.is_some() || self.shared.partitions.unfinished(None) > 0) {
            let hopeless = [Alarm::Unavailable, Alarm::Refused, Alarm::DeadLetters]
                .into_iter()
                .any(|alarm| self.shared.alarms.is_raised(alarm));
            if hopeless {
                break;
            }
            self.hand_over(Duration::from_millis(10));
            if self.opened.is_some() {
                self.flush();
            }
            let _ = self.poll(Duration::ZERO);
            self.settle_commit();
        }
        self.last_commit();
    }

    fn last_commit(&mut self) {
        let deadline = clock::now() + self.shutdown_timeout.mul_f64(0.2);
        loop {
            let now = clock::now();
            self.settle_commit();
            if !self.is_committing() {
                let commits = self.shared.partitions.to_commit(None);
                if commits.is_empty() {
                    return;
                }
                self.send_commit(commits, now);
            }
            if now >= deadline {
                tracing::warn!(sink = %self.sink.name, "stops without its last commit: some records are delivered again, as duplicates");
                return;
            }
            let _ = self.poll(Duration::from_millis(10));
        }
    }

    /// Leaves the group. Dropping the consumer afterwards closes it.
    pub(super) fn close(&mut self) {
        self.end_asking();
        let events = self.consumer.context().clone();
        events.close();
        if let Some(revoking) = self.revoking.take() {
            self.give_up(revoking);
        }
        while let Some(rebalance) = events.rebalance() {
            let done = match rebalance {
                Rebalance::Assign(list) => self.consumer.incremental_assign(&list),
                Rebalance::Revoke(list) => self.consumer.incremental_unassign(&list),
            };
            if let Err(e) = done {
                tracing::debug!(sink = %self.sink.name, "rebalance at the end: {e}");
            }
        }
        let numbers: Vec<u32> = self.assignments.values().flat_map(|p| p.values().copied()).collect();
        self.shared.partitions.remove(&numbers);
    }
}
