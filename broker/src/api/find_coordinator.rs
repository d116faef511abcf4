//! FindCoordinator (10), versions 0 to 6: which broker coordinates a group; 4 asks for several keys at once.
//!
//! Transactional ids (key type 1) and share groups (2) have no coordinator here: their clients get a plain error.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse},
};

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let message: FindCoordinatorRequest<'_> = request.decode()?;
    let (error_code, error_message) = match message.key_type {
        GROUP => match broker.groups.prepare().await {
            Ok(()) => (ErrorCode::None, None),
            Err(error) => (error, Some("the topic of committed offsets could not be created")),
        },
        TRANSACTION => (ErrorCode::InvalidRequest, Some("this broker does not serve transactions")),
        _ => (ErrorCode::InvalidRequest, Some("this broker coordinates groups only")),
    };
    let found = error_code == ErrorCode::None;
    let (host, port) = if found { request.connection.advertised() } else { (String::new(), -1) };
    let node_id = |key: &str| if found { broker.cluster.coordinator(broker.groups.partition_of(key)) } else { -1 };
    let error_message = error_message.map(Cow::Borrowed);
    let coordinators = message.coordinator_keys.iter().map(|key| Coordinator {
        key: Cow::Borrowed(key),
        node_id: node_id(key),
        host: Cow::Borrowed(&host),
        port,
        error_code,
        error_message: error_message.clone(),
    });
    request.reply(&FindCoordinatorResponse {
        error_code,
        node_id: node_id(message.key),
        coordinators: coordinators.collect(),
        host: Cow::Borrowed(&host),
        port,
        error_message: error_message.clone(),
        ..Default::default()
    })
}
