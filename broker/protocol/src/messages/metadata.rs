//! Metadata (3): brokers, topics, partitions and who leads them.
//!
//! Version 0 asks for all topics by an empty list, later ones by null. Version 4 lets the client refuse automatic
//! creation, 10 has topic ids, 12 asks by topic id, 13 has an error for the request as a whole.

use std::borrow::Cow;

use crate::{ErrorCode, Uuid};

message! {
    MetadataRequest<'a>: Metadata 0..=13 {
        topics: Option<Vec<MetadataRequestTopic<'a>>> [0.., nullable 1..],
        allow_auto_topic_creation: bool [4.., default true],
        include_cluster_authorized_operations: bool [8..=10],
        include_topic_authorized_operations: bool [8..],
    }

    MetadataRequestTopic<'a> {
        topic_id: Uuid [10..],
        name: Option<&'a str> [0.., nullable 10..],
    }
}

message! {
    MetadataResponse<'a>: Metadata 0..=13 {
        throttle_time_ms: i32 [3..],
        brokers: Vec<MetadataResponseBroker<'a>>,
        cluster_id: Option<Cow<'a, str>> [2.., nullable 2..],
        controller_id: i32 [1.., default -1],
        topics: Vec<MetadataResponseTopic<'a>>,
        cluster_authorized_operations: i32 [8..=10, default i32::MIN],
        error_code: ErrorCode [13..],
    }

    MetadataResponseBroker<'a> {
        node_id: i32,
        host: Cow<'a, str>,
        port: i32,
        rack: Option<Cow<'a, str>> [1.., nullable 1..],
    }

    MetadataResponseTopic<'a> {
        error_code: ErrorCode,
        name: Option<Cow<'a, str>> [0.., nullable 12..],
        topic_id: Uuid [10..],
        is_internal: bool [1..],
        partitions: Vec<MetadataResponsePartition>,
        topic_authorized_operations: i32 [8.., default i32::MIN],
    }

    MetadataResponsePartition {
        error_code: ErrorCode,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 [7.., default -1],
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        offline_replicas: Vec<i32> [5..],
    }
}
