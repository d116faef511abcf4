//! SyncGroup (14): hands out the assignment that the group's leader made.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    SyncGroupRequest<'a>: SyncGroup 0..=5 {
        group_id: &'a str,
        generation_id: i32,
        member_id: &'a str,
        group_instance_id: Option<&'a str> [3.., nullable 3..],
        protocol_type: Option<&'a str> [5.., nullable 5..],
        protocol_name: Option<&'a str> [5.., nullable 5..],
        assignments: Vec<SyncGroupRequestAssignment<'a>>,
    }

    SyncGroupRequestAssignment<'a> {
        member_id: &'a str,
        assignment: &'a [u8],
    }
}

message! {
    SyncGroupResponse<'a>: SyncGroup 0..=5 {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode,
        protocol_type: Option<Cow<'a, str>> [5.., nullable 5..],
        protocol_name: Option<Cow<'a, str>> [5.., nullable 5..],
        assignment: Cow<'a, [u8]>,
    }
}
