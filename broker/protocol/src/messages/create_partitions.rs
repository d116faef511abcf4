//! CreatePartitions (37): adds partitions to topics.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    CreatePartitionsRequest<'a>: CreatePartitions 0..=3 {
        topics: Vec<CreatePartitionsTopic<'a>>,
        timeout_ms: i32,
        validate_only: bool,
    }

    CreatePartitionsTopic<'a> {
        name: &'a str,
        count: i32,
        assignments: Option<Vec<CreatePartitionsAssignment>> [0.., nullable 0..],
    }

    CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }
}

message! {
    CreatePartitionsResponse<'a>: CreatePartitions 0..=3 {
        throttle_time_ms: i32,
        results: Vec<CreatePartitionsTopicResult<'a>>,
    }

    CreatePartitionsTopicResult<'a> {
        name: Cow<'a, str>,
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [0.., nullable 0..],
    }
}
