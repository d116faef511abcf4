//! Keys and values of `__consumer_offsets`, in the form Kafka's own tools read: a 16-bit version, then the message.
//!
//! Kafka writes keys of version 1 (offsets) and 2 (groups), and values of version 3: version 4 is flexible and only
//! carries what older brokers may ignore.

use crate::{DecodeError, EncodeError, Message, Reader, Uuid, Writer};

stored_message! {
    OffsetCommitKey<'a>: 0..=1 {
        group: &'a str,
        topic: &'a str,
        partition: i32,
    }
}

stored_message! {
    OffsetCommitValue<'a>: 0..=4, flexible 4 {
        offset: i64,
        leader_epoch: i32 [3.., default -1],
        metadata: &'a str,
        commit_timestamp: i64,
        expire_timestamp: i64 [1..=1, default -1],
        topic_id: Uuid [4.., tag 0],
    }
}

stored_message! {
    GroupMetadataKey<'a>: 2..=2 {
        group: &'a str,
    }
}

stored_message! {
    GroupMetadataValue<'a>: 0..=4, flexible 4 {
        protocol_type: &'a str,
        generation: i32,
        protocol: Option<&'a str> [0.., nullable 0..],
        leader: Option<&'a str> [0.., nullable 0..],
        current_state_timestamp: i64 [2.., default -1],
        members: Vec<MemberMetadata<'a>>,
    }

    MemberMetadata<'a> {
        member_id: &'a str,
        group_instance_id: Option<&'a str> [3.., nullable 3..],
        client_id: &'a str,
        client_host: &'a str,
        rebalance_timeout: i32 [1.., default -1],
        session_timeout: i32,
        subscription: &'a [u8],
        assignment: &'a [u8],
    }
}

/// A key, told apart by its version.
#[derive(Debug, Clone, PartialEq)]
pub enum OffsetsKey<'a> {
    Offset(OffsetCommitKey<'a>),
    Group(GroupMetadataKey<'a>),
    /// A version of a newer Kafka (consumer, share and streams groups); its record is skipped.
    Unknown(i16),
}

impl<'a> OffsetsKey<'a> {
    pub fn decode(key: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(key);
        match r.i16()? {
            version @ 0..=1 => OffsetCommitKey::decode(&mut r, version).map(Self::Offset),
            version @ 2 => GroupMetadataKey::decode(&mut r, version).map(Self::Group),
            version => Ok(Self::Unknown(version)),
        }
    }
}

/// A value (or a key of known kind) with the version in front of it.
pub fn decode_versioned<'a, M: Message<'a>>(bytes: &'a [u8]) -> Result<M, DecodeError> {
    let mut r = Reader::new(bytes);
    let version = r.i16()?;
    M::decode(&mut r, version)
}

/// The bytes of a key or value with the version in front.
pub fn encode_versioned<'a, M: Message<'a>>(version: i16, message: &M) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    w.put_i16(version);
    message.encode(&mut w, version)?;
    Ok(w.into_vec())
}
