//! ApiVersions (18): what is served. Versions 0-4; any other is answered in version 0 with UNSUPPORTED_VERSION (KIP-511).

use std::sync::Arc;

use logmill_protocol::{
    ErrorCode,
    messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse},
};

use super::{
    dispatch::{SERVED, is_served},
    request::{Outcome, Refused, Request, Responder},
};
use crate::broker::Broker;

pub(crate) async fn handle(_broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let api_keys = SERVED
        .iter()
        .map(|api| ApiVersion { api_key: api.key.code(), min_version: api.min, max_version: api.max })
        .collect();
    let mut response = ApiVersionsResponse { api_keys, ..Default::default() };
    if !is_served(request.api_key, request.version) {
        response.error_code = ErrorCode::UnsupportedVersion;
        let responder = Responder { version: 0, ..request.responder() };
        return Ok(Outcome::Now(responder.response(&response)?));
    }
    let client: ApiVersionsRequest<'_> = request.decode()?;
    tracing::debug!(name = client.client_software_name, version = client.client_software_version, peer = %request.connection.peer, "client");
    request.reply(&response)
}
