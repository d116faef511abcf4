//! TxnOffsetCommit (28): stores how far a group has read as part of a transaction.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    TxnOffsetCommitRequest<'a>: TxnOffsetCommit 0..=5 {
        transactional_id: &'a str,
        group_id: &'a str,
        producer_id: i64,
        producer_epoch: i16,
        generation_id: i32 [3.., default -1],
        member_id: &'a str [3..],
        group_instance_id: Option<&'a str> [3.., nullable 3..],
        topics: Vec<TxnOffsetCommitRequestTopic<'a>>,
    }

    TxnOffsetCommitRequestTopic<'a> {
        name: &'a str,
        partitions: Vec<TxnOffsetCommitRequestPartition<'a>>,
    }

    TxnOffsetCommitRequestPartition<'a> {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [2.., default -1],
        committed_metadata: Option<&'a str> [0.., nullable 0..],
    }
}

message! {
    TxnOffsetCommitResponse<'a>: TxnOffsetCommit 0..=5 {
        throttle_time_ms: i32,
        topics: Vec<TxnOffsetCommitResponseTopic<'a>>,
    }

    TxnOffsetCommitResponseTopic<'a> {
        name: Cow<'a, str>,
        partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    TxnOffsetCommitResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
