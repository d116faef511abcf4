//! IncrementalAlterConfigs (44): changes single configuration keys (KIP-339).

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    IncrementalAlterConfigsRequest<'a>: IncrementalAlterConfigs 0..=1 {
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
        config_operation: i8,
        value: Option<&'a str> [0.., nullable 0..],
    }
}

message! {
    IncrementalAlterConfigsResponse<'a>: IncrementalAlterConfigs 0..=1 {
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
