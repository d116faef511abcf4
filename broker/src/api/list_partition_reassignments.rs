//! ListPartitionReassignments (46): none, since a single node has nowhere to move a replica. Version 0.

use std::sync::Arc;

use logmill_protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

pub(crate) async fn handle(_broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let _: ListPartitionReassignmentsRequest<'_> = request.decode()?;
    request.reply(&ListPartitionReassignmentsResponse::default())
}
