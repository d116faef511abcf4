//! OffsetDelete (47): forgets how far a group has read of some topics (KIP-496).

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    OffsetDeleteRequest<'a>: OffsetDelete 0..=0 {
        group_id: &'a str,
        topics: Vec<OffsetDeleteRequestTopic<'a>>,
    }

    OffsetDeleteRequestTopic<'a> {
        name: &'a str,
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    OffsetDeleteRequestPartition {
        partition_index: i32,
    }
}

message! {
    OffsetDeleteResponse<'a>: OffsetDelete 0..=0 {
        error_code: ErrorCode,
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteResponseTopic<'a>>,
    }

    OffsetDeleteResponseTopic<'a> {
        name: Cow<'a, str>,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
