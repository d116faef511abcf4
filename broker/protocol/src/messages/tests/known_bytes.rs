//! Messages against bytes put together by hand from the protocol's description: above all the old versions that the
//! other codec does not know, and the records that Kafka's tools read.

use crate::messages::consumer_offsets::*;
use crate::messages::fetch::*;
use crate::messages::list_offsets::*;
use crate::messages::offset_commit::*;
use crate::messages::produce::*;
use crate::{ErrorCode, Message, Reader, Writer};

/// `expected` has spaces between its parts: decimal numbers as `width:value`, texts after `'` with a 16-bit length in
/// front.
fn bytes(expected: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for part in expected.split_whitespace() {
        if let Some(text) = part.strip_prefix('\'') {
            out.extend_from_slice(&(text.len() as i16).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        } else {
            let (width, value) = part.split_once(':').unwrap();
            let value: i64 = value.parse().unwrap();
            out.extend_from_slice(&value.to_be_bytes()[8 - width.parse::<usize>().unwrap()..]);
        }
    }
    out
}

fn both_ways<'a, M: Message<'a> + PartialEq + std::fmt::Debug>(expected: &'a [u8], version: i16, message: M) {
    let mut w = Writer::new();
    message.encode(&mut w, version).unwrap();
    assert_eq!(w.as_slice(), expected);
    let mut r = Reader::new(expected);
    assert_eq!(M::decode(&mut r, version).unwrap(), message);
    r.finish().unwrap();
}

#[test]
fn produce_0() {
    let partition_data = vec![PartitionProduceData { index: 3, records: Some(&[7, 8]) }];
    let topic_data = vec![TopicProduceData { name: "t", partition_data, ..Default::default() }];
    let request = ProduceRequest { acks: -1, timeout_ms: 500, topic_data, ..Default::default() };
    both_ways(&bytes("2:-1 4:500 4:1 't 4:1 4:3 4:2 1:7 1:8"), 0, request);

    let partition = PartitionProduceResponse {
        index: 3,
        error_code: ErrorCode::UnknownTopicOrPartition,
        base_offset: 9,
        ..Default::default()
    };
    let topic = TopicProduceResponse { name: "t".into(), partition_responses: vec![partition], ..Default::default() };
    let response = ProduceResponse { responses: vec![topic], ..Default::default() };
    both_ways(&bytes("4:1 't 4:1 4:3 2:3 8:9"), 0, response.clone());
    both_ways(&bytes("4:1 't 4:1 4:3 2:3 8:9 4:0"), 1, response.clone());
    both_ways(&bytes("4:1 't 4:1 4:3 2:3 8:9 8:-1 4:0"), 2, response);
}

#[test]
fn fetch_0_and_3() {
    let partition = FetchPartition { partition: 1, fetch_offset: 5, partition_max_bytes: 100, ..Default::default() };
    let topic = FetchTopic { topic: "t", partitions: vec![partition], ..Default::default() };
    let mut request = FetchRequest { max_wait_ms: 10, min_bytes: 1, topics: vec![topic], ..Default::default() };
    both_ways(&bytes("4:-1 4:10 4:1 4:1 't 4:1 4:1 8:5 4:100"), 0, request.clone());
    request.max_bytes = 77;
    both_ways(&bytes("4:-1 4:10 4:1 4:77 4:1 't 4:1 4:1 8:5 4:100"), 3, request);

    let records = crate::codec::RecordsOut::Bytes(vec![9].into());
    let partition = PartitionData { partition_index: 1, high_watermark: 6, records, ..Default::default() };
    let topic = FetchableTopicResponse { topic: "t".into(), partitions: vec![partition], ..Default::default() };
    let response = FetchResponse { responses: vec![topic], ..Default::default() };
    // No list of aborted transactions has been said yet: it is empty where null is unknown.
    let expected = bytes("4:1 't 4:1 4:1 2:0 8:6 4:1 1:9");
    both_ways(&expected, 0, response);
}

#[test]
fn list_offsets_0() {
    let partition =
        ListOffsetsPartition { partition_index: 2, timestamp: -1, max_num_offsets: 4, ..Default::default() };
    let topic = ListOffsetsTopic { name: "t", partitions: vec![partition] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    both_ways(&bytes("4:-1 4:1 't 4:1 4:2 8:-1 4:4"), 0, request);

    let partition =
        ListOffsetsPartitionResponse { partition_index: 2, old_style_offsets: vec![8, 0], ..Default::default() };
    let topic = ListOffsetsTopicResponse { name: "t".into(), partitions: vec![partition] };
    let response = ListOffsetsResponse { topics: vec![topic], ..Default::default() };
    both_ways(&bytes("4:1 't 4:1 4:2 2:0 4:2 8:8 8:0"), 0, response);
}

#[test]
fn offset_commit_0_to_2() {
    let partition = OffsetCommitRequestPartition { partition_index: 1, committed_offset: 5, ..Default::default() };
    let topic = OffsetCommitRequestTopic { name: "t", partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest { group_id: "g", topics: vec![topic], ..Default::default() };
    both_ways(&bytes("'g 4:1 't 4:1 4:1 8:5 2:-1"), 0, request.clone());
    both_ways(&bytes("'g 4:-1 2:0 4:1 't 4:1 4:1 8:5 8:-1 2:-1"), 1, request.clone());
    both_ways(&bytes("'g 4:-1 2:0 8:-1 4:1 't 4:1 4:1 8:5 2:-1"), 2, request);
}

#[test]
fn offset_record() {
    let key = OffsetCommitKey { group: "g", topic: "t", partition: 3 };
    let expected = bytes("2:1 'g 't 4:3");
    assert_eq!(encode_versioned(1, &key).unwrap(), expected);
    assert_eq!(OffsetsKey::decode(&expected).unwrap(), OffsetsKey::Offset(key));

    let value =
        OffsetCommitValue { offset: 42, leader_epoch: 7, metadata: "m", commit_timestamp: 1000, ..Default::default() };
    let expected = bytes("2:3 8:42 4:7 'm 8:1000");
    assert_eq!(encode_versioned(3, &value).unwrap(), expected);
    assert_eq!(decode_versioned::<OffsetCommitValue<'_>>(&expected).unwrap(), value);
}

#[test]
fn group_record() {
    let key = GroupMetadataKey { group: "g" };
    assert_eq!(encode_versioned(2, &key).unwrap(), bytes("2:2 'g"));
    assert_eq!(OffsetsKey::decode(&bytes("2:2 'g")).unwrap(), OffsetsKey::Group(key));
    assert_eq!(OffsetsKey::decode(&bytes("2:3 'g")).unwrap(), OffsetsKey::Unknown(3));

    let member = MemberMetadata {
        member_id: "m",
        group_instance_id: None,
        client_id: "c",
        client_host: "/h",
        rebalance_timeout: 300,
        session_timeout: 200,
        subscription: &[1],
        assignment: &[2, 3],
    };
    let value = GroupMetadataValue {
        protocol_type: "consumer",
        generation: 4,
        protocol: Some("range"),
        leader: Some("m"),
        current_state_timestamp: 99,
        members: vec![member],
    };
    let expected = bytes("2:3 'consumer 4:4 'range 'm 8:99 4:1 'm 2:-1 'c '/h 4:300 4:200 4:1 1:1 4:2 1:2 1:3");
    assert_eq!(encode_versioned(3, &value).unwrap(), expected);
    assert_eq!(decode_versioned::<GroupMetadataValue<'_>>(&expected).unwrap(), value);
}
