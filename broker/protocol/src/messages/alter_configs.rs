//! AlterConfigs (33): replaces the configuration of a topic or broker.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    AlterConfigsRequest<'a>: AlterConfigs 0..=2 {
        resources: Vec<AlterConfigsResource<'a>>,
        validate_only: bool,
    }

    AlterConfigsResource<'a> {
        resource_type: i8,
        resource_name: &'a str,
        configs: Vec<AlterableConfig<'a>>,
    }

    AlterableConfig<'a> {
        name: &'a str,
        value: Option<&'a str> [0.., nullable 0..],
    }
}

message! {
    AlterConfigsResponse<'a>: AlterConfigs 0..=2 {
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResourceResponse<'a>>,
    }

    AlterConfigsResourceResponse<'a> {
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [0.., nullable 0..],
        resource_type: i8,
        resource_name: Cow<'a, str>,
    }
}
