//! SyncGroup: the leader hands in the assignments, everyone gets its own, once they are durable.

use std::collections::BTreeMap;

use bytes::Bytes;
use logmill_protocol::ErrorCode;

use super::{Effect, Group, GroupState, Now, PendingWrite, Ticket};

#[derive(Debug, Clone)]
pub(crate) struct SyncRequest {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    /// Version ≥ 5; checked only when given.
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    /// Member id → assignment; only the leader's are looked at.
    pub(crate) assignments: Vec<(String, Bytes)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyncReply {
    pub(crate) error: Option<ErrorCode>,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignment: Bytes,
}

impl SyncReply {
    pub(crate) fn refused(error: ErrorCode) -> Self {
        Self { error: Some(error), protocol_type: None, protocol: None, assignment: Bytes::new() }
    }
}

impl Group {
    /// Handles SyncGroup. The answer may come at once or with a later step, under `ticket`.
    pub(crate) fn sync(&mut self, request: SyncRequest, ticket: Ticket, now: Now, fx: &mut Vec<Effect>) {
        if let Err(error) = self.admit_sync(&request) {
            fx.push(Effect::Synced(ticket, SyncReply::refused(error)));
            return;
        }
        let stable = self.state == GroupState::Stable;
        let leads = self.is_leader(&request.member_id);
        let reply = self.sync_reply(&request.member_id);
        let Some(member) = self.members.get_mut(&request.member_id) else {
            fx.push(Effect::Synced(ticket, SyncReply::refused(ErrorCode::UnknownMemberId)));
            return;
        };
        member.owes_sync = false;
        if stable {
            member.session_deadline = now.mono_ms.saturating_add(member.session_timeout_ms);
            fx.push(Effect::Synced(ticket, reply));
        } else if let Some(former) = member.awaiting_sync.replace(ticket) {
            fx.push(Effect::Synced(former, SyncReply::refused(ErrorCode::RebalanceInProgress)));
        }
        if self.members.values().all(|m| !m.owes_sync) {
            self.sync_deadline = None;
        }
        if !stable && leads {
            self.take_assignments(request.assignments, fx);
        }
    }

    fn admit_sync(&self, request: &SyncRequest) -> Result<(), ErrorCode> {
        if self.state == GroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        self.validate_member(&request.member_id, request.instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |asked: &Option<String>, ours: &Option<String>| asked.is_some() && asked != ours;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol, &self.protocol) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let too_large = |(_, assignment): &(String, Bytes)| assignment.len() > self.limits.max_member_bytes;
        if request.assignments.iter().any(too_large) {
            return Err(ErrorCode::InvalidRequest);
        }
        match self.state {
            GroupState::Empty => Err(ErrorCode::UnknownMemberId),
            GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Writes the leader's assignments; they count once durable.
    fn take_assignments(&mut self, assignments: Vec<(String, Bytes)>, fx: &mut Vec<Effect>) {
        let generation = self.generation;
        let under_way = self
            .pending_writes
            .values()
            .any(|w| matches!(w, PendingWrite::Assignments { generation: g, .. } if *g == generation));
        if under_way {
            return;
        }
        // Who is not named gets nothing; who is not a member is left out.
        let mut by_member: BTreeMap<String, Bytes> = self.members.keys().map(|id| (id.clone(), Bytes::new())).collect();
        for (id, assignment) in assignments {
            if let Some(place) = by_member.get_mut(&id) {
                *place = assignment;
            }
        }
        let why = PendingWrite::Assignments { generation, assignments: by_member.clone() };
        let write = self.persist(Some(why), Some(&by_member));
        fx.push(write);
    }

    /// A write asked for by [`Effect::Persist`] is durable or has failed.
    pub(crate) fn persisted(&mut self, number: u64, result: Result<(), ErrorCode>, now: Now, fx: &mut Vec<Effect>) {
        match self.pending_writes.remove(&number) {
            // Meanwhile a rebalance may have begun; then everyone has been told already.
            Some(PendingWrite::Assignments { generation, assignments })
                if self.state == GroupState::CompletingRebalance && self.generation == generation =>
            {
                match result {
                    Ok(()) => self.hand_out(assignments, now, fx),
                    Err(error) => {
                        self.refuse_syncs(error, now, fx);
                        self.rebalance_or_complete_join(now, fx);
                    }
                }
            }
            Some(PendingWrite::StaticMember { generation, member_id, ticket, mut reply }) => {
                // If a rebalance has begun, the join is part of it and is answered by it.
                if self.state != GroupState::Stable || self.generation != generation {
                    return;
                }
                if let Err(error) = result {
                    reply = super::JoinReply::refused(member_id.clone(), error);
                }
                if let Some(member) = self.members.get_mut(&member_id)
                    && member.awaiting_join == Some(ticket)
                {
                    member.awaiting_join = None;
                    member.session_deadline = now.mono_ms.saturating_add(member.session_timeout_ms);
                    fx.push(Effect::Joined(ticket, reply));
                }
            }
            Some(PendingWrite::Assignments { .. }) | None => {}
        }
    }

    fn hand_out(&mut self, mut assignments: BTreeMap<String, Bytes>, now: Now, fx: &mut Vec<Effect>) {
        self.set_state(GroupState::Stable, now);
        for member in self.members.values_mut() {
            member.assignment = assignments.remove(&member.id).unwrap_or_default();
        }
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let reply = self.sync_reply(&id);
            if let Some(member) = self.members.get_mut(&id)
                && let Some(ticket) = member.awaiting_sync.take()
            {
                member.session_deadline = now.mono_ms.saturating_add(member.session_timeout_ms);
                fx.push(Effect::Synced(ticket, reply));
            }
        }
    }

    fn refuse_syncs(&mut self, error: ErrorCode, now: Now, fx: &mut Vec<Effect>) {
        for member in self.members.values_mut() {
            if let Some(ticket) = member.awaiting_sync.take() {
                member.session_deadline = now.mono_ms.saturating_add(member.session_timeout_ms);
                fx.push(Effect::Synced(ticket, SyncReply::refused(error)));
            }
        }
    }

    fn sync_reply(&self, member_id: &str) -> SyncReply {
        SyncReply {
            error: None,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members.get(member_id).map(|m| m.assignment.clone()).unwrap_or_default(),
        }
    }
}
