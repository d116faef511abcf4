//! EndTxn (26): commits or aborts; version 5 answers with the next epoch (KIP-890).

use crate::ErrorCode;

message! {
    EndTxnRequest<'a>: EndTxn 0..=5 {
        transactional_id: &'a str,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
    }
}

message! {
    EndTxnResponse: EndTxn 0..=5 {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        producer_id: i64 [5.., default -1],
        producer_epoch: i16 [5.., default -1],
    }
}
