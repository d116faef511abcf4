//! AddOffsetsToTxn (25): takes a group's offsets into a transaction.

use crate::ErrorCode;

message! {
    AddOffsetsToTxnRequest<'a>: AddOffsetsToTxn 0..=4 {
        transactional_id: &'a str,
        producer_id: i64,
        producer_epoch: i16,
        group_id: &'a str,
    }
}

message! {
    AddOffsetsToTxnResponse: AddOffsetsToTxn 0..=4 {
        throttle_time_ms: i32,
        error_code: ErrorCode,
    }
}
