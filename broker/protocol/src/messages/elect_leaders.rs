//! ElectLeaders (43): makes the preferred, or any, replica the leader.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    ElectLeadersRequest<'a>: ElectLeaders 0..=2 {
        election_type: i8 [1..],
        topic_partitions: Option<Vec<TopicPartitions<'a>>> [0.., nullable 0..],
        timeout_ms: i32 [0.., default 60000],
    }

    TopicPartitions<'a> {
        topic: &'a str,
        partitions: Vec<i32>,
    }
}

message! {
    ElectLeadersResponse<'a>: ElectLeaders 0..=2 {
        throttle_time_ms: i32,
        error_code: ErrorCode [1..],
        replica_election_results: Vec<ReplicaElectionResult<'a>>,
    }

    ReplicaElectionResult<'a> {
        topic: Cow<'a, str>,
        partition_result: Vec<PartitionResult<'a>>,
    }

    PartitionResult<'a> {
        partition_id: i32,
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [0.., nullable 0..],
    }
}
