//! The committed offsets of one group.
//!
//! A commit shows only once it is durable, and commits of one partition may become durable out of order: the one later in
//! the log of `__consumer_offsets` wins, as it would after a restart.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

/// What was committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    /// The next record to read.
    pub(crate) offset: i64,
    /// -1 unknown.
    pub(crate) leader_epoch: i32,
    /// At most `offset.metadata.max.bytes`.
    pub(crate) metadata: Arc<str>,
    /// Milliseconds since 1970.
    pub(crate) commit_ms: i64,
    /// Milliseconds since 1970; only commits of version 2 to 4 may name their own expiry.
    pub(crate) expires_ms: Option<i64>,
}

#[derive(Debug, Clone)]
struct Entered {
    committed: CommittedOffset,
    /// Where in the log of `__consumer_offsets` it stands.
    log_offset: i64,
}

/// Topic → partition → committed offset.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupOffsets {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Entered>>,
}

impl GroupOffsets {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.values().map(BTreeMap::len).sum()
    }

    /// Enters a durable commit, unless a later one is there already.
    pub(crate) fn commit(&mut self, topic: &str, partition: i32, committed: CommittedOffset, log_offset: i64) {
        let entered = Entered { committed, log_offset };
        let partitions = match self.topics.get_mut(topic) {
            Some(partitions) => partitions,
            None => self.topics.entry(topic.into()).or_default(),
        };
        match partitions.entry(partition) {
            Entry::Vacant(place) => {
                place.insert(entered);
            }
            Entry::Occupied(mut place) => {
                if place.get().log_offset <= log_offset {
                    place.insert(entered);
                }
            }
        }
    }

    /// Removes what was committed before `log_offset`.
    pub(crate) fn remove(&mut self, topic: &str, partition: i32, log_offset: i64) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            if partitions.get(&partition).is_some_and(|e| e.log_offset <= log_offset) {
                partitions.remove(&partition);
            }
            if partitions.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    pub(crate) fn has_topic(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.topics.get(topic)?.get(&partition).map(|e| &e.committed)
    }

    /// Every topic with its partitions, in order.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&Arc<str>, impl Iterator<Item = (i32, &CommittedOffset)>)> {
        self.topics.iter().map(|(topic, partitions)| (topic, partitions.iter().map(|(p, e)| (*p, &e.committed))))
    }

    /// Partitions whose commit has outlived the retention; only asked for groups without members.
    /// `idle_since_ms` is when a group that had members lost the last of them; without it (a group that only holds
    /// offsets) each commit counts from its own time.
    pub(crate) fn expired(&self, now_ms: i64, retention_ms: i64, idle_since_ms: Option<i64>) -> Vec<(Arc<str>, i32)> {
        let is_expired = |committed: &CommittedOffset| match committed.expires_ms {
            Some(expires) => expires <= now_ms,
            None => {
                let since = idle_since_ms.unwrap_or(committed.commit_ms).max(committed.commit_ms);
                since.saturating_add(retention_ms) <= now_ms
            }
        };
        let mut expired = Vec::new();
        for (topic, partitions) in &self.topics {
            expired.extend(
                partitions.iter().filter(|(_, e)| is_expired(&e.committed)).map(|(p, _)| (Arc::clone(topic), *p)),
            );
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64, commit_ms: i64) -> CommittedOffset {
        CommittedOffset { offset, leader_epoch: -1, metadata: "".into(), commit_ms, expires_ms: None }
    }

    #[test]
    fn the_later_in_the_log_wins_whatever_order_they_become_durable_in() {
        let mut offsets = GroupOffsets::default();
        offsets.commit("t", 0, at(20, 0), 2);
        offsets.commit("t", 0, at(10, 0), 1);
        assert_eq!(offsets.get("t", 0).unwrap().offset, 20);
        offsets.remove("t", 0, 1);
        assert_eq!(offsets.len(), 1, "a deletion written before the commit does not touch it");
        offsets.remove("t", 0, 3);
        assert!(offsets.is_empty());
    }

    #[test]
    fn commits_expire_after_the_retention_or_by_their_own_time() {
        let mut offsets = GroupOffsets::default();
        offsets.commit("t", 0, at(1, 100), 0);
        offsets.commit("t", 1, CommittedOffset { expires_ms: Some(150), ..at(1, 100) }, 1);
        assert!(offsets.expired(149, 1000, None).is_empty());
        assert_eq!(offsets.expired(150, 1000, None), [("t".into(), 1)]);
        assert_eq!(offsets.expired(1100, 1000, None), [("t".into(), 0), ("t".into(), 1)]);
        assert_eq!(
            offsets.expired(1100, 1000, Some(500)),
            [("t".into(), 1)],
            "the retention runs from when the group emptied"
        );
    }
}
