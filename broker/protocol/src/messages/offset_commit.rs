//! OffsetCommit (8): stores how far a group has read.
//!
//! Version 0 meant ZooKeeper, 1 carries a timestamp per partition, 2 to 4 a retention time, 6 leader epochs, 7 static
//! members, 10 names topics by id.

use std::borrow::Cow;

use crate::{ErrorCode, Uuid};

message! {
    OffsetCommitRequest<'a>: OffsetCommit 0..=10 {
        group_id: &'a str,
        generation_id_or_member_epoch: i32 [1.., default -1],
        member_id: &'a str [1..],
        group_instance_id: Option<&'a str> [7.., nullable 7..],
        retention_time_ms: i64 [2..=4, default -1],
        topics: Vec<OffsetCommitRequestTopic<'a>>,
    }

    OffsetCommitRequestTopic<'a> {
        name: &'a str [0..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetCommitRequestPartition<'a>>,
    }

    OffsetCommitRequestPartition<'a> {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [6.., default -1],
        commit_timestamp: i64 [1..=1, default -1],
        committed_metadata: Option<&'a str> [0.., nullable 0..],
    }
}

message! {
    OffsetCommitResponse<'a>: OffsetCommit 0..=10 {
        throttle_time_ms: i32 [3..],
        topics: Vec<OffsetCommitResponseTopic<'a>>,
    }

    OffsetCommitResponseTopic<'a> {
        name: Cow<'a, str> [0..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    OffsetCommitResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
