//! AlterPartitionReassignments (45): moves replicas, or stops moving them (KIP-455).

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    AlterPartitionReassignmentsRequest<'a>: AlterPartitionReassignments 0..=0 {
        timeout_ms: i32 [0.., default 60000],
        topics: Vec<ReassignableTopic<'a>>,
    }

    ReassignableTopic<'a> {
        name: &'a str,
        partitions: Vec<ReassignablePartition>,
    }

    ReassignablePartition {
        partition_index: i32,
        replicas: Option<Vec<i32>> [0.., nullable 0..],
    }
}

message! {
    AlterPartitionReassignmentsResponse<'a>: AlterPartitionReassignments 0..=0 {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [0.., nullable 0..],
        responses: Vec<ReassignableTopicResponse<'a>>,
    }

    ReassignableTopicResponse<'a> {
        name: Cow<'a, str>,
        partitions: Vec<ReassignablePartitionResponse<'a>>,
    }

    ReassignablePartitionResponse<'a> {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [0.., nullable 0..],
    }
}
