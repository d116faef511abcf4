//! Committing: the contiguous finished prefix of each partition, with its ledger as the metadata, one request at a time.

use std::time::{Duration, Instant};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
};

use super::Reader;
use crate::partitions::Commit;

/// How often there is a commit, if anything moved.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked at whether so much moved that it should be committed sooner.
const LOOK: Duration = Duration::from_millis(200);
/// Offsets finished after which a commit does not wait for its interval.
const MANY: i64 = 50_000;
/// An answer that has not come by now will not.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Commits {
    last: Instant,
    looked: Instant,
    /// Sent and not answered.
    under_way: Option<(Vec<Commit>, Instant)>,
    failures: u32,
}

impl Commits {
    pub(super) fn new(now: Instant) -> Self {
        Self { last: now, looked: now, under_way: None, failures: 0 }
    }
}

impl Reader {
    pub(super) fn commit(&mut self, now: Instant) {
        self.settle_commit(now);
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
    pub(super) fn settle_commit(&mut self, now: Instant) {
        if let Some(result) = self.consumer.context().commit_result()
            && let Some((commits, _)) = self.commits.under_way.take()
        {
            match result {
                Ok(()) => {
                    self.shared.partitions.committed(&commits);
                    self.commits.failures = 0;
                    if self.kafka_down {
                        self.kafka_up();
                    }
                }
                Err(e) => {
                    self.commits.failures = self.commits.failures.saturating_add(1);
                    // Usual during a rebalance; said aloud when it goes on.
                    if self.commits.failures == 10 {
                        tracing::warn!(sink = %self.sink.name, "commits fail, nothing is lost, tried again: {e}");
                    } else {
                        tracing::debug!(sink = %self.sink.name, "a commit failed, tried again: {e}");
                    }
                }
            }
        }
        if self.commits.under_way.as_ref().is_some_and(|(_, sent)| now.duration_since(*sent) >= PATIENCE) {
            self.commits.under_way = None;
        }
    }

    /// Sends a commit; its answer comes with a later poll.
    pub(super) fn send_commit(&mut self, commits: Vec<Commit>, now: Instant) {
        let mut list = TopicPartitionList::with_capacity(commits.len());
        for commit in &commits {
            let mut element = list.add_partition(&commit.topic, commit.partition);
            element.set_metadata(commit.ledger.to_metadata());
            if let Err(e) = element.set_offset(Offset::Offset(commit.offset)) {
                tracing::debug!(sink = %self.sink.name, "offset {}: {e}", commit.offset);
            }
        }
        // An answer to an older commit must not be taken for this one's.
        self.consumer.context().commit_result();
        self.commits.last = now;
        match self.consumer.commit(&list, CommitMode::Async) {
            Ok(()) => self.commits.under_way = Some((commits, now)),
            Err(e) => tracing::debug!(sink = %self.sink.name, "a commit could not be sent, tried again: {e}"),
        }
    }
}
