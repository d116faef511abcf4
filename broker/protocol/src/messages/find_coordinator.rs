//! FindCoordinator (10): who coordinates a group or a transactional id.
//!
//! Version 1 adds the key's type, 4 asks for several keys at once, 6 knows share groups.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    FindCoordinatorRequest<'a>: FindCoordinator 0..=6 {
        key: &'a str [0..=3],
        key_type: i8 [1..],
        coordinator_keys: Vec<&'a str> [4..],
    }
}

message! {
    FindCoordinatorResponse<'a>: FindCoordinator 0..=6 {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode [0..=3],
        error_message: Option<Cow<'a, str>> [1..=3, nullable 1..],
        node_id: i32 [0..=3],
        host: Cow<'a, str> [0..=3],
        port: i32 [0..=3],
        coordinators: Vec<Coordinator<'a>> [4..],
    }

    Coordinator<'a> {
        key: Cow<'a, str>,
        node_id: i32,
        host: Cow<'a, str>,
        port: i32,
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [4.., nullable 4..],
    }
}
