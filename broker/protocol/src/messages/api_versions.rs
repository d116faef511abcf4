//! ApiVersions (18): which requests a broker understands, and the cluster's features.
//!
//! The answer to a version that is not understood is version 0 with `UNSUPPORTED_VERSION` (KIP-511).

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    ApiVersionsRequest<'a>: ApiVersions 0..=4 {
        client_software_name: &'a str [3..],
        client_software_version: &'a str [3..],
    }
}

message! {
    ApiVersionsResponse<'a>: ApiVersions 0..=4 {
        error_code: ErrorCode,
        api_keys: Vec<ApiVersion>,
        throttle_time_ms: i32 [1..],
        supported_features: Vec<SupportedFeatureKey<'a>> [3.., tag 0],
        finalized_features_epoch: i64 [3.., tag 1, default -1],
        finalized_features: Vec<FinalizedFeatureKey<'a>> [3.., tag 2],
        zk_migration_ready: bool [3.., tag 3],
    }

    ApiVersion {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }

    SupportedFeatureKey<'a> {
        name: Cow<'a, str>,
        min_version: i16,
        max_version: i16,
    }

    FinalizedFeatureKey<'a> {
        name: Cow<'a, str>,
        max_version_level: i16,
        min_version_level: i16,
    }
}
