//! Kafka's rules for sequences, one by one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use logmill_protocol::records::Attributes;

fn batch(epoch: i16, base_sequence: i32, count: i32, base_offset: i64) -> BatchHeader {
    BatchHeader {
        base_offset,
        batch_length: 100,
        partition_leader_epoch: 0,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: count - 1,
        base_timestamp: 5,
        max_timestamp: 5,
        producer_id: 7,
        producer_epoch: epoch,
        base_sequence,
        record_count: count,
    }
}

#[test]
fn sequences_follow_one_another_and_the_last_five_are_duplicates() {
    let mut producer = Producer::default();
    for n in 0..8 {
        let b = batch(0, n * 10, 10, i64::from(n) * 10);
        assert_eq!(producer.check(&b).unwrap(), Verdict::New);
        producer.appended(&b);
    }
    for n in 3..8 {
        let Verdict::Duplicate(range) = producer.check(&batch(0, n * 10, 10, 0)).unwrap() else { panic!("{n}") };
        assert_eq!(range.base_offset(), i64::from(n) * 10);
    }
    let old = producer.check(&batch(0, 20, 10, 0)).unwrap_err();
    assert!(matches!(old, AppendError::OutOfOrderSequence { expected: 80, found: 20, .. }), "{old}");
    assert!(producer.check(&batch(0, 90, 1, 0)).is_err());
    // Same first sequence but another length is no duplicate.
    assert!(producer.check(&batch(0, 70, 9, 0)).is_err());
}

#[test]
fn unknown_producers_start_anywhere_but_new_epochs_at_zero() {
    let mut producer = Producer::default();
    let b = batch(3, 1000, 5, 0);
    assert_eq!(producer.check(&b).unwrap(), Verdict::New);
    producer.appended(&b);
    let fenced = producer.check(&batch(2, 1005, 1, 0)).unwrap_err();
    assert!(matches!(fenced, AppendError::InvalidProducerEpoch { current: 3, found: 2, .. }));
    assert!(producer.check(&batch(4, 1005, 1, 0)).is_err());
    let bumped = batch(4, 0, 1, 5);
    assert_eq!(producer.check(&bumped).unwrap(), Verdict::New);
    producer.appended(&bumped);
    assert!(producer.check(&batch(3, 1005, 1, 0)).is_err());
}

#[test]
fn sequences_wrap_to_zero() {
    let mut producer = Producer::default();
    let b = batch(0, i32::MAX - 1, 4, 0);
    assert_eq!(b.last_sequence(), 1);
    producer.appended(&b);
    assert_eq!(producer.check(&batch(0, 2, 1, 4)).unwrap(), Verdict::New);
    assert!(matches!(producer.check(&b).unwrap(), Verdict::Duplicate(_)));
}

#[test]
fn old_producers_expire_unless_a_transaction_is_open() {
    let mut producers = Producers::default();
    producers.replay(&batch(0, 0, 1, 0));
    let mut open = batch(0, 0, 1, 1);
    open.producer_id = 8;
    open.attributes = Attributes(Attributes::TRANSACTIONAL);
    producers.replay(&open);
    assert_eq!(producers.get(8).transaction_start, Some(1));
    producers.expire(6);
    assert_eq!(producers.len(), 1);
    let mut marker = batch(0, -1, 1, 2);
    marker.producer_id = 8;
    marker.attributes = Attributes(Attributes::TRANSACTIONAL | Attributes::CONTROL);
    producers.replay(&marker);
    producers.expire(6);
    assert_eq!(producers.len(), 0);
}

#[test]
fn compaction_keeps_the_last_batch_that_a_crash_leaves() {
    let mut producers = Producers::default();
    for n in 0..8 {
        producers.replay(&batch(0, n, 1, i64::from(n)));
    }
    assert_eq!(producers.last_batches(8)[&7], LastBatch::Data(7));
    assert_eq!(producers.last_batches(6)[&7], LastBatch::Data(5));
    assert_eq!(producers.last_batches(3)[&7], LastBatch::Unsettled, "five are remembered");
}
