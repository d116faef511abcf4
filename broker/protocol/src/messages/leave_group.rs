//! LeaveGroup (13): takes members out of a group; from version 3 on several, named by their instance ids if static.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    LeaveGroupRequest<'a>: LeaveGroup 0..=5 {
        group_id: &'a str,
        member_id: &'a str [0..=2],
        members: Vec<MemberIdentity<'a>> [3..],
    }

    MemberIdentity<'a> {
        member_id: &'a str,
        group_instance_id: Option<&'a str> [3.., nullable 3..],
        reason: Option<&'a str> [5.., nullable 5..],
    }
}

message! {
    LeaveGroupResponse<'a>: LeaveGroup 0..=5 {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode,
        members: Vec<MemberResponse<'a>> [3..],
    }

    MemberResponse<'a> {
        member_id: Cow<'a, str>,
        group_instance_id: Option<Cow<'a, str>> [3.., nullable 3..],
        error_code: ErrorCode,
    }
}
