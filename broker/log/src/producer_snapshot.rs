//! Kafka's producer snapshots: `<offset>.snapshot`, the state of all producers before that offset.
//!
//! Version (i16) 1 · CRC-32C (u32) of what follows · count (i32) · entries of 46 bytes: producer id (i64), epoch (i16), last sequence (i32), last
//! offset (i64), offset delta (i32), timestamp (i64), coordinator epoch (i32), first offset of the open transaction (i64, -1 for none)
//! and nothing else.

use crate::producers::{BatchRange, Producer, Producers};

const VERSION: i16 = 1;
const HEADER: usize = 6;
const ENTRY: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

pub(crate) fn encode(producers: &Producers) -> Vec<u8> {
    let mut body = Vec::with_capacity(4 + producers.len() * ENTRY);
    body.extend(i32::try_from(producers.len()).unwrap_or(i32::MAX).to_be_bytes());
    let mut sorted: Vec<_> = producers.iter().collect();
    sorted.sort_by_key(|(id, _)| *id);
    for (id, producer) in sorted {
        let last = producer.last();
        body.extend(id.to_be_bytes());
        body.extend(producer.epoch.to_be_bytes());
        body.extend(last.map_or(-1, |b| b.last_sequence).to_be_bytes());
        body.extend(last.map_or(-1, |b| b.last_offset).to_be_bytes());
        body.extend(last.map_or(0, |b| b.offset_delta).to_be_bytes());
        body.extend(producer.last_timestamp.to_be_bytes());
        body.extend(producer.coordinator_epoch.to_be_bytes());
        body.extend(producer.transaction_start.unwrap_or(-1).to_be_bytes());
    }
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(crc32c::crc32c(&body).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// `None` if damaged: an older snapshot, or the log itself, has the same to say.
pub(crate) fn decode(bytes: &[u8]) -> Option<Producers> {
    let (version, rest) = bytes.split_first_chunk::<2>()?;
    let (crc, body) = rest.split_first_chunk::<4>()?;
    if i16::from_be_bytes(*version) != VERSION || u32::from_be_bytes(*crc) != crc32c::crc32c(body) {
        return None;
    }
    let (count, entries) = body.split_first_chunk::<4>()?;
    let count = usize::try_from(i32::from_be_bytes(*count)).ok()?;
    if entries.len() != count.checked_mul(ENTRY)? {
        return None;
    }
    let mut producers = Producers::default();
    for entry in entries.chunks_exact(ENTRY) {
        let (id, entry) = entry.split_first_chunk::<8>()?;
        let (epoch, entry) = entry.split_first_chunk::<2>()?;
        let (last_sequence, entry) = entry.split_first_chunk::<4>()?;
        let (last_offset, entry) = entry.split_first_chunk::<8>()?;
        let (offset_delta, entry) = entry.split_first_chunk::<4>()?;
        let (timestamp, entry) = entry.split_first_chunk::<8>()?;
        let (coordinator_epoch, entry) = entry.split_first_chunk::<4>()?;
        let transaction_start = i64::from_be_bytes(*entry.first_chunk::<8>()?);
        let timestamp = i64::from_be_bytes(*timestamp);
        let last_sequence = i32::from_be_bytes(*last_sequence);
        let last = BatchRange {
            last_sequence,
            last_offset: i64::from_be_bytes(*last_offset),
            offset_delta: i32::from_be_bytes(*offset_delta),
            timestamp,
        };
        let mut producer = Producer::restored(
            i16::from_be_bytes(*epoch),
            (last_sequence >= 0).then_some(last),
            i32::from_be_bytes(*coordinator_epoch),
            (transaction_start >= 0).then_some(transaction_start),
        );
        producer.last_timestamp = timestamp;
        producers.set(i64::from_be_bytes(*id), producer);
    }
    Some(producers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn snapshots_go_both_ways_and_damage_is_noticed() {
        let mut producers = Producers::default();
        let last = BatchRange { last_sequence: 9, last_offset: 109, offset_delta: 9, timestamp: 77 };
        producers.set(5, Producer::restored(2, Some(last), 3, Some(100)));
        producers.set(1, Producer::restored(0, None, -1, None));
        let bytes = encode(&producers);
        assert_eq!(bytes.len(), 6 + 4 + 2 * 46);
        assert_eq!(decode(&bytes).unwrap(), producers);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None, "byte {at}");
        }
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(decode(&[]), None);
    }
}
