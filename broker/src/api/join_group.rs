//! JoinGroup (11), versions 0 to 9. Version 0 has the session timeout for the rebalance too; 4 first assigns a member id
//! (KIP-394), 5 has static members (KIP-345), 9 lets the leader skip the assignment (KIP-814).

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use logmill_protocol::{
    ErrorCode,
    messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember},
};
use uuid::Uuid;

use super::request::{Outcome, Refused, Request};
use crate::{
    broker::Broker,
    coordinator::{
        Protocol,
        group::{JoinReply, JoinRequest},
    },
    metadata::topic_name,
};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let message: JoinGroupRequest<'_> = request.decode()?;
    let version = request.version;
    let responder = request.responder();
    // Instance ids follow the rules of topic names.
    if message.group_instance_id.is_some_and(|id| topic_name::check(id).is_err()) {
        let refused = JoinReply::refused(message.member_id.to_owned(), ErrorCode::InvalidConfig);
        return request.reply(&response(&refused, version));
    }
    let protocols = message
        .protocols
        .iter()
        .map(|p| Protocol { name: p.name.to_owned(), metadata: Bytes::copy_from_slice(p.metadata) });
    let join = JoinRequest {
        member_id: message.member_id.to_owned(),
        instance_id: message.group_instance_id.map(str::to_owned),
        client_id: request.client_id.clone().unwrap_or_default(),
        client_host: request.client_host(),
        session_timeout_ms: message.session_timeout_ms,
        rebalance_timeout_ms: if version == 0 { message.session_timeout_ms } else { message.rebalance_timeout_ms },
        protocol_type: message.protocol_type.to_owned(),
        protocols: protocols.collect(),
        requires_known_member_id: version >= 4,
        supports_skipping_assignment: version >= 9,
        unique: Uuid::new_v4().to_string(),
    };
    let member_id = join.member_id.clone();
    let answer = broker.groups.join(message.group_id, join).await;
    let answer = broker.groups.answer(answer);
    drop(message);
    drop(request);
    Ok(Outcome::Later(Box::pin(async move {
        let reply = answer.await.unwrap_or_else(|| JoinReply::refused(member_id, ErrorCode::CoordinatorNotAvailable));
        responder.response(&response(&reply, version))
    })))
}

fn response(reply: &JoinReply, version: i16) -> JoinGroupResponse<'_> {
    let members = reply.members.iter().map(|member| JoinGroupResponseMember {
        member_id: Cow::Borrowed(&*member.id),
        group_instance_id: member.instance_id.as_deref().map(Cow::Borrowed),
        metadata: Cow::Borrowed(&*member.metadata),
    });
    JoinGroupResponse {
        error_code: reply.error.unwrap_or(ErrorCode::None),
        generation_id: reply.generation,
        protocol_type: reply.protocol_type.as_deref().map(Cow::Borrowed),
        // Cannot be null before version 7.
        protocol_name: reply.protocol.as_deref().or((version < 7).then_some("")).map(Cow::Borrowed),
        leader: Cow::Borrowed(&*reply.leader),
        skip_assignment: reply.skip_assignment,
        member_id: Cow::Borrowed(&*reply.member_id),
        members: members.collect(),
        ..Default::default()
    }
}
