//! ListPartitionReassignments (46): the moves of replicas under way (KIP-455).

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    ListPartitionReassignmentsRequest<'a>: ListPartitionReassignments 0..=0 {
        timeout_ms: i32 [0.., default 60000],
        topics: Option<Vec<ListPartitionReassignmentsTopics<'a>>> [0.., nullable 0..],
    }

    ListPartitionReassignmentsTopics<'a> {
        name: &'a str,
        partition_indexes: Vec<i32>,
    }
}

message! {
    ListPartitionReassignmentsResponse<'a>: ListPartitionReassignments 0..=0 {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [0.., nullable 0..],
        topics: Vec<OngoingTopicReassignment<'a>>,
    }

    OngoingTopicReassignment<'a> {
        name: Cow<'a, str>,
        partitions: Vec<OngoingPartitionReassignment>,
    }

    OngoingPartitionReassignment {
        partition_index: i32,
        replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        removing_replicas: Vec<i32>,
    }
}
