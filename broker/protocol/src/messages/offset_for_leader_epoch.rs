//! OffsetForLeaderEpoch (23): where a leader epoch ends in the log (KIP-101, KIP-320).

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    OffsetForLeaderEpochRequest<'a>: OffsetForLeaderEpoch 0..=4 {
        replica_id: i32 [3.., default -2],
        topics: Vec<OffsetForLeaderTopic<'a>>,
    }

    OffsetForLeaderTopic<'a> {
        topic: &'a str,
        partitions: Vec<OffsetForLeaderPartition>,
    }

    OffsetForLeaderPartition {
        partition: i32,
        current_leader_epoch: i32 [2.., default -1],
        leader_epoch: i32,
    }
}

message! {
    OffsetForLeaderEpochResponse<'a>: OffsetForLeaderEpoch 0..=4 {
        throttle_time_ms: i32 [2..],
        topics: Vec<OffsetForLeaderTopicResult<'a>>,
    }

    OffsetForLeaderTopicResult<'a> {
        topic: Cow<'a, str>,
        partitions: Vec<EpochEndOffset>,
    }

    EpochEndOffset {
        error_code: ErrorCode,
        partition: i32,
        leader_epoch: i32 [1.., default -1],
        end_offset: i64 [0.., default -1],
    }
}
