//! JoinGroup: who may enter, under which member id, and whether that starts a rebalance (KIP-62, KIP-345, KIP-394, KIP-814).

use bytes::Bytes;
use logmill_protocol::ErrorCode;

use super::{Effect, Eviction, Group, GroupState, Now, PendingWrite, Ticket, refuse};
use crate::coordinator::member::{Member, Protocol};

/// One JoinGroup request, versions already resolved.
#[derive(Debug, Clone)]
pub(crate) struct JoinRequest {
    /// Empty for a member without an id.
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout_ms: i32,
    /// The session timeout in version 0.
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<Protocol>,
    /// Version ≥ 4: a new dynamic member is first told its id (KIP-394).
    pub(crate) requires_known_member_id: bool,
    /// Version ≥ 9: a returning static leader may be told to keep the assignments (KIP-814).
    pub(crate) supports_skipping_assignment: bool,
    /// Random text for a new member id.
    pub(crate) unique: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinMember {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) metadata: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinReply {
    pub(crate) error: Option<ErrorCode>,
    pub(crate) member_id: String,
    /// -1 in a refusal.
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    pub(crate) skip_assignment: bool,
    /// Everyone, for the leader; else empty.
    pub(crate) members: Vec<JoinMember>,
}

impl JoinReply {
    pub(crate) fn refused(member_id: String, error: ErrorCode) -> Self {
        Self {
            error: Some(error),
            member_id,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            skip_assignment: false,
            members: Vec::new(),
        }
    }
}

impl Group {
    /// Handles JoinGroup. The answer may come at once or with a later step, under `ticket`.
    pub(crate) fn join(&mut self, request: JoinRequest, ticket: Ticket, now: Now, fx: &mut Vec<Effect>) {
        let member_id = request.member_id.clone();
        if let Err(error) = self.admit(&request) {
            if error == ErrorCode::GroupMaxSizeReached && !member_id.is_empty() {
                self.pending_members.remove(&member_id);
            }
            let id = if error == ErrorCode::GroupMaxSizeReached { String::new() } else { member_id };
            fx.push(Effect::Joined(ticket, JoinReply::refused(id, error)));
            return;
        }
        if member_id.is_empty() {
            self.join_new(request, ticket, now, fx);
        } else {
            self.join_known(request, ticket, now, fx);
        }
    }

    fn admit(&self, request: &JoinRequest) -> Result<(), ErrorCode> {
        let session = u64::try_from(request.session_timeout_ms).map_err(|_| ErrorCode::InvalidSessionTimeout)?;
        if session < self.limits.min_session_timeout_ms || session > self.limits.max_session_timeout_ms {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        if self.state == GroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let bytes: usize = request.protocols.iter().map(|p| p.name.len().saturating_add(p.metadata.len())).sum();
        if bytes > self.limits.max_member_bytes {
            return Err(ErrorCode::InvalidRequest);
        }
        let known = self.members.contains_key(&request.member_id)
            || request.instance_id.as_ref().is_some_and(|i| self.static_members.contains_key(i));
        if !known {
            let pending = self.pending_members.contains_key(&request.member_id);
            // Ids given out count too: each holds memory until it is used or lapses.
            let given_out = self.pending_members.len() - usize::from(pending);
            if self.members.len().saturating_add(given_out) >= self.limits.max_size {
                return Err(ErrorCode::GroupMaxSizeReached);
            }
        }
        if !self.supports_protocols(&request.protocol_type, &request.protocols) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn join_new(&mut self, request: JoinRequest, ticket: Ticket, now: Now, fx: &mut Vec<Effect>) {
        let stem = request.instance_id.as_deref().unwrap_or(&request.client_id);
        let new_id = format!("{stem}-{}", request.unique);
        match &request.instance_id {
            None if request.requires_known_member_id => {
                let lapse = now.mono_ms.saturating_add(request.session_timeout_ms.unsigned_abs().into());
                self.pending_members.insert(new_id.clone(), lapse);
                fx.push(Effect::Joined(ticket, JoinReply::refused(new_id, ErrorCode::MemberIdRequired)));
            }
            None => self.add_member(new_id, request, ticket, now, fx),
            Some(instance) => match self.static_members.get(instance).cloned() {
                Some(old_id) => self.replace_static_member(&old_id, new_id, request, ticket, now, fx),
                None => self.add_member(new_id, request, ticket, now, fx),
            },
        }
    }

    fn join_known(&mut self, request: JoinRequest, ticket: Ticket, now: Now, fx: &mut Vec<Effect>) {
        let id = request.member_id.clone();
        if request.instance_id.is_none() && self.pending_members.contains_key(&id) {
            self.add_member(id, request, ticket, now, fx);
            return;
        }
        if let Err(error) = self.validate_member(&id, request.instance_id.as_deref()) {
            fx.push(Effect::Joined(ticket, JoinReply::refused(id, error)));
            return;
        }
        let unchanged = self.members.get(&id).is_some_and(|m| m.protocols == request.protocols);
        let repeat = match self.state {
            // The first answer may have been lost: repeat it.
            GroupState::CompletingRebalance => unchanged,
            // A leader joins again to force a rebalance (topics changed); a follower without news has missed its answer.
            GroupState::Stable => unchanged && !self.is_leader(&id),
            _ => false,
        };
        if repeat {
            self.touch(&id, now);
            let reply = self.join_reply(&id);
            // What the member waited for was asked on a connection it has given up.
            if let Some(member) = self.members.get_mut(&id) {
                refuse(member, ErrorCode::RebalanceInProgress, fx);
            }
            fx.push(Effect::Joined(ticket, reply));
        } else {
            self.update_member(&id, &request, ticket, fx);
            self.rebalance_or_complete_join(now, fx);
        }
    }

    fn add_member(&mut self, id: String, request: JoinRequest, ticket: Ticket, now: Now, fx: &mut Vec<Effect>) {
        if let Some(initial) = &mut self.initial_delay {
            initial.member_added = true;
        }
        self.pending_members.remove(&id);
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        if let Some(instance) = &request.instance_id {
            self.static_members.insert(instance.clone(), id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(id.clone());
        }
        let member = Member {
            id: id.clone(),
            instance_id: request.instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout_ms: self.limits.rebalance_timeout(request.rebalance_timeout_ms),
            session_timeout_ms: u64::from(request.session_timeout_ms.unsigned_abs()),
            protocols: request.protocols,
            assignment: Bytes::new(),
            awaiting_join: Some(ticket),
            awaiting_sync: None,
            is_new: true,
            owes_sync: false,
            session_deadline: now.mono_ms.saturating_add(self.limits.new_member_join_timeout_ms),
        };
        self.members.insert(id, member);
        self.rebalance_or_complete_join(now, fx);
    }

    fn update_member(&mut self, id: &str, request: &JoinRequest, ticket: Ticket, fx: &mut Vec<Effect>) {
        let rebalance_timeout_ms = self.limits.rebalance_timeout(request.rebalance_timeout_ms);
        if let Some(member) = self.members.get_mut(id) {
            // An earlier request of the same member was given up by its client: it is answered all the same.
            refuse(member, ErrorCode::RebalanceInProgress, fx);
            member.protocols.clone_from(&request.protocols);
            member.rebalance_timeout_ms = rebalance_timeout_ms;
            member.session_timeout_ms = u64::from(request.session_timeout_ms.unsigned_abs());
            member.awaiting_join = Some(ticket);
        }
    }

    /// A static member came back without its member id: it gets a new one, the old one is fenced, and as long as the
    /// group's protocol stays there is no rebalance (KIP-345).
    fn replace_static_member(
        &mut self,
        old_id: &str,
        new_id: String,
        request: JoinRequest,
        ticket: Ticket,
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        let old_leader = self.leader.clone();
        let Some(mut member) = self.members.remove(old_id) else {
            return self.add_member(new_id, request, ticket, now, fx);
        };
        refuse(&mut member, ErrorCode::FencedInstanceId, fx);
        fx.push(Effect::Evicted(Eviction::Fenced));
        member.id.clone_from(&new_id);
        member.client_id.clone_from(&request.client_id);
        member.client_host.clone_from(&request.client_host);
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), new_id.clone());
        }
        self.members.insert(new_id.clone(), member);
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        self.update_member(&new_id, &request, ticket, fx);
        self.touch(&new_id, now);
        match self.state {
            GroupState::Stable if self.select_protocol() == self.protocol => {
                let mut reply = self.join_reply(&new_id);
                if request.supports_skipping_assignment {
                    reply.skip_assignment = self.is_leader(&new_id);
                } else {
                    // Named as the leader it would compute assignments anew: an older client is told the former leader's id.
                    reply.members.clear();
                    reply.leader = old_leader.unwrap_or_default();
                }
                let generation = self.generation;
                let why = PendingWrite::StaticMember { generation, member_id: new_id, ticket, reply };
                let write = self.persist(Some(why), None);
                fx.push(write);
            }
            // The leader may have been given the old id already: its assignments would miss the new one.
            _ => self.rebalance_or_complete_join(now, fx),
        }
    }

    /// The answer for a member of the current generation.
    pub(super) fn join_reply(&self, member_id: &str) -> JoinReply {
        let members = if self.is_leader(member_id) { self.join_members() } else { Vec::new() };
        JoinReply {
            error: None,
            member_id: member_id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members,
        }
    }

    fn join_members(&self) -> Vec<JoinMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        self.members
            .values()
            .map(|m| JoinMember {
                id: m.id.clone(),
                instance_id: m.instance_id.clone(),
                metadata: m.metadata(protocol),
            })
            .collect()
    }
}
