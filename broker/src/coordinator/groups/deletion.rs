//! Deleting groups and committed offsets: tombstones are written first, then what they name is forgotten.
//!
//! A commit on its way to the disk has its place in the log already, and would come back after a restart if it stood behind the
//! tombstone's: a deletion waits until none is on its way.

use std::{sync::Arc, time::Duration};

use logmill_protocol::ErrorCode;

use super::{Groups, Slot, SlotState};
use crate::coordinator::{
    group::{GroupState, Now},
    records::StoredRecord,
    store::Written,
};

/// Tombstones per batch, so that no group is too large for one.
const BATCH: usize = 1000;
/// How long commits on their way may keep a deletion waiting.
const PATIENCE: Duration = Duration::from_secs(10);

impl Groups {
    /// Deletes a group without members and all it has committed; durable when it returns well.
    ///
    /// # Errors
    /// `InvalidGroupId`, `GroupIdNotFound`, `NonEmptyGroup`, and those of a coordinator that is not ready.
    pub(crate) async fn delete(&self, group: &str) -> Result<(), ErrorCode> {
        self.check_id(group)?;
        let slot = self.find(group)?.ok_or(ErrorCode::GroupIdNotFound)?;
        let written = self.between_commits(&slot, |state, now| {
            match state.group.state() {
                GroupState::Empty => {}
                GroupState::Dead => return Err(ErrorCode::GroupIdNotFound),
                _ => return Err(ErrorCode::NonEmptyGroup),
            }
            let all = all_offsets(state);
            let mut written = self.bury(&slot, state, &all, now)?;
            if state.stored {
                let record = StoredRecord::group(&slot.name, None).map_err(|_| ErrorCode::UnknownServerError)?;
                written = Some(self.store.append(&slot.partition, &[record], now.wall_ms)?);
            }
            self.forget(&slot, state);
            tracing::info!(group, offsets = all.len(), "group deleted");
            Ok(written)
        });
        self.when_durable(&slot, written.await?).await
    }

    /// Deletes committed offsets, one result per partition; durable when it returns well. Without a commit there is nothing to do.
    ///
    /// # Errors
    /// `InvalidGroupId`, `GroupIdNotFound`, `NonEmptyGroup` where members are not consumers, and those of a coordinator that is not ready.
    pub(crate) async fn delete_offsets(
        &self,
        group: &str,
        partitions: &[(Arc<str>, i32)],
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        self.check_id(group)?;
        let slot = self.find(group)?.ok_or(ErrorCode::GroupIdNotFound)?;
        let done = self.between_commits(&slot, |state, now| {
            if state.group.state() == GroupState::Dead {
                return Err(ErrorCode::GroupIdNotFound);
            }
            if state.group.member_count() > 0 && state.group.protocol_type() != Some("consumer") {
                return Err(ErrorCode::NonEmptyGroup);
            }
            let subscribed = state.group.subscribed_topics();
            let is_subscribed = |topic: &str| subscribed.as_ref().is_none_or(|topics| topics.contains(topic));
            let result = |(topic, _): &(Arc<str>, i32)| {
                if is_subscribed(topic) { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None }
            };
            let results: Vec<ErrorCode> = partitions.iter().map(result).collect();
            let mut committed: Vec<_> = partitions
                .iter()
                .filter(|(topic, partition)| !is_subscribed(topic) && state.offsets.get(topic, *partition).is_some())
                .cloned()
                .collect();
            committed.sort();
            committed.dedup();
            let written = self.bury(&slot, state, &committed, now)?;
            self.settle(&slot, state);
            Ok((results, written))
        });
        let (results, written) = done.await?;
        self.when_durable(&slot, written).await?;
        Ok(results)
    }

    /// Forgets what was committed for a topic that is gone: one that gets its name is not to be read from there. Best effort: what cannot be
    /// written as deleted is back after a restart.
    pub(crate) async fn forget_topic(&self, topic: &str) {
        let slots: Vec<Arc<Slot>> = self.slots.read().values().cloned().collect();
        for slot in slots {
            let is_concerned = |state: &SlotState| state.commits_in_flight > 0 || state.offsets.has_topic(topic);
            if !is_concerned(&slot.state.lock()) {
                continue;
            }
            let done = self.between_commits(&slot, |state, now| {
                let mut committed = all_offsets(state);
                committed.retain(|(name, _)| &**name == topic);
                let written = self.bury(&slot, state, &committed, now);
                self.settle(&slot, state);
                written
            });
            let durable = match done.await {
                Ok(written) => self.when_durable(&slot, written).await,
                // Deleted meanwhile.
                Err(ErrorCode::GroupIdNotFound) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = durable {
                tracing::warn!(group = &*slot.name, topic, error = error.name(), "offsets of a deleted topic stay");
            }
        }
    }

    /// Does something to a group while none of its commits is on its way to the disk.
    async fn between_commits<T>(
        &self,
        slot: &Slot,
        mut act: impl FnMut(&mut SlotState, Now) -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        let act_when_quiet = async {
            loop {
                let mut quiet = std::pin::pin!(slot.quiet.notified());
                quiet.as_mut().enable();
                {
                    let mut state = slot.state.lock();
                    if state.gone {
                        return Err(ErrorCode::GroupIdNotFound);
                    }
                    if state.commits_in_flight == 0 {
                        return act(&mut state, self.now());
                    }
                }
                quiet.await;
            }
        };
        // Retried by every client.
        tokio::time::timeout(PATIENCE, act_when_quiet).await.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
    }

    /// Writes tombstones for committed offsets and forgets them; gives the last of what was written.
    pub(super) fn bury(
        &self,
        slot: &Slot,
        state: &mut SlotState,
        offsets: &[(Arc<str>, i32)],
        now: Now,
    ) -> Result<Option<Written>, ErrorCode> {
        let mut last = None;
        for some in offsets.chunks(BATCH) {
            let tombstone = |(topic, partition): &(Arc<str>, i32)| {
                StoredRecord::offset(&slot.name, topic, *partition, None).map_err(|_| ErrorCode::UnknownServerError)
            };
            let records = some.iter().map(tombstone).collect::<Result<Vec<_>, _>>()?;
            let written = self.store.append(&slot.partition, &records, now.wall_ms)?;
            for (at, (topic, partition)) in (written.base_offset..).zip(some) {
                state.offsets.remove(topic, *partition, at);
            }
            last = Some(written);
        }
        Ok(last)
    }

    async fn when_durable(&self, slot: &Slot, written: Option<Written>) -> Result<(), ErrorCode> {
        match written {
            Some(written) => self.store.durable(&slot.partition, written.last_offset).await,
            None => Ok(()),
        }
    }
}

fn all_offsets(state: &SlotState) -> Vec<(Arc<str>, i32)> {
    let topics = state.offsets.topics();
    topics.flat_map(|(topic, partitions)| partitions.map(|(partition, _)| (Arc::clone(topic), partition))).collect()
}
