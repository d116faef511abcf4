//! What others see of a group: its description, and its metadata as it is stored and restored.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Group, GroupState, Limits, Now};
use crate::coordinator::{
    member::{Member, Protocol},
    metadata::{GroupMetadata, MemberMetadata},
};

/// As DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupDescription {
    pub(crate) state: GroupState,
    pub(crate) protocol_type: String,
    /// The chosen assignor; empty unless stable.
    pub(crate) protocol: String,
    pub(crate) members: Vec<MemberDescription>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberDescription {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    /// Empty unless stable, as the assignment.
    pub(crate) metadata: Bytes,
    pub(crate) assignment: Bytes,
}

impl Group {
    pub(crate) fn describe(&self) -> GroupDescription {
        let stable = self.state == GroupState::Stable;
        let protocol = if stable { self.protocol.clone().unwrap_or_default() } else { String::new() };
        let members = self.members.values().map(|m| MemberDescription {
            id: m.id.clone(),
            instance_id: m.instance_id.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            metadata: if stable { m.metadata(&protocol) } else { Bytes::new() },
            assignment: if stable { m.assignment.clone() } else { Bytes::new() },
        });
        GroupDescription {
            state: self.state,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            members: members.collect(),
            protocol,
        }
    }

    /// The group as it is written: the members' assignments are their current ones unless others are given.
    pub(super) fn metadata(&self, assignments: Option<&BTreeMap<String, Bytes>>) -> GroupMetadata {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.values().map(|m| MemberMetadata {
            id: m.id.clone(),
            instance_id: m.instance_id.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            rebalance_timeout_ms: i32::try_from(m.rebalance_timeout_ms).unwrap_or(i32::MAX),
            session_timeout_ms: i32::try_from(m.session_timeout_ms).unwrap_or(i32::MAX),
            subscription: m.metadata(protocol),
            assignment: match assignments {
                Some(new) => new.get(&m.id).cloned().unwrap_or_default(),
                None => m.assignment.clone(),
            },
        });
        GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since_ms: self.state_since_ms,
            members: members.collect(),
        }
    }

    /// A group read back from its partition: stable, or empty. Every member gets a full session to report again.
    pub(crate) fn restore(stored: GroupMetadata, limits: Limits, now: Now) -> Self {
        let mut group = Self::new(limits, now);
        group.generation = stored.generation.max(0);
        group.protocol_type = Some(stored.protocol_type).filter(|t| !t.is_empty());
        if stored.state_since_ms >= 0 {
            group.state_since_ms = stored.state_since_ms;
        }
        let protocol = stored.protocol.unwrap_or_default();
        for m in stored.members {
            if let Some(instance) = &m.instance_id {
                group.static_members.insert(instance.clone(), m.id.clone());
            }
            let session = u64::try_from(m.session_timeout_ms).unwrap_or(0);
            let session_timeout_ms = session.max(limits.min_session_timeout_ms);
            let member = Member {
                id: m.id.clone(),
                instance_id: m.instance_id,
                client_id: m.client_id,
                client_host: m.client_host,
                rebalance_timeout_ms: limits.rebalance_timeout(m.rebalance_timeout_ms),
                session_timeout_ms,
                // Only the chosen protocol is stored; the member names the others when it joins again.
                protocols: vec![Protocol { name: protocol.clone(), metadata: m.subscription }],
                assignment: m.assignment,
                awaiting_join: None,
                awaiting_sync: None,
                is_new: false,
                owes_sync: false,
                session_deadline: now.mono_ms.saturating_add(session_timeout_ms),
            };
            group.members.insert(m.id, member);
        }
        if !group.members.is_empty() {
            group.state = GroupState::Stable;
            group.protocol = Some(protocol);
            let stored_leader = stored.leader.filter(|id| group.members.contains_key(id));
            group.leader = stored_leader.or_else(|| group.members.keys().next().cloned());
        }
        group
    }
}
