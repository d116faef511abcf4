//! AlterConfigs (33): replaces all settings of a resource; what is not named goes back to its default. Versions 0-2.

use std::sync::Arc;

use logmill_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use super::{
    config_resource::{self, Alteration, Resource},
    request::{Outcome, Refused, Request},
};
use crate::{
    broker::Broker,
    metadata::topic_config::alteration::{Edit, Operation},
};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: AlterConfigsRequest<'_> = request.decode()?;
    let set = |name, value| Edit { name, operation: Operation::Set, value };
    let resources = decoded.resources.iter().map(|resource| Resource {
        kind: resource.resource_type,
        name: resource.resource_name,
        alteration: Ok(Alteration::Replace(resource.configs.iter().map(|c| set(c.name, c.value)).collect())),
    });
    let altered = config_resource::alter_all(broker, resources.collect(), decoded.validate_only).await;
    let responses = altered.into_iter().map(|altered| AlterConfigsResourceResponse {
        error_code: altered.error_code,
        error_message: altered.error_message,
        resource_type: altered.kind,
        resource_name: altered.name,
    });
    let responses = responses.collect();
    request.reply(&AlterConfigsResponse { responses, ..Default::default() })
}
