//! A group's metadata as it is stored in `__consumer_offsets` and restored from it.

use bytes::Bytes;
use logmill_protocol::{
    DecodeError, EncodeError,
    messages::consumer_offsets::{self, GroupMetadataValue, decode_versioned, encode_versioned},
};

/// What Kafka writes.
const VERSION: i16 = 3;

/// Type, generation and members with their assignments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct GroupMetadata {
    /// "consumer", "connect" …; empty for a group that only holds offsets.
    pub(crate) protocol_type: String,
    pub(crate) generation: i32,
    /// None while there are no members, as the leader.
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    /// Milliseconds since 1970 of the last change of state; -1 unknown (versions 0 and 1).
    pub(crate) state_since_ms: i64,
    pub(crate) members: Vec<MemberMetadata>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MemberMetadata {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    /// -1 unknown (version 0).
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// For the group's chosen protocol.
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}

impl GroupMetadata {
    /// # Errors
    /// A string longer than 32 767 bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let members = self.members.iter().map(|m| consumer_offsets::MemberMetadata {
            member_id: &m.id,
            group_instance_id: m.instance_id.as_deref(),
            client_id: &m.client_id,
            client_host: &m.client_host,
            rebalance_timeout: m.rebalance_timeout_ms,
            session_timeout: m.session_timeout_ms,
            subscription: &m.subscription,
            assignment: &m.assignment,
        });
        let value = GroupMetadataValue {
            protocol_type: &self.protocol_type,
            generation: self.generation,
            protocol: self.protocol.as_deref(),
            leader: self.leader.as_deref(),
            current_state_timestamp: self.state_since_ms,
            members: members.collect(),
        };
        encode_versioned(VERSION, &value)
    }

    /// # Errors
    /// An unknown version or a truncated value.
    pub(crate) fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let value: GroupMetadataValue<'_> = decode_versioned(value)?;
        let members = value.members.iter().map(|m| MemberMetadata {
            id: m.member_id.to_owned(),
            instance_id: m.group_instance_id.map(str::to_owned),
            client_id: m.client_id.to_owned(),
            client_host: m.client_host.to_owned(),
            rebalance_timeout_ms: m.rebalance_timeout,
            session_timeout_ms: m.session_timeout,
            subscription: Bytes::copy_from_slice(m.subscription),
            assignment: Bytes::copy_from_slice(m.assignment),
        });
        Ok(Self {
            protocol_type: value.protocol_type.to_owned(),
            generation: value.generation,
            protocol: value.protocol.map(str::to_owned),
            leader: value.leader.map(str::to_owned),
            state_since_ms: value.current_state_timestamp,
            members: members.collect(),
        })
    }
}
