//! DescribeCluster (60): the cluster's id and brokers. Versions 0-2; endpoint type 2 (controllers) is refused as a broker does.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::describe_cluster::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse},
};

use super::{
    authorized::CLUSTER_OPERATIONS,
    request::{Outcome, Refused, Request},
};
use crate::broker::Broker;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: DescribeClusterRequest = request.decode()?;
    if decoded.endpoint_type != 1 {
        return request.reply(&DescribeClusterResponse {
            error_code: ErrorCode::MismatchedEndpointType,
            error_message: Some("the request was sent to an endpoint of type BROKER, but wants type CONTROLLER".into()),
            endpoint_type: decoded.endpoint_type,
            ..Default::default()
        });
    }
    let image = broker.image();
    let (host, port) = request.connection.advertised();
    let broker_id = broker.cluster.node_id;
    request.reply(&DescribeClusterResponse {
        cluster_id: Cow::Borrowed(&image.cluster_id),
        controller_id: broker.cluster.controller(),
        brokers: vec![DescribeClusterBroker { broker_id, host: Cow::Owned(host), port, ..Default::default() }],
        cluster_authorized_operations: if decoded.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..Default::default()
    })
}
