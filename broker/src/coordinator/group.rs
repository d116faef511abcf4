//! The classic group protocol as a state machine over plain state.
//!
//! Requests and the passing of time are methods; what has to happen in the world (answers, a record to write) comes back
//! as [`Effect`]s. Time and randomness come in by argument, so every sequence can be replayed.
//!
//! Invariants:
//! - every ticket handed in is answered exactly once;
//! - `Empty` and `Dead` groups have no members, `leader` is none exactly when there are no members;
//! - all members answered in one generation get the same leader, protocol and generation;
//! - every member has a deadline by which it either acts or leaves.

mod join;
mod leave;
mod rebalance;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;
mod time;
mod view;

use std::{collections::BTreeMap, time::Duration};

use logmill_protocol::ErrorCode;

pub(crate) use self::{
    join::{JoinReply, JoinRequest},
    leave::Leaving,
    sync::{SyncReply, SyncRequest},
    view::GroupDescription,
};
use super::{
    member::{Member, Protocol},
    metadata::GroupMetadata,
};
use crate::settings::GroupSettings;

/// Names a request that waits for its answer; unique per group.
pub(crate) type Ticket = u64;

/// The time a step happens at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Monotonic milliseconds: deadlines.
    pub(crate) mono_ms: u64,
    /// Milliseconds since 1970: what is stored.
    pub(crate) wall_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum GroupState {
    /// No members; committed offsets may remain.
    Empty,
    /// Members are asked to join the next generation.
    PreparingRebalance,
    /// The generation is formed; its leader has not yet handed in the assignments.
    CompletingRebalance,
    Stable,
    /// Removed, or handed to another coordinator.
    Dead,
}

impl GroupState {
    pub(crate) const ALL: [Self; 5] =
        [Self::Empty, Self::PreparingRebalance, Self::CompletingRebalance, Self::Stable, Self::Dead];

    /// Kafka's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// Why a member was removed without asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Eviction {
    /// No heartbeat within the session timeout.
    Session,
    /// Did not rejoin within the rebalance timeout.
    Rebalance,
    /// Did not ask for its assignment within the rebalance timeout.
    Sync,
    /// Replaced by a member with the same instance id.
    Fenced,
}

impl Eviction {
    pub(crate) const ALL: [Self; 4] = [Self::Session, Self::Rebalance, Self::Sync, Self::Fenced];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session_timeout",
            Self::Rebalance => "rebalance_timeout",
            Self::Sync => "sync_timeout",
            Self::Fenced => "fenced",
        }
    }
}

/// What a step asks the world to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Joined(Ticket, JoinReply),
    Synced(Ticket, SyncReply),
    /// Append the group's metadata to its partition; when durable, or failed, call [`Group::persisted`] with the number.
    Persist(u64, GroupMetadata),
    RebalanceStarted,
    GenerationFormed,
    Evicted(Eviction),
}

/// The part of the settings the state machine needs, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) min_session_timeout_ms: u64,
    pub(crate) max_session_timeout_ms: u64,
    pub(crate) initial_rebalance_delay_ms: u64,
    pub(crate) new_member_join_timeout_ms: u64,
    pub(crate) max_size: usize,
    pub(crate) max_member_bytes: usize,
}

impl Limits {
    pub(super) fn new(settings: &GroupSettings) -> Self {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Self {
            min_session_timeout_ms: ms(settings.min_session_timeout),
            max_session_timeout_ms: ms(settings.max_session_timeout),
            initial_rebalance_delay_ms: ms(settings.initial_rebalance_delay),
            new_member_join_timeout_ms: ms(settings.new_member_join_timeout),
            max_size: settings.max_size,
            max_member_bytes: settings.max_member_bytes,
        }
    }

    /// A member's rebalance timeout: nothing that would make the group spin.
    fn rebalance_timeout(&self, asked_ms: i32) -> u64 {
        u64::try_from(asked_ms).unwrap_or(0).max(self.min_session_timeout_ms).max(1)
    }
}

/// Why a write is awaited.
#[derive(Debug, Clone)]
enum PendingWrite {
    /// The leader's assignments of this generation.
    Assignments { generation: i32, assignments: BTreeMap<String, bytes::Bytes> },
    /// A static member that came back under a new member id, without a rebalance.
    StaticMember { generation: i32, member_id: String, ticket: Ticket, reply: JoinReply },
}

#[derive(Debug, Clone)]
pub(crate) struct Group {
    limits: Limits,
    state: GroupState,
    /// Milliseconds since 1970 of the last change of state.
    state_since_ms: i64,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Instance id → member id.
    static_members: BTreeMap<String, String>,
    /// Member ids given out and not yet used → when they lapse.
    pending_members: BTreeMap<String, u64>,
    /// When the join phase ends at the latest.
    join_deadline: Option<u64>,
    /// Set while the join phase is the first of an empty group.
    initial_delay: Option<InitialDelay>,
    /// When members that have not synced are removed.
    sync_deadline: Option<u64>,
    pending_writes: BTreeMap<u64, PendingWrite>,
    next_write: u64,
}

/// The first rebalance of an empty group waits for more members, longer while they keep coming, but no longer than the
/// rebalance timeout.
#[derive(Debug, Clone, Copy)]
struct InitialDelay {
    delay_ms: u64,
    remaining_ms: u64,
    member_added: bool,
}

impl Group {
    pub(crate) fn new(limits: Limits, now: Now) -> Self {
        Self {
            limits,
            state: GroupState::Empty,
            state_since_ms: now.wall_ms,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_members: BTreeMap::new(),
            join_deadline: None,
            initial_delay: None,
            sync_deadline: None,
            pending_writes: BTreeMap::new(),
            next_write: 0,
        }
    }

    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    pub(crate) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// Milliseconds since 1970 of the last change of state.
    pub(crate) fn state_since_ms(&self) -> i64 {
        self.state_since_ms
    }

    pub(crate) fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Nothing would be lost by forgetting the group (its committed offsets aside).
    pub(crate) fn is_vacant(&self) -> bool {
        matches!(self.state, GroupState::Empty | GroupState::Dead)
            && self.pending_members.is_empty()
            && self.pending_writes.is_empty()
    }

    fn set_state(&mut self, state: GroupState, now: Now) {
        self.state = state;
        self.state_since_ms = now.wall_ms;
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// The member named in a request: [`ErrorCode::FencedInstanceId`] when its instance id now belongs to another.
    fn validate_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance_id {
            match self.static_members.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if current != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// At least one of the protocols is known to every member.
    fn supports_protocols(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.members.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|p| self.members.values().all(|m| m.supports(&p.name)))
    }

    /// The largest of the members'.
    fn rebalance_timeout_ms(&self) -> u64 {
        self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0)
    }

    /// Takes a member out of every table; the caller answers what it waited for.
    fn take_member(&mut self, member_id: &str) -> Option<Member> {
        self.pending_members.remove(member_id);
        let member = self.members.remove(member_id)?;
        if let Some(instance) = &member.instance_id
            && self.static_members.get(instance) == Some(&member.id)
        {
            self.static_members.remove(instance);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Removes a member, answering what it waits for with an error.
    fn remove_member(&mut self, member_id: &str, error: ErrorCode, fx: &mut Vec<Effect>) {
        if let Some(mut member) = self.take_member(member_id) {
            refuse(&mut member, error, fx);
        }
    }

    fn persist(&mut self, why: Option<PendingWrite>, assignments: Option<&BTreeMap<String, bytes::Bytes>>) -> Effect {
        let number = self.next_write;
        self.next_write += 1;
        if let Some(why) = why {
            self.pending_writes.insert(number, why);
        }
        Effect::Persist(number, self.metadata(assignments))
    }
}

/// Answers whatever the member waits for with an error.
fn refuse(member: &mut Member, error: ErrorCode, fx: &mut Vec<Effect>) {
    if let Some(ticket) = member.awaiting_join.take() {
        // A member that lost its id asks for a new one; the id is echoed only where it still means something.
        let id = if error == ErrorCode::UnknownMemberId { String::new() } else { member.id.clone() };
        fx.push(Effect::Joined(ticket, JoinReply::refused(id, error)));
    }
    if let Some(ticket) = member.awaiting_sync.take() {
        fx.push(Effect::Synced(ticket, SyncReply::refused(error)));
    }
}
