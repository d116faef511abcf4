//! DescribeGroups (15), versions 0 to 6. An unknown group is "Dead" without an error before version 6, and an error from
//! then on (KIP-1043).

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember},
};

use super::request::{Outcome, Refused, Request};
use crate::{
    broker::Broker,
    coordinator::group::{GroupDescription, GroupState},
};

/// Without access control everybody may do what can be done to a group: READ (3), DELETE (6), DESCRIBE (8).
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let message: DescribeGroupsRequest<'_> = request.decode()?;
    let asked_operations = message.include_authorized_operations;
    let described: Vec<_> = message.groups.iter().map(|id| (*id, broker.groups.describe(id))).collect();
    let groups = described.iter().map(|(id, result)| {
        let mut group = match result {
            Ok(description) => describe(id, description),
            Err(ErrorCode::GroupIdNotFound) => not_found(id, request.version),
            Err(error) => DescribedGroup { error_code: *error, group_id: Cow::Borrowed(*id), ..Default::default() },
        };
        let known = group.error_code == ErrorCode::None;
        group.authorized_operations = if known && asked_operations { ALL_OPERATIONS } else { i32::MIN };
        group
    });
    request.reply(&DescribeGroupsResponse { groups: groups.collect(), ..Default::default() })
}

fn not_found(id: &str, version: i16) -> DescribedGroup<'_> {
    let told = version >= 6;
    DescribedGroup {
        error_code: if told { ErrorCode::GroupIdNotFound } else { ErrorCode::None },
        error_message: told.then(|| Cow::Owned(format!("Group {id} not found."))),
        group_id: Cow::Borrowed(id),
        group_state: Cow::Borrowed(GroupState::Dead.as_str()),
        ..Default::default()
    }
}

fn describe<'a>(id: &'a str, group: &'a GroupDescription) -> DescribedGroup<'a> {
    let members = group.members.iter().map(|m| DescribedGroupMember {
        member_id: Cow::Borrowed(&*m.id),
        group_instance_id: m.instance_id.as_deref().map(Cow::Borrowed),
        client_id: Cow::Borrowed(&*m.client_id),
        client_host: Cow::Borrowed(&*m.client_host),
        member_metadata: Cow::Borrowed(&*m.metadata),
        member_assignment: Cow::Borrowed(&*m.assignment),
    });
    DescribedGroup {
        group_id: Cow::Borrowed(id),
        group_state: Cow::Borrowed(group.state.as_str()),
        protocol_type: Cow::Borrowed(&*group.protocol_type),
        protocol_data: Cow::Borrowed(&*group.protocol),
        members: members.collect(),
        ..Default::default()
    }
}
