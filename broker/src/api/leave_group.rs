//! LeaveGroup (13), versions 0 to 5: one member before version 3, several from then on, also by instance id (KIP-345).

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse},
};

use super::request::{Outcome, Refused, Request};
use crate::{broker::Broker, coordinator::group::Leaving};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let message: LeaveGroupRequest<'_> = request.decode()?;
    let leaving: Vec<Leaving> = if request.version < 3 {
        vec![Leaving { member_id: message.member_id.to_owned(), instance_id: None }]
    } else {
        let named = message.members.iter().map(|m| Leaving {
            member_id: m.member_id.to_owned(),
            instance_id: m.group_instance_id.map(str::to_owned),
        });
        named.collect()
    };
    let response = match broker.groups.leave(message.group_id, &leaving) {
        Err(error_code) => LeaveGroupResponse { error_code, ..Default::default() },
        Ok(results) if request.version < 3 => {
            let error = results.first().copied().and_then(Result::err);
            LeaveGroupResponse { error_code: error.unwrap_or(ErrorCode::None), ..Default::default() }
        }
        Ok(results) => {
            let members = leaving.iter().zip(results).map(|(leaving, result)| MemberResponse {
                member_id: Cow::Borrowed(&*leaving.member_id),
                group_instance_id: leaving.instance_id.as_deref().map(Cow::Borrowed),
                error_code: result.err().unwrap_or(ErrorCode::None),
            });
            LeaveGroupResponse { members: members.collect(), ..Default::default() }
        }
    };
    request.reply(&response)
}
