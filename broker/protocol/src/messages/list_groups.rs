//! ListGroups (16): the groups of this coordinator, from version 4 on by state, from 5 on by type.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    ListGroupsRequest<'a>: ListGroups 0..=5 {
        states_filter: Vec<&'a str> [4..],
        types_filter: Vec<&'a str> [5..],
    }
}

message! {
    ListGroupsResponse<'a>: ListGroups 0..=5 {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode,
        groups: Vec<ListedGroup<'a>>,
    }

    ListedGroup<'a> {
        group_id: Cow<'a, str>,
        protocol_type: Cow<'a, str>,
        group_state: Cow<'a, str> [4..],
        group_type: Cow<'a, str> [5..],
    }
}
