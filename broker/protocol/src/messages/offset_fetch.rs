//! OffsetFetch (9): how far a group has read.
//!
//! Version 2 asks for all topics by null, 7 waits for pending transactions (KIP-447), 8 asks for several groups, 10
//! names topics by id.

use std::borrow::Cow;

use crate::{ErrorCode, Uuid};

message! {
    OffsetFetchRequest<'a>: OffsetFetch 0..=10 {
        group_id: &'a str [0..=7],
        topics: Option<Vec<OffsetFetchRequestTopic<'a>>> [0..=7, nullable 2..],
        groups: Vec<OffsetFetchRequestGroup<'a>> [8..],
        require_stable: bool [7..],
    }

    OffsetFetchRequestTopic<'a> {
        name: &'a str [0..=7],
        partition_indexes: Vec<i32> [0..=7],
    }

    OffsetFetchRequestGroup<'a> {
        group_id: &'a str,
        member_id: Option<&'a str> [9.., nullable 9..],
        member_epoch: i32 [9.., default -1],
        topics: Option<Vec<OffsetFetchRequestTopics<'a>>> [8.., nullable 8..],
    }

    OffsetFetchRequestTopics<'a> {
        name: &'a str [8..=9],
        topic_id: Uuid [10..],
        partition_indexes: Vec<i32>,
    }
}

message! {
    OffsetFetchResponse<'a>: OffsetFetch 0..=10 {
        throttle_time_ms: i32 [3..],
        topics: Vec<OffsetFetchResponseTopic<'a>> [0..=7],
        error_code: ErrorCode [2..=7],
        groups: Vec<OffsetFetchResponseGroup<'a>> [8..],
    }

    OffsetFetchResponseTopic<'a> {
        name: Cow<'a, str> [0..=7],
        partitions: Vec<OffsetFetchResponsePartition<'a>> [0..=7],
    }

    OffsetFetchResponsePartition<'a> {
        partition_index: i32 [0..=7],
        committed_offset: i64 [0..=7],
        committed_leader_epoch: i32 [5..=7, default -1],
        metadata: Option<Cow<'a, str>> [0..=7, nullable 0..],
        error_code: ErrorCode [0..=7],
    }

    OffsetFetchResponseGroup<'a> {
        group_id: Cow<'a, str>,
        topics: Vec<OffsetFetchResponseTopics<'a>>,
        error_code: ErrorCode,
    }

    OffsetFetchResponseTopics<'a> {
        name: Cow<'a, str> [8..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetFetchResponsePartitions<'a>>,
    }

    OffsetFetchResponsePartitions<'a> {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [8.., default -1],
        metadata: Option<Cow<'a, str>> [8.., nullable 8..],
        error_code: ErrorCode,
    }
}
