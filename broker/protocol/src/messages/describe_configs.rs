//! DescribeConfigs (32): configuration of topics and brokers, from version 1 on with where each value comes from.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    DescribeConfigsRequest<'a>: DescribeConfigs 0..=4 {
        resources: Vec<DescribeConfigsResource<'a>>,
        include_synonyms: bool [1..],
        include_documentation: bool [3..],
    }

    DescribeConfigsResource<'a> {
        resource_type: i8,
        resource_name: &'a str,
        configuration_keys: Option<Vec<&'a str>> [0.., nullable 0..],
    }
}

message! {
    DescribeConfigsResponse<'a>: DescribeConfigs 0..=4 {
        throttle_time_ms: i32,
        results: Vec<DescribeConfigsResult<'a>>,
    }

    DescribeConfigsResult<'a> {
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [0.., nullable 0..],
        resource_type: i8,
        resource_name: Cow<'a, str>,
        configs: Vec<DescribeConfigsResourceResult<'a>>,
    }

    DescribeConfigsResourceResult<'a> {
        name: Cow<'a, str>,
        value: Option<Cow<'a, str>> [0.., nullable 0..],
        read_only: bool,
        is_default: bool [0..=0],
        config_source: i8 [1.., default -1],
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsSynonym<'a>> [1..],
        config_type: i8 [3..],
        documentation: Option<Cow<'a, str>> [3.., nullable 3..],
    }

    DescribeConfigsSynonym<'a> {
        name: Cow<'a, str>,
        value: Option<Cow<'a, str>> [1.., nullable 1..],
        source: i8,
    }
}
