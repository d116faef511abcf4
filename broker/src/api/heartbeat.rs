//! Heartbeat (12), versions 0 to 4: keeps a member's session alive and tells it of rebalances. Version 3 has static members.

use std::sync::Arc;

use logmill_protocol::{
    ErrorCode,
    messages::heartbeat::{HeartbeatRequest, HeartbeatResponse},
};

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let message: HeartbeatRequest<'_> = request.decode()?;
    let result =
        broker.groups.heartbeat(message.group_id, message.member_id, message.group_instance_id, message.generation_id);
    request.reply(&HeartbeatResponse { error_code: result.err().unwrap_or(ErrorCode::None), ..Default::default() })
}
