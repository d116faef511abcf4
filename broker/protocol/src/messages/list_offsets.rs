//! ListOffsets (2): the offset at a time, or the log's start or end.
//!
//! Version 0 returns several offsets a partition, later ones a single one with its timestamp. Special timestamps: -1
//! end, -2 start, -3 the largest timestamp's (version 7), -4 and -5 with tiered storage (versions 8 and 9), -6
//! (version 11).

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    ListOffsetsRequest<'a>: ListOffsets 0..=11 {
        replica_id: i32,
        isolation_level: i8 [2..],
        topics: Vec<ListOffsetsTopic<'a>>,
        timeout_ms: i32 [10..],
    }

    ListOffsetsTopic<'a> {
        name: &'a str,
        partitions: Vec<ListOffsetsPartition>,
    }

    ListOffsetsPartition {
        partition_index: i32,
        current_leader_epoch: i32 [4.., default -1],
        timestamp: i64,
        max_num_offsets: i32 [0..=0, default 1],
    }
}

message! {
    ListOffsetsResponse<'a>: ListOffsets 0..=11 {
        throttle_time_ms: i32 [2..],
        topics: Vec<ListOffsetsTopicResponse<'a>>,
    }

    ListOffsetsTopicResponse<'a> {
        name: Cow<'a, str>,
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    ListOffsetsPartitionResponse {
        partition_index: i32,
        error_code: ErrorCode,
        old_style_offsets: Vec<i64> [0..=0],
        timestamp: i64 [1.., default -1],
        offset: i64 [1.., default -1],
        leader_epoch: i32 [4.., default -1],
    }
}
