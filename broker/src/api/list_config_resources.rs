//! ListConfigResources (74): what has settings. Versions 0-1; version 0 asks for the subscriptions to clients' metrics only, of which
//! there are none.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::list_config_resources::{ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse},
};

use super::{
    config_resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC},
    request::{Outcome, Refused, Request},
};
use crate::broker::Broker;

const ALL: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: ListConfigResourcesRequest = request.decode()?;
    let kinds: BTreeSet<i8> = match (request.version, decoded.resource_types.as_slice()) {
        (0, _) => BTreeSet::from([CLIENT_METRICS]),
        (_, []) => BTreeSet::from(ALL),
        (_, kinds) => kinds.iter().copied().collect(),
    };
    if !kinds.iter().all(|kind| ALL.contains(kind)) {
        let error_code = ErrorCode::UnsupportedVersion;
        return request.reply(&ListConfigResourcesResponse { error_code, ..Default::default() });
    }
    let image = broker.image();
    let mut config_resources = Vec::new();
    for resource_type in kinds {
        let mut add = |name: String| {
            config_resources.push(ConfigResource { resource_name: Cow::Owned(name), resource_type });
        };
        match resource_type {
            TOPIC => image.topics.keys().for_each(|name| add(name.to_string())),
            BROKER | BROKER_LOGGER => add(broker.cluster.node_id.to_string()),
            _ => {}
        }
    }
    request.reply(&ListConfigResourcesResponse { config_resources, ..Default::default() })
}
