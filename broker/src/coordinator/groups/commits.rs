//! Committing offsets and reading them.

use std::sync::Arc;

use logmill_protocol::ErrorCode;

use super::{Groups, Slot};
use crate::coordinator::{offsets::CommittedOffset, records::StoredRecord, store::Written};

/// One OffsetCommit, its partitions checked already.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    /// -1 for a consumer without group management and for administrators.
    pub(crate) generation: i32,
    pub(crate) offsets: Vec<(Arc<str>, i32, CommittedOffset)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchedTopic {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<FetchedOffset>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchedOffset {
    pub(crate) partition: i32,
    /// None: nothing is committed.
    pub(crate) committed: Option<CommittedOffset>,
}

impl Groups {
    /// Wall time in milliseconds, for the commits' timestamps.
    pub(crate) fn wall_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Commits offsets: durable and visible when it returns well.
    ///
    /// # Errors
    /// As Kafka's: `GroupIdNotFound` when a member commits to a group that is not there.
    pub(crate) async fn commit(self: &Arc<Self>, group: &str, commit: Commit) -> Result<(), ErrorCode> {
        if group.len() > self.settings.max_group_id_bytes {
            return Err(ErrorCode::InvalidGroupId);
        }
        let (slot, written) = loop {
            let slot = match self.find(group)? {
                Some(slot) => slot,
                // Without a generation it is a group that only holds offsets.
                None if commit.generation < 0 => self.find_or_create(group).await?,
                None => return Err(ErrorCode::GroupIdNotFound),
            };
            let written = self.step(&slot, |state, now, _| {
                let instance = commit.instance_id.as_deref();
                state.group.admit_commit(&commit.member_id, instance, commit.generation, now)?;
                if commit.offsets.is_empty() {
                    return Ok(None);
                }
                let records: Result<Vec<StoredRecord>, _> = commit
                    .offsets
                    .iter()
                    .map(|(t, p, offset)| StoredRecord::offset(group, t, *p, Some(offset)))
                    .collect();
                let records = records.map_err(|_| ErrorCode::UnknownServerError)?;
                let written = self.store.append(&slot.partition, &records, now.wall_ms)?;
                state.commits_in_flight += 1;
                Ok(Some(written))
            });
            if let Ok(written) = written {
                break (slot, written?);
            }
        };
        let Some(written) = written else { return Ok(()) };
        // A task of its own: what is durable has to become visible even if the client has gone.
        let entering = tokio::spawn(Arc::clone(self).enter_when_durable(slot, commit, written));
        entering.await.unwrap_or(Err(ErrorCode::UnknownServerError))
    }

    async fn enter_when_durable(
        self: Arc<Self>,
        slot: Arc<Slot>,
        commit: Commit,
        written: Written,
    ) -> Result<(), ErrorCode> {
        let durable = self.store.durable(&slot.partition, written.last_offset).await;
        let count = u64::try_from(commit.offsets.len()).unwrap_or(0);
        let _ = self.step(&slot, |state, _, _| {
            state.commits_in_flight -= 1;
            if state.commits_in_flight == 0 {
                slot.quiet.notify_waiters();
            }
            if durable.is_ok() {
                for (at, (topic, partition, offset)) in (written.base_offset..).zip(commit.offsets) {
                    state.offsets.commit(&topic, partition, offset, at);
                }
                self.metrics.commits.inc_by(count);
            }
        });
        durable
    }

    /// The committed offsets of the partitions asked for, in their order.
    pub(crate) fn fetch(&self, group: &str, topics: &[(&str, &[i32])]) -> Result<Vec<FetchedTopic>, ErrorCode> {
        let slot = self.find(group)?;
        let state = slot.as_ref().map(|slot| slot.state.lock());
        let committed = |topic: &str, partition| state.as_ref().and_then(|s| s.offsets.get(topic, partition)).cloned();
        let fetched = topics.iter().map(|(name, partitions)| FetchedTopic {
            name: (*name).into(),
            partitions: partitions
                .iter()
                .map(|p| FetchedOffset { partition: *p, committed: committed(name, *p) })
                .collect(),
        });
        Ok(fetched.collect())
    }

    /// Everything the group has committed.
    pub(crate) fn fetch_all(&self, group: &str) -> Result<Vec<FetchedTopic>, ErrorCode> {
        let Some(slot) = self.find(group)? else { return Ok(Vec::new()) };
        let state = slot.state.lock();
        let topics = state.offsets.topics().map(|(name, partitions)| FetchedTopic {
            name: Arc::clone(name),
            partitions: partitions
                .map(|(partition, committed)| FetchedOffset { partition, committed: Some(committed.clone()) })
                .collect(),
        });
        Ok(topics.collect())
    }
}
