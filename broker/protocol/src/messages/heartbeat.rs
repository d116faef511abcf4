//! Heartbeat (12): keeps a member in its group.

use crate::ErrorCode;

message! {
    HeartbeatRequest<'a>: Heartbeat 0..=4 {
        group_id: &'a str,
        generation_id: i32,
        member_id: &'a str,
        group_instance_id: Option<&'a str> [3.., nullable 3..],
    }
}

message! {
    HeartbeatResponse: Heartbeat 0..=4 {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode,
    }
}
