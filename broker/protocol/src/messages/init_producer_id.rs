//! InitProducerId (22): gives a producer its id and epoch (KIP-98), from version 3 on also a new epoch to a known one
//! (KIP-360).

use crate::ErrorCode;

message! {
    InitProducerIdRequest<'a>: InitProducerId 0..=5 {
        transactional_id: Option<&'a str> [0.., nullable 0..],
        transaction_timeout_ms: i32,
        producer_id: i64 [3.., default -1],
        producer_epoch: i16 [3.., default -1],
    }
}

message! {
    InitProducerIdResponse: InitProducerId 0..=5 {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        producer_id: i64 [0.., default -1],
        producer_epoch: i16,
    }
}
