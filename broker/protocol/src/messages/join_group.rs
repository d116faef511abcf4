//! JoinGroup (11): enters a rebalance of a group.
//!
//! Version 0 has the session time-out for the rebalance too, 4 first assigns a member id (KIP-394), 5 has static
//! members (KIP-345), 8 a reason (KIP-800), 9 lets the leader skip the assignment (KIP-814).

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    JoinGroupRequest<'a>: JoinGroup 0..=9 {
        group_id: &'a str,
        session_timeout_ms: i32,
        rebalance_timeout_ms: i32 [1.., default -1],
        member_id: &'a str,
        group_instance_id: Option<&'a str> [5.., nullable 5..],
        protocol_type: &'a str,
        protocols: Vec<JoinGroupRequestProtocol<'a>>,
        reason: Option<&'a str> [8.., nullable 8..],
    }

    JoinGroupRequestProtocol<'a> {
        name: &'a str,
        metadata: &'a [u8],
    }
}

message! {
    JoinGroupResponse<'a>: JoinGroup 0..=9 {
        throttle_time_ms: i32 [2..],
        error_code: ErrorCode,
        generation_id: i32 [0.., default -1],
        protocol_type: Option<Cow<'a, str>> [7.., nullable 7..],
        protocol_name: Option<Cow<'a, str>> [0.., nullable 7..],
        leader: Cow<'a, str>,
        skip_assignment: bool [9..],
        member_id: Cow<'a, str>,
        members: Vec<JoinGroupResponseMember<'a>>,
    }

    JoinGroupResponseMember<'a> {
        member_id: Cow<'a, str>,
        group_instance_id: Option<Cow<'a, str>> [5.., nullable 5..],
        metadata: Cow<'a, [u8]>,
    }
}
