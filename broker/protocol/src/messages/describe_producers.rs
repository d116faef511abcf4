//! DescribeProducers (61): the producers that a partition remembers (KIP-664).

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    DescribeProducersRequest<'a>: DescribeProducers 0..=0 {
        topics: Vec<TopicRequest<'a>>,
    }

    TopicRequest<'a> {
        name: &'a str,
        partition_indexes: Vec<i32>,
    }
}

message! {
    DescribeProducersResponse<'a>: DescribeProducers 0..=0 {
        throttle_time_ms: i32,
        topics: Vec<TopicResponse<'a>>,
    }

    TopicResponse<'a> {
        name: Cow<'a, str>,
        partitions: Vec<PartitionResponse<'a>>,
    }

    PartitionResponse<'a> {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [0.., nullable 0..],
        active_producers: Vec<ProducerState>,
    }

    ProducerState {
        producer_id: i64,
        producer_epoch: i32,
        last_sequence: i32 [0.., default -1],
        last_timestamp: i64 [0.., default -1],
        coordinator_epoch: i32,
        current_txn_start_offset: i64 [0.., default -1],
    }
}
