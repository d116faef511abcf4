//! What administrators ask: which groups there are and what they are like; and the expiry of offsets.

use std::sync::Arc;

use logmill_protocol::ErrorCode;

use super::{Groups, Slot, SlotState};
use crate::coordinator::{
    group::{GroupDescription, GroupState, Now},
    records::StoredRecord,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupOverview {
    pub(crate) id: Arc<str>,
    pub(crate) state: GroupState,
    pub(crate) protocol_type: String,
}

impl Groups {
    /// All groups, ordered by id. The flag tells that some may be missing because their partition is still being read.
    pub(crate) fn list(&self) -> (Vec<GroupOverview>, bool) {
        let loading = !self.loading.read().is_empty();
        let slots: Vec<Arc<Slot>> = self.slots.read().values().cloned().collect();
        let mut groups: Vec<GroupOverview> = slots
            .iter()
            .map(|slot| {
                let state = slot.state.lock();
                let protocol_type = state.group.protocol_type().unwrap_or_default().to_owned();
                GroupOverview { id: Arc::clone(&slot.name), state: state.group.state(), protocol_type }
            })
            .collect();
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        (groups, loading)
    }

    /// # Errors
    /// `GroupIdNotFound`, `CoordinatorLoadInProgress`.
    pub(crate) fn describe(&self, group: &str) -> Result<GroupDescription, ErrorCode> {
        let slot = self.find(group)?.ok_or(ErrorCode::GroupIdNotFound)?;
        let state = slot.state.lock();
        Ok(state.group.describe())
    }

    /// Deletes what has outlived the retention: offsets of groups without members, and groups left with nothing.
    pub(super) fn expire(self: &Arc<Self>) {
        let slots: Vec<Arc<Slot>> = self.slots.read().values().cloned().collect();
        let mut expired = 0;
        for slot in slots {
            let mut state = slot.state.lock();
            if state.gone || state.group.state() != GroupState::Empty {
                continue;
            }
            let now = self.now();
            match self.expire_group(&slot, &mut state, now) {
                Ok(count) => expired += count,
                Err(error) => tracing::warn!(
                    group = &*slot.name,
                    error = error.name(),
                    "offsets past their retention stay for now"
                ),
            }
        }
        if expired > 0 {
            tracing::info!(expired, "committed offsets past their retention deleted");
        }
    }

    fn expire_group(&self, slot: &Slot, state: &mut SlotState, now: Now) -> Result<usize, ErrorCode> {
        let retention = i64::try_from(self.settings.offsets_retention.as_millis()).unwrap_or(i64::MAX);
        let idle_since = state.group.protocol_type().map(|_| state.group.state_since_ms());
        let expired = state.offsets.expired(now.wall_ms, retention, idle_since);
        let left = state.offsets.len() - expired.len();
        let ends = left == 0 && state.group.is_vacant() && state.commits_in_flight == 0;
        // Whether it is durable need not be awaited: after a crash the same things expire again.
        self.bury(slot, state, &expired, now)?;
        if ends && state.stored {
            let record = StoredRecord::group(&slot.name, None).map_err(|_| ErrorCode::UnknownServerError)?;
            self.store.append(&slot.partition, &[record], now.wall_ms)?;
        }
        if ends {
            self.forget(slot, state);
        }
        Ok(expired.len())
    }
}
