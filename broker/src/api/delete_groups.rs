//! DeleteGroups (42): removes groups without members and all they have committed. Versions 0-2. Answered when the deletion is durable.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use logmill_protocol::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: DeleteGroupsRequest<'_> = request.decode()?;
    let names: BTreeSet<&str> = decoded.groups_names.iter().copied().collect();
    let mut results = Vec::with_capacity(names.len());
    for name in names {
        let error_code = broker.groups.delete(name).await.err().unwrap_or_default();
        results.push(DeletableGroupResult { group_id: Cow::Borrowed(name), error_code });
    }
    request.reply(&DeleteGroupsResponse { results, ..Default::default() })
}
