//! DescribeGroups (15): state and members of groups.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    DescribeGroupsRequest<'a>: DescribeGroups 0..=6 {
        groups: Vec<&'a str>,
        include_authorized_operations: bool [3..],
    }
}

message! {
    DescribeGroupsResponse<'a>: DescribeGroups 0..=6 {
        throttle_time_ms: i32 [1..],
        groups: Vec<DescribedGroup<'a>>,
    }

    DescribedGroup<'a> {
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [6.., nullable 6..],
        group_id: Cow<'a, str>,
        group_state: Cow<'a, str>,
        protocol_type: Cow<'a, str>,
        protocol_data: Cow<'a, str>,
        members: Vec<DescribedGroupMember<'a>>,
        authorized_operations: i32 [3.., default i32::MIN],
    }

    DescribedGroupMember<'a> {
        member_id: Cow<'a, str>,
        group_instance_id: Option<Cow<'a, str>> [4.., nullable 4..],
        client_id: Cow<'a, str>,
        client_host: Cow<'a, str>,
        member_metadata: Cow<'a, [u8]>,
        member_assignment: Cow<'a, [u8]>,
    }
}
