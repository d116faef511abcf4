//! InitProducerId (22): ids for idempotent producers. Versions 0-5; transactional ids are refused, since there are no transactions.

use std::sync::Arc;

use logmill_protocol::{
    ErrorCode,
    messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse},
};

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: InitProducerIdRequest<'_> = request.decode()?;
    let refused =
        |error_code: ErrorCode| InitProducerIdResponse { error_code, producer_epoch: -1, ..Default::default() };
    if decoded.transactional_id.is_some() {
        return request.reply(&refused(ErrorCode::TransactionalIdAuthorizationFailed));
    }
    match broker.producer_ids.next().await {
        Ok(producer_id) => {
            request.reply(&InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() })
        }
        Err(error) => {
            tracing::error!(%error, "no producer id");
            request.reply(&refused(ErrorCode::CoordinatorNotAvailable))
        }
    }
}
