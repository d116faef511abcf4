//! IncrementalAlterConfigs (44): sets, deletes, appends to or subtracts from single settings (KIP-339). Versions 0-1. All edits of a
//! resource are made or none.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::incremental_alter_configs::{
        AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig, IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse,
    },
};

use super::{
    config_resource::{self, Alteration, Refusing},
    request::{Outcome, Refused, Request},
};
use crate::{
    broker::Broker,
    metadata::topic_config::alteration::{Edit, Operation},
};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: IncrementalAlterConfigsRequest<'_> = request.decode()?;
    let counts = config_resource::count(decoded.resources.iter().map(|r| (r.resource_type, r.resource_name)));
    let mut responses = Vec::with_capacity(decoded.resources.len());
    for resource in &decoded.resources {
        let (kind, name) = (resource.resource_type, resource.resource_name);
        let done = if counts.get(&(kind, name)).is_some_and(|count| *count > 1) {
            Err(config_resource::named_twice())
        } else {
            match edits(resource) {
                Ok(edits) => {
                    config_resource::alter(broker, kind, name, Alteration::Edit(edits), decoded.validate_only).await
                }
                Err(refusing) => Err(refusing),
            }
        };
        let (error_code, message) = done.err().unzip();
        responses.push(AlterConfigsResourceResponse {
            error_code: error_code.unwrap_or_default(),
            error_message: message.map(Cow::Owned),
            resource_type: kind,
            resource_name: Cow::Borrowed(name),
        });
    }
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
