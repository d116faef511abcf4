//! SyncGroup (14), versions 0 to 5: the leader hands in the assignments, every member gets its own. Version 3 has static
//! members, 5 has to name the protocol (KIP-559).

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use logmill_protocol::{
    ErrorCode,
    messages::sync_group::{SyncGroupRequest, SyncGroupResponse},
};

use super::request::{Outcome, Refused, Request};
use crate::{
    broker::Broker,
    coordinator::group::{SyncReply, SyncRequest},
};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let message: SyncGroupRequest<'_> = request.decode()?;
    let responder = request.responder();
    if request.version >= 5 && (message.protocol_type.is_none() || message.protocol_name.is_none()) {
        return request.reply(&response(&SyncReply::refused(ErrorCode::InconsistentGroupProtocol)));
    }
    let assignments =
        message.assignments.iter().map(|a| (a.member_id.to_owned(), Bytes::copy_from_slice(a.assignment)));
    let sync = SyncRequest {
        member_id: message.member_id.to_owned(),
        instance_id: message.group_instance_id.map(str::to_owned),
        generation: message.generation_id,
        protocol_type: message.protocol_type.map(str::to_owned),
        protocol: message.protocol_name.map(str::to_owned),
        assignments: assignments.collect(),
    };
    let answer = broker.groups.answer(broker.groups.sync(message.group_id, sync));
    drop(message);
    drop(request);
    Ok(Outcome::Later(Box::pin(async move {
        let reply = answer.await.unwrap_or_else(|| SyncReply::refused(ErrorCode::CoordinatorNotAvailable));
        responder.response(&response(&reply))
    })))
}

fn response(reply: &SyncReply) -> SyncGroupResponse<'_> {
    SyncGroupResponse {
        error_code: reply.error.unwrap_or(ErrorCode::None),
        protocol_type: reply.protocol_type.as_deref().map(Cow::Borrowed),
        protocol_name: reply.protocol.as_deref().map(Cow::Borrowed),
        assignment: Cow::Borrowed(&*reply.assignment),
        ..Default::default()
    }
}
