//! AddPartitionsToTxn (24): takes partitions into a transaction; from version 4 on brokers ask for several transactions
//! (KIP-890).

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    AddPartitionsToTxnRequest<'a>: AddPartitionsToTxn 0..=5 {
        transactions: Vec<AddPartitionsToTxnTransaction<'a>> [4..],
        v3_and_below_transactional_id: &'a str [0..=3],
        v3_and_below_producer_id: i64 [0..=3],
        v3_and_below_producer_epoch: i16 [0..=3],
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic<'a>> [0..=3],
    }

    AddPartitionsToTxnTransaction<'a> {
        transactional_id: &'a str,
        producer_id: i64,
        producer_epoch: i16,
        verify_only: bool,
        topics: Vec<AddPartitionsToTxnTopic<'a>>,
    }

    AddPartitionsToTxnTopic<'a> {
        name: &'a str,
        partitions: Vec<i32>,
    }
}

message! {
    AddPartitionsToTxnResponse<'a>: AddPartitionsToTxn 0..=5 {
        throttle_time_ms: i32,
        error_code: ErrorCode [4..],
        results_by_transaction: Vec<AddPartitionsToTxnResult<'a>> [4..],
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult<'a>> [0..=3],
    }

    AddPartitionsToTxnResult<'a> {
        transactional_id: Cow<'a, str>,
        topic_results: Vec<AddPartitionsToTxnTopicResult<'a>>,
    }

    AddPartitionsToTxnTopicResult<'a> {
        name: Cow<'a, str>,
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    AddPartitionsToTxnPartitionResult {
        partition_index: i32,
        partition_error_code: ErrorCode,
    }
}
