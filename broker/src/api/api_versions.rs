//! ApiVersions (18): what is served, and the features of the cluster (KIP-584). Versions 0-4; any other is answered in version 0 with
//! UNSUPPORTED_VERSION (KIP-511).

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::api_versions::{
        ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
    },
};

use super::{
    dispatch::{SERVED, is_served},
    request::{Outcome, Refused, Request, Responder},
};
use crate::broker::Broker;

/// What tools take for the release of Kafka whose metadata a cluster has: 3.3-IV3, the first without ZooKeeper, to 4.1-IV1. A feature
/// that is not named, as those of transactions and of the newer group protocols, has level 0.
const METADATA_VERSION: (&str, i16, i16) = ("metadata.version", 7, 27);

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let api_keys = SERVED
        .iter()
        .map(|api| ApiVersion { api_key: api.key.code(), min_version: api.min, max_version: api.max })
        .collect();
    let (name, min_version, max_version) = METADATA_VERSION;
    let name = Cow::Borrowed(name);
    let mut response = ApiVersionsResponse {
        api_keys,
        supported_features: vec![SupportedFeatureKey { name: name.clone(), min_version, max_version }],
        finalized_features_epoch: i64::try_from(broker.image().version).unwrap_or(i64::MAX),
        finalized_features: vec![FinalizedFeatureKey {
            name,
            max_version_level: max_version,
            min_version_level: max_version,
        }],
        ..Default::default()
    };
    if !is_served(request.api_key, request.version) {
        response.error_code = ErrorCode::UnsupportedVersion;
        let responder = Responder { version: 0, ..request.responder() };
        return Ok(Outcome::Now(responder.response(&response)?));
    }
    let client: ApiVersionsRequest<'_> = request.decode()?;
    tracing::debug!(name = client.client_software_name, version = client.client_software_version, peer = %request.connection.peer, "client");
    request.reply(&response)
}
