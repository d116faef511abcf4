//! Committing: the contiguous finished prefix of each partition, with its ledger as the metadata, one request at a time.

use std::time::{Duration, Instant};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::KafkaResult,
};
use tokio::sync::oneshot::{self, Receiver, error::TryRecvError};

use super::Reader;
use crate::partitions::Commit;

/// How often there is a commit, if anything moved.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked at whether so much moved that it should be committed sooner.
const LOOK: Duration = Duration::from_millis(200);
/// Offsets finished after which a commit does not wait for its interval.
const MANY: i64 = 50_000;
pub(super) struct Commits {
    last: Instant,
    looked: Instant,
    /// Sent and not answered.
    under_way: Option<(Vec<Commit>, Receiver<KafkaResult<()>>)>,
    failures: u32,
}

impl Commits {
    pub(super) fn new(now: Instant) -> Self {
        Self { last: now, looked: now, under_way: None, failures: 0 }
    }
}

impl Reader {
    pub(super) fn commit(&mut self, now: Instant) {
        self.settle_commit();
        if self.commits.under_way.is_some() || now.duration_since(self.commits.looked) < LOOK {
            return;
        }
        self.commits.looked = now;
        let commits = self.shared.partitions.to_commit(None);
        let moved: i64 = commits.iter().map(Commit::moved).fold(0, i64::saturating_add);
        if !commits.is_empty() && (now.duration_since(self.commits.last) >= INTERVAL || moved >= MANY) {
            self.send_commit(commits, now);
        }
    }

    pub(super) fn is_committing(&self) -> bool {
        self.commits.under_way.is_some()
    }

    /// Looks whether the commit under way was answered.
    pub(super) fn settle_commit(&mut self) {
        let Some((_, answer)) = &mut self.commits.under_way else { return };
        let result = match answer.try_recv() {
            Err(TryRecvError::Empty) => return,
            // The runtime is going down: as if never sent.
            Err(TryRecvError::Closed) => None,
            Ok(result) => Some(result),
        };
        let commits = self.commits.under_way.take().map(|(commits, _)| commits).unwrap_or_default();
        match result {
            Some(Ok(())) => {
                self.shared.partitions.committed(&commits);
                self.commits.failures = 0;
                if self.kafka_down {
                    self.kafka_up();
                }
            }
            Some(Err(e)) => {
                self.commits.failures = self.commits.failures.saturating_add(1);
                // Usual during a rebalance; said aloud when it goes on.
                if self.commits.failures == 10 {
                    tracing::warn!(sink = %self.sink.name, "commits fail, nothing is lost, tried again: {e}");
                } else {
                    tracing::debug!(sink = %self.sink.name, "a commit failed, tried again: {e}");
                }
            }
            None => {}
        }
    }

    /// Sends a commit. Only the waiting kind reports its result (rdkafka sets no callback for the other), so a thread
    /// of the runtime's blocking pool waits for it.
    pub(super) fn send_commit(&mut self, commits: Vec<Commit>, now: Instant) {
        let mut list = TopicPartitionList::with_capacity(commits.len());
        for commit in &commits {
            let mut element = list.add_partition(&commit.topic, commit.partition);
            element.set_metadata(commit.ledger.to_metadata());
            if let Err(e) = element.set_offset(Offset::Offset(commit.offset)) {
                tracing::debug!(sink = %self.sink.name, "offset {}: {e}", commit.offset);
            }
        }
        self.commits.last = now;
        let (answer, answered) = oneshot::channel();
        let consumer = self.consumer.clone();
        self.runtime.spawn_blocking(move || {
            let result = consumer.commit(&list, CommitMode::Sync);
            // The reader that closes waits for this answer: it must be the last to hold the consumer.
            drop(consumer);
            let _ = answer.send(result);
        });
        self.commits.under_way = Some((commits, answered));
    }
}
