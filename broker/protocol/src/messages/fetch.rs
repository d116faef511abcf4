//! Fetch (1): reads record batches of partitions, waiting for more where there is too little.
//!
//! Version 4 returns record batches and aborted transactions, 7 has sessions (KIP-227), 9 leader epochs (KIP-320), 10
//! zstd, 11 reading from a nearby replica (KIP-392), 12 diverging epochs, 13 names topics by id (KIP-516), 15 moves
//! the replica's id and epoch into a tagged field (KIP-903), 16 tells where the leader went (KIP-951), 18 carries the
//! follower's high watermark (KIP-1166).

use std::borrow::Cow;

use crate::{ErrorCode, Uuid, codec::RecordsOut};

message! {
    FetchRequest<'a>: Fetch 0..=18 {
        cluster_id: Option<&'a str> [12.., nullable 12.., tag 0],
        replica_id: i32 [0..=14, default -1],
        replica_state: ReplicaState [15.., tag 1],
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 [3.., default i32::MAX],
        isolation_level: i8 [4..],
        session_id: i32 [7..],
        session_epoch: i32 [7.., default -1],
        topics: Vec<FetchTopic<'a>>,
        forgotten_topics_data: Vec<ForgottenTopic<'a>> [7..],
        rack_id: &'a str [11..],
    }

    ReplicaState {
        replica_id: i32 [15.., default -1],
        replica_epoch: i64 [15.., default -1],
    }

    FetchTopic<'a> {
        topic: &'a str [0..=12],
        topic_id: Uuid [13..],
        partitions: Vec<FetchPartition>,
    }

    FetchPartition {
        partition: i32,
        current_leader_epoch: i32 [9.., default -1],
        fetch_offset: i64,
        last_fetched_epoch: i32 [12.., default -1],
        log_start_offset: i64 [5.., default -1],
        partition_max_bytes: i32,
        replica_directory_id: Uuid [17.., tag 0],
        high_watermark: i64 [18.., tag 1, default i64::MAX],
    }

    ForgottenTopic<'a> {
        topic: &'a str [7..=12],
        topic_id: Uuid [13..],
        partitions: Vec<i32>,
    }
}

message! {
    FetchResponse<'a>: Fetch 0..=18 {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode [7..],
        session_id: i32 [7..],
        responses: Vec<FetchableTopicResponse<'a>>,
        node_endpoints: Vec<NodeEndpoint<'a>> [16.., tag 0],
    }

    FetchableTopicResponse<'a> {
        topic: Cow<'a, str> [0..=12],
        topic_id: Uuid [13..],
        partitions: Vec<PartitionData<'a>>,
    }

    PartitionData<'a> {
        partition_index: i32,
        error_code: ErrorCode,
        high_watermark: i64,
        last_stable_offset: i64 [4.., default -1],
        log_start_offset: i64 [5.., default -1],
        diverging_epoch: EpochEndOffset [12.., tag 0],
        current_leader: LeaderIdAndEpoch [12.., tag 1],
        snapshot_id: SnapshotId [12.., tag 2],
        aborted_transactions: Option<Vec<AbortedTransaction>> [4.., nullable 4..],
        preferred_read_replica: i32 [11.., default -1],
        records: RecordsOut<'a>,
    }

    EpochEndOffset {
        epoch: i32 [12.., default -1],
        end_offset: i64 [12.., default -1],
    }

    LeaderIdAndEpoch {
        leader_id: i32 [12.., default -1],
        leader_epoch: i32 [12.., default -1],
    }

    SnapshotId {
        end_offset: i64 [12.., default -1],
        epoch: i32 [12.., default -1],
    }

    AbortedTransaction {
        producer_id: i64,
        first_offset: i64,
    }

    NodeEndpoint<'a> {
        node_id: i32,
        host: Cow<'a, str>,
        port: i32,
        rack: Option<Cow<'a, str>> [16.., nullable 16..],
    }
}
