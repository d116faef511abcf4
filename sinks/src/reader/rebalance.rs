//! Partitions come and go: their ledger is read from the committed metadata when they come, and what is under way is
//! finished and committed, within bounds, before they go.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use logmill_config::sinks::Start;
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaResult};

use super::Reader;
use crate::{alarms::Alarm, consumer::Rebalance, ledger::Ledger, native};

/// How long a revocation waits for what is under way; far below the group's rebalance timeout (max.poll.interval.ms).
const FINISH: Duration = Duration::from_secs(5);
/// And then for its commit.
const COMMIT: Duration = Duration::from_secs(3);

/// For an answer of Kafka's about where partitions begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// Partitions being given up.
pub(super) struct Revoking {
    list: TopicPartitionList,
    numbers: Vec<u32>,
    deadline: Instant,
    committing: bool,
}

impl Reader {
    /// Carries out what the group decided, step by step, while polling goes on.
    pub(super) fn rebalance(&mut self, now: Instant) {
        if self.revoking.is_some() {
            self.go_on_revoking(now);
            return;
        }
        if self.assign_again.is_some_and(|at| now < at) {
            return;
        }
        self.assign_again = None;
        match self.consumer.context().rebalance() {
            Some(Rebalance::Assign(list)) => self.assign(list, now),
            Some(Rebalance::Revoke(list)) => self.revoke(list, now),
            None => {}
        }
    }

    fn assign(&mut self, list: TopicPartitionList, now: Instant) {
        if self.kafka_down {
            self.kafka_up();
        }
        let mut list = list;
        let committed = if list.count() == 0 {
            Ok(TopicPartitionList::new())
        } else {
            self.consumer.committed_offsets(list.clone(), PATIENCE)
        };
        let read = committed.and_then(|committed| Ok((self.starts(&committed)?, committed)));
        let (starts, committed) = match read {
            Ok(read) => read,
            Err(e) => {
                tracing::info!(sink = %self.sink.name, "cannot read where the partitions begin yet, tried again: {e}");
                self.consumer.context().put_back(Rebalance::Assign(list));
                self.assign_again = Some(now + Duration::from_secs(1));
                return;
            }
        };
        let metadata = native::commit_metadata(&committed);
        for (element, metadata) in committed.elements().iter().zip(metadata) {
            let (topic, partition) = (element.topic(), element.partition());
            let position = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let ledger = Ledger::from_metadata(&metadata).unwrap_or_else(|| {
                if position.is_some() && !metadata.is_empty() {
                    tracing::warn!(sink = %self.sink.name, topic, partition, "the committed counts cannot be read, counting begins anew: {:?}", String::from_utf8_lossy(&metadata));
                }
                Ledger::default()
            });
            let first = starts.get(&(topic.to_owned(), partition)).copied();
            let number = self.shared.partitions.assign(topic, partition, position, first, ledger);
            if let Some(old) = self.assignments.entry(topic.to_owned()).or_default().insert(partition, number) {
                self.shared.partitions.remove(&[old]);
            }
            let start = position.or(first).map_or(Offset::Beginning, Offset::Offset);
            if let Err(e) = list.set_partition_offset(topic, partition, start) {
                tracing::debug!(sink = %self.sink.name, topic, partition, "start at {start:?}: {e}");
            }
        }
        if let Err(e) = self.consumer.incremental_assign(&list) {
            tracing::warn!(sink = %self.sink.name, "cannot take the assigned partitions: {e}");
        }
        if list.count() > 0 {
            tracing::info!(sink = %self.sink.name, partitions = list.count(), "partitions assigned");
        }
        if self.paused {
            self.pause(true);
        }
    }

    /// Where partitions begin of which nothing is committed; those that begin with their log are left out.
    fn starts(&self, committed: &TopicPartitionList) -> KafkaResult<HashMap<(String, i32), i64>> {
        let elements = committed.elements();
        let fresh = elements.iter().filter(|element| !matches!(element.offset(), Offset::Offset(_)));
        let mut starts = HashMap::new();
        if self.sink.start == Start::Earliest {
            return Ok(starts);
        }
        for element in fresh {
            let (topic, partition) = (element.topic(), element.partition());
            let (_, end) = self.consumer.fetch_watermarks(topic, partition, PATIENCE)?;
            let mut first = end;
            if let Start::Time(time) = self.sink.start {
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(topic, partition, Offset::Offset(time))?;
                let found = self.consumer.offsets_for_times(list, PATIENCE)?;
                if let Some(Offset::Offset(offset)) = found.find_partition(topic, partition).map(|found| found.offset())
                {
                    first = offset;
                }
            }
            tracing::info!(sink = %self.sink.name, topic, partition, "begins at offset {first}");
            starts.insert((topic.to_owned(), partition), first);
        }
        Ok(starts)
    }

    fn revoke(&mut self, list: TopicPartitionList, now: Instant) {
        let numbers: Vec<u32> = list
            .elements()
            .iter()
            .filter_map(|e| self.assignments.get(e.topic())?.get(&e.partition()).copied())
            .collect();
        self.shared.partitions.stop_taking(&numbers);
        self.flush();
        // Lost: the group has given them to others already, a commit would be refused.
        let lost = self.consumer.assignment_lost();
        // A destination that is away will not be back within seconds.
        let hopeless = [Alarm::Unavailable, Alarm::Refused, Alarm::DeadLetters]
            .into_iter()
            .any(|alarm| self.shared.alarms.is_raised(alarm));
        let revoking =
            Revoking { list, numbers, deadline: if hopeless { now } else { now + FINISH }, committing: false };
        if lost {
            self.give_up(revoking);
        } else {
            self.revoking = Some(revoking);
            self.go_on_revoking(now);
        }
    }

    fn go_on_revoking(&mut self, now: Instant) {
        self.settle_commit();
        let Some(mut revoking) = self.revoking.take() else { return };
        if revoking.committing {
            if !self.is_committing() || now >= revoking.deadline {
                self.give_up(revoking);
            } else {
                self.revoking = Some(revoking);
            }
            return;
        }
        let finished = self.shared.partitions.unfinished(Some(&revoking.numbers)) == 0;
        if (finished || now >= revoking.deadline) && !self.is_committing() {
            let commits = self.shared.partitions.to_commit(Some(&revoking.numbers));
            if commits.is_empty() {
                self.give_up(revoking);
                return;
            }
            self.send_commit(commits, now);
            revoking.committing = true;
            revoking.deadline = now + COMMIT;
        } else if now >= revoking.deadline + COMMIT {
            self.give_up(revoking);
            return;
        }
        self.revoking = Some(revoking);
    }

    pub(super) fn give_up(&mut self, revoking: Revoking) {
        self.shared.partitions.remove(&revoking.numbers);
        for element in revoking.list.elements() {
            if let Some(partitions) = self.assignments.get_mut(element.topic()) {
                partitions.remove(&element.partition());
            }
        }
        self.assignments.retain(|_, partitions| !partitions.is_empty());
        if let Err(e) = self.consumer.incremental_unassign(&revoking.list) {
            tracing::debug!(sink = %self.sink.name, "cannot give up partitions: {e}");
        }
        tracing::info!(sink = %self.sink.name, partitions = revoking.list.count(), "partitions given up");
    }
}
