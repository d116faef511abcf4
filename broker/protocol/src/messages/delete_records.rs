//! DeleteRecords (21): moves the log's start.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    DeleteRecordsRequest<'a>: DeleteRecords 0..=2 {
        topics: Vec<DeleteRecordsTopic<'a>>,
        timeout_ms: i32,
    }

    DeleteRecordsTopic<'a> {
        name: &'a str,
        partitions: Vec<DeleteRecordsPartition>,
    }

    DeleteRecordsPartition {
        partition_index: i32,
        offset: i64,
    }
}

message! {
    DeleteRecordsResponse<'a>: DeleteRecords 0..=2 {
        throttle_time_ms: i32,
        topics: Vec<DeleteRecordsTopicResult<'a>>,
    }

    DeleteRecordsTopicResult<'a> {
        name: Cow<'a, str>,
        partitions: Vec<DeleteRecordsPartitionResult>,
    }

    DeleteRecordsPartitionResult {
        partition_index: i32,
        low_watermark: i64,
        error_code: ErrorCode,
    }
}
