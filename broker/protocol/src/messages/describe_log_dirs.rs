//! DescribeLogDirs (35): the partitions in each data directory and their sizes.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    DescribeLogDirsRequest<'a>: DescribeLogDirs 0..=4 {
        topics: Option<Vec<DescribableLogDirTopic<'a>>> [0.., nullable 0..],
    }

    DescribableLogDirTopic<'a> {
        topic: &'a str,
        partitions: Vec<i32>,
    }
}

message! {
    DescribeLogDirsResponse<'a>: DescribeLogDirs 0..=4 {
        throttle_time_ms: i32,
        error_code: ErrorCode [3..],
        results: Vec<DescribeLogDirsResult<'a>>,
    }

    DescribeLogDirsResult<'a> {
        error_code: ErrorCode,
        log_dir: Cow<'a, str>,
        topics: Vec<DescribeLogDirsTopic<'a>>,
        total_bytes: i64 [4.., default -1],
        usable_bytes: i64 [4.., default -1],
    }

    DescribeLogDirsTopic<'a> {
        name: Cow<'a, str>,
        partitions: Vec<DescribeLogDirsPartition>,
    }

    DescribeLogDirsPartition {
        partition_index: i32,
        partition_size: i64,
        offset_lag: i64,
        is_future_key: bool,
    }
}
