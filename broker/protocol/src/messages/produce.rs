//! Produce (0): appends record batches to partitions.
//!
//! Up to version 2 the records are message sets of magic 0 or 1, from version 3 on record batches (KIP-98); zstd needs
//! version 7. Version 8 tells which records were refused (KIP-467), 10 where the leader went (KIP-951), 12 belongs to
//! transactions V2 (KIP-890), 13 names topics by id (KIP-516).

use std::borrow::Cow;

use crate::{ErrorCode, Uuid};

message! {
    ProduceRequest<'a>: Produce 0..=13 {
        transactional_id: Option<&'a str> [3.., nullable 3..],
        acks: i16,
        timeout_ms: i32,
        topic_data: Vec<TopicProduceData<'a>>,
    }

    TopicProduceData<'a> {
        name: &'a str [0..=12],
        topic_id: Uuid [13..],
        partition_data: Vec<PartitionProduceData<'a>>,
    }

    PartitionProduceData<'a> {
        index: i32,
        records: Option<&'a [u8]> [0.., nullable 0..],
    }
}

message! {
    ProduceResponse<'a>: Produce 0..=13 {
        responses: Vec<TopicProduceResponse<'a>>,
        throttle_time_ms: i32 [1..],
        node_endpoints: Vec<NodeEndpoint<'a>> [10.., tag 0],
    }

    TopicProduceResponse<'a> {
        name: Cow<'a, str> [0..=12],
        topic_id: Uuid [13..],
        partition_responses: Vec<PartitionProduceResponse<'a>>,
    }

    PartitionProduceResponse<'a> {
        index: i32,
        error_code: ErrorCode,
        base_offset: i64,
        log_append_time_ms: i64 [2.., default -1],
        log_start_offset: i64 [5.., default -1],
        record_errors: Vec<BatchIndexAndErrorMessage<'a>> [8..],
        error_message: Option<Cow<'a, str>> [8.., nullable 8..],
        current_leader: LeaderIdAndEpoch [10.., tag 0],
    }

    BatchIndexAndErrorMessage<'a> {
        batch_index: i32,
        batch_index_error_message: Option<Cow<'a, str>> [8.., nullable 8..],
    }

    LeaderIdAndEpoch {
        leader_id: i32 [10.., default -1],
        leader_epoch: i32 [10.., default -1],
    }

    NodeEndpoint<'a> {
        node_id: i32,
        host: Cow<'a, str>,
        port: i32,
        rack: Option<Cow<'a, str>> [10.., nullable 10..],
    }
}
