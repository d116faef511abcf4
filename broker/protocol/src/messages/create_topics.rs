//! CreateTopics (19): makes topics, from version 5 on telling their configuration, from 7 on their ids.

use std::borrow::Cow;

use crate::{ErrorCode, Uuid};

message! {
    CreateTopicsRequest<'a>: CreateTopics 0..=7 {
        topics: Vec<CreatableTopic<'a>>,
        timeout_ms: i32 [0.., default 60000],
        validate_only: bool [1..],
    }

    CreatableTopic<'a> {
        name: &'a str,
        num_partitions: i32,
        replication_factor: i16,
        assignments: Vec<CreatableReplicaAssignment>,
        configs: Vec<CreatableTopicConfig<'a>>,
    }

    CreatableReplicaAssignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }

    CreatableTopicConfig<'a> {
        name: &'a str,
        value: Option<&'a str> [0.., nullable 0..],
    }
}

message! {
    CreateTopicsResponse<'a>: CreateTopics 0..=7 {
        throttle_time_ms: i32 [2..],
        topics: Vec<CreatableTopicResult<'a>>,
    }

    CreatableTopicResult<'a> {
        name: Cow<'a, str>,
        topic_id: Uuid [7..],
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [1.., nullable 1..],
        topic_config_error_code: ErrorCode [5.., tag 0],
        num_partitions: i32 [5.., default -1],
        replication_factor: i16 [5.., default -1],
        configs: Option<Vec<CreatableTopicConfigs<'a>>> [5.., nullable 5..],
    }

    CreatableTopicConfigs<'a> {
        name: Cow<'a, str>,
        value: Option<Cow<'a, str>> [5.., nullable 5..],
        read_only: bool,
        config_source: i8 [5.., default -1],
        is_sensitive: bool,
    }
}
