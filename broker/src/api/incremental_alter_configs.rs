//! IncrementalAlterConfigs (44): sets, deletes, appends to or subtracts from single settings (KIP-339). Versions 0-1. All edits of a
//! resource are made or none.

use std::sync::Arc;

use logmill_protocol::{
    ErrorCode,
    messages::incremental_alter_configs::{
        AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig, IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse,
    },
};

use super::{
    config_resource::{self, Alteration, Refusing, Resource},
    request::{Outcome, Refused, Request},
};
use crate::{
    broker::Broker,
    metadata::topic_config::alteration::{Edit, Operation},
};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: IncrementalAlterConfigsRequest<'_> = request.decode()?;
    let resources = decoded.resources.iter().map(|resource| Resource {
        kind: resource.resource_type,
        name: resource.resource_name,
        alteration: edits(resource).map(Alteration::Edit),
    });
    let altered = config_resource::alter_all(broker, resources.collect(), decoded.validate_only).await;
    let responses = altered.into_iter().map(|altered| AlterConfigsResourceResponse {
        error_code: altered.error_code,
        error_message: altered.error_message,
        resource_type: altered.kind,
        resource_name: altered.name,
    });
    let responses = responses.collect();
    request.reply(&IncrementalAlterConfigsResponse { responses, ..Default::default() })
}

fn edits<'a>(resource: &AlterConfigsResource<'a>) -> Result<Vec<Edit<'a>>, Refusing> {
    let edit = |config: &AlterableConfig<'a>| {
        let code = config.config_operation;
        let unknown = || (ErrorCode::InvalidRequest, format!("Unknown operations type {code}"));
        let operation = Operation::from_code(code).ok_or_else(unknown)?;
        Ok(Edit { name: config.name, operation, value: config.value })
    };
    resource.configs.iter().map(edit).collect()
}
