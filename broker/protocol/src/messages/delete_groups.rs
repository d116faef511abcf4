//! DeleteGroups (42): removes empty groups.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    DeleteGroupsRequest<'a>: DeleteGroups 0..=2 {
        groups_names: Vec<&'a str>,
    }
}

message! {
    DeleteGroupsResponse<'a>: DeleteGroups 0..=2 {
        throttle_time_ms: i32,
        results: Vec<DeletableGroupResult<'a>>,
    }

    DeletableGroupResult<'a> {
        group_id: Cow<'a, str>,
        error_code: ErrorCode,
    }
}
