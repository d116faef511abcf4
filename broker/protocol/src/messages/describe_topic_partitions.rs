//! DescribeTopicPartitions (75): topics page by page (KIP-966).

use std::borrow::Cow;

use crate::{ErrorCode, Uuid};

message! {
    DescribeTopicPartitionsRequest<'a>: DescribeTopicPartitions 0..=0 {
        topics: Vec<TopicRequest<'a>>,
        response_partition_limit: i32 [0.., default 2000],
        cursor: Option<Cursor<'a>> [0.., nullable 0..],
    }

    TopicRequest<'a> {
        name: &'a str,
    }

    Cursor<'a> {
        topic_name: &'a str,
        partition_index: i32,
    }
}

message! {
    DescribeTopicPartitionsResponse<'a>: DescribeTopicPartitions 0..=0 {
        throttle_time_ms: i32,
        topics: Vec<DescribeTopicPartitionsResponseTopic<'a>>,
        next_cursor: Option<CursorResponse<'a>> [0.., nullable 0..],
    }

    DescribeTopicPartitionsResponseTopic<'a> {
        error_code: ErrorCode,
        name: Option<Cow<'a, str>> [0.., nullable 0..],
        topic_id: Uuid,
        is_internal: bool,
        partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        topic_authorized_operations: i32 [0.., default i32::MIN],
    }

    DescribeTopicPartitionsResponsePartition {
        error_code: ErrorCode,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 [0.., default -1],
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        eligible_leader_replicas: Option<Vec<i32>> [0.., nullable 0..],
        last_known_elr: Option<Vec<i32>> [0.., nullable 0..],
        offline_replicas: Vec<i32>,
    }

    CursorResponse<'a> {
        topic_name: Cow<'a, str>,
        partition_index: i32,
    }
}
