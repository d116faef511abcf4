//! DescribeCluster (60): the cluster's id and brokers (KIP-700), from version 1 on also controllers, from 2 on also
//! fenced brokers.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    DescribeClusterRequest: DescribeCluster 0..=2 {
        include_cluster_authorized_operations: bool,
        endpoint_type: i8 [1.., default 1],
        include_fenced_brokers: bool [2..],
    }
}

message! {
    DescribeClusterResponse<'a>: DescribeCluster 0..=2 {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [0.., nullable 0..],
        endpoint_type: i8 [1.., default 1],
        cluster_id: Cow<'a, str>,
        controller_id: i32 [0.., default -1],
        brokers: Vec<DescribeClusterBroker<'a>>,
        cluster_authorized_operations: i32 [0.., default i32::MIN],
    }

    DescribeClusterBroker<'a> {
        broker_id: i32,
        host: Cow<'a, str>,
        port: i32,
        rack: Option<Cow<'a, str>> [0.., nullable 0..],
        is_fenced: bool [2..],
    }
}
