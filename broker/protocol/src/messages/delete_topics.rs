//! DeleteTopics (20): removes topics, from version 6 on also by id.

use std::borrow::Cow;

use crate::{ErrorCode, Uuid};

message! {
    DeleteTopicsRequest<'a>: DeleteTopics 0..=6 {
        topics: Vec<DeleteTopicState<'a>> [6..],
        topic_names: Vec<&'a str> [0..=5],
        timeout_ms: i32,
    }

    DeleteTopicState<'a> {
        name: Option<&'a str> [6.., nullable 6..],
        topic_id: Uuid,
    }
}

message! {
    DeleteTopicsResponse<'a>: DeleteTopics 0..=6 {
        throttle_time_ms: i32 [1..],
        responses: Vec<DeletableTopicResult<'a>>,
    }

    DeletableTopicResult<'a> {
        name: Option<Cow<'a, str>> [0.., nullable 6..],
        topic_id: Uuid [6..],
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [5.., nullable 5..],
    }
}
