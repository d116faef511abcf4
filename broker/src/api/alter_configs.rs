//! AlterConfigs (33): replaces all settings of a resource; what is not named goes back to its default. Versions 0-2.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use super::{
    config_resource::{self, Alteration},
    request::{Outcome, Refused, Request},
};
use crate::{
    broker::Broker,
    metadata::topic_config::alteration::{Edit, Operation},
};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: AlterConfigsRequest<'_> = request.decode()?;
    let counts = config_resource::count(decoded.resources.iter().map(|r| (r.resource_type, r.resource_name)));
    let mut responses = Vec::with_capacity(decoded.resources.len());
    for resource in &decoded.resources {
        let (kind, name) = (resource.resource_type, resource.resource_name);
        let done = if counts.get(&(kind, name)).is_some_and(|count| *count > 1) {
            Err(config_resource::named_twice())
        } else {
            let set = |name, value| Edit { name, operation: Operation::Set, value };
            let edits = resource.configs.iter().map(|config| set(config.name, config.value)).collect();
            config_resource::alter(broker, kind, name, Alteration::Replace(edits), decoded.validate_only).await
        };
        let (error_code, message) = done.err().unzip();
        responses.push(AlterConfigsResourceResponse {
            error_code: error_code.unwrap_or_default(),
            error_message: message.map(Cow::Owned),
            resource_type: kind,
            resource_name: Cow::Borrowed(name),
        });
    }
    request.reply(&AlterConfigsResponse { responses, ..Default::default() })
}
