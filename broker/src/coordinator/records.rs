//! The records of `__consumer_offsets`: which partition a group's go to, and what they say, in Kafka's own format.
//!
//! A record with a null value is a tombstone. Keys of other kinds (the newer group protocols') are left alone.

use logmill_protocol::{
    DecodeError, EncodeError,
    messages::consumer_offsets::{
        GroupMetadataKey, OffsetCommitKey, OffsetCommitValue, OffsetsKey, decode_versioned, encode_versioned,
    },
};

use super::{metadata::GroupMetadata, offsets::CommittedOffset};

/// One record to append: a null value deletes what the key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl StoredRecord {
    /// # Errors
    /// A string longer than 32 767 bytes.
    pub(crate) fn offset(
        group: &str,
        topic: &str,
        partition: i32,
        committed: Option<&CommittedOffset>,
    ) -> Result<Self, EncodeError> {
        let key = encode_versioned(1, &OffsetCommitKey { group, topic, partition })?;
        Ok(Self { key, value: committed.map(encode_offset).transpose()? })
    }

    /// # Errors
    /// A string longer than 32 767 bytes.
    pub(crate) fn group(group: &str, metadata: Option<&GroupMetadata>) -> Result<Self, EncodeError> {
        let key = encode_versioned(2, &GroupMetadataKey { group })?;
        Ok(Self { key, value: metadata.map(GroupMetadata::encode).transpose()? })
    }
}

/// What a stored record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Offset {
        group: String,
        topic: String,
        partition: i32,
        committed: Option<CommittedOffset>,
    },
    /// The value as stored: only a group's last one is worth decoding.
    Group {
        group: String,
        value: Option<Vec<u8>>,
    },
    /// Written by something newer.
    Unknown {
        version: i16,
    },
}

impl Entry {
    /// # Errors
    /// A truncated key or value, a value of an unknown version, text that is not UTF-8.
    pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, DecodeError> {
        Ok(match OffsetsKey::decode(key)? {
            OffsetsKey::Offset(key) => Self::Offset {
                group: key.group.to_owned(),
                topic: key.topic.to_owned(),
                partition: key.partition,
                committed: value.map(decode_offset).transpose()?,
            },
            OffsetsKey::Group(key) => Self::Group { group: key.group.to_owned(), value: value.map(<[u8]>::to_vec) },
            OffsetsKey::Unknown(version) => Self::Unknown { version },
        })
    }
}

/// Version 3, or 1 when the commit names its own expiry (which later versions cannot say): as Kafka writes them.
fn encode_offset(committed: &CommittedOffset) -> Result<Vec<u8>, EncodeError> {
    let version = if committed.expires_ms.is_some() { 1 } else { 3 };
    let value = OffsetCommitValue {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: &committed.metadata,
        commit_timestamp: committed.commit_ms,
        expire_timestamp: committed.expires_ms.unwrap_or(-1),
        ..Default::default()
    };
    encode_versioned(version, &value)
}

fn decode_offset(value: &[u8]) -> Result<CommittedOffset, DecodeError> {
    let value: OffsetCommitValue<'_> = decode_versioned(value)?;
    Ok(CommittedOffset {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.into(),
        commit_ms: value.commit_timestamp,
        expires_ms: Some(value.expire_timestamp).filter(|at| *at >= 0),
    })
}

/// The partition that holds a group: `Utils.abs(groupId.hashCode()) % partitions`, where Java hashes UTF-16 units and
/// Kafka takes the smallest integer's absolute value to be 0.
pub(crate) fn partition_of(group: &str, partitions: i32) -> i32 {
    let hash = group.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_fall_into_kafkas_partitions() {
        // Hashes as Java's String.hashCode gives them.
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("g1", 50), 3242 % 50);
        assert_eq!(partition_of("hello", 50), 99_162_322 % 50);
        assert_eq!(partition_of("polygenelubricants", 50), 0, "hash i32::MIN");
        assert_eq!(partition_of("ä€😀", 1 << 30), java_hash(&[0xe4, 0x20ac, 0xd83d, 0xde00]).abs() % (1 << 30));
    }

    fn java_hash(units: &[i32]) -> i32 {
        units.iter().fold(0, |h: i32, u| h.wrapping_mul(31).wrapping_add(*u))
    }

    #[test]
    fn records_are_kafkas_byte_for_byte() {
        let committed =
            CommittedOffset { offset: 5, leader_epoch: 7, metadata: "m".into(), commit_ms: 9, expires_ms: None };
        let record = StoredRecord::offset("g", "t", 3, Some(&committed)).unwrap();
        assert_eq!(record.key, b"\0\x01\0\x01g\0\x01t\0\0\0\x03");
        let value = record.value.unwrap();
        assert_eq!(value, b"\0\x03\0\0\0\0\0\0\0\x05\0\0\0\x07\0\x01m\0\0\0\0\0\0\0\x09");
        assert_eq!(decode_offset(&value).unwrap(), committed);
        let expiring = CommittedOffset { expires_ms: Some(11), leader_epoch: -1, ..committed };
        let value = encode_offset(&expiring).unwrap();
        assert_eq!(value[..2], [0, 1]);
        assert_eq!(decode_offset(&value).unwrap(), expiring);
        let tombstone = StoredRecord::group("g", None).unwrap();
        assert_eq!((tombstone.key.as_slice(), tombstone.value), (&b"\0\x02\0\x01g"[..], None));
    }

    #[test]
    fn keys_of_newer_kinds_are_told_apart() {
        assert_eq!(Entry::decode(&[0, 3, 0], Some(&[])).unwrap(), Entry::Unknown { version: 3 });
        assert!(Entry::decode(&[0, 1, 0], None).is_err());
    }
}
