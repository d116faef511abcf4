//! ListConfigResources (74): what has settings; in version 0, as ListClientMetricsResources, subscriptions to clients' metrics only.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    ListConfigResourcesRequest: ListConfigResources 0..=1 {
        resource_types: Vec<i8> [1..],
    }
}

message! {
    ListConfigResourcesResponse<'a>: ListConfigResources 0..=1 {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        config_resources: Vec<ConfigResource<'a>>,
    }

    ConfigResource<'a> {
        resource_name: Cow<'a, str>,
        resource_type: i8 [1.., default 16],
    }
}
