//! ListGroups (16), versions 0 to 5: 4 filters by state (KIP-518), 5 by type (KIP-848).

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup},
};

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

/// The only type there is so far.
const CLASSIC: &str = "classic";

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let message: ListGroupsRequest<'_> = request.decode()?;
    let wanted = |filter: &[&str], name: &str| filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(name));
    let (groups, loading) = broker.groups.list();
    let listed = groups
        .iter()
        .filter(|g| wanted(&message.states_filter, g.state.as_str()) && wanted(&message.types_filter, CLASSIC))
        .map(|g| ListedGroup {
            group_id: Cow::Borrowed(&*g.id),
            protocol_type: Cow::Borrowed(&*g.protocol_type),
            group_state: Cow::Borrowed(g.state.as_str()),
            group_type: Cow::Borrowed(CLASSIC),
        });
    request.reply(&ListGroupsResponse {
        error_code: if loading { ErrorCode::CoordinatorLoadInProgress } else { ErrorCode::None },
        groups: listed.collect(),
        ..Default::default()
    })
}
