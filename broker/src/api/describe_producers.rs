//! DescribeProducers (61): the idempotent and transactional producers whose state a partition remembers (KIP-664). Version 0.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::describe_producers::{
        DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: DescribeProducersRequest<'_> = request.decode()?;
    let mut topics = Vec::with_capacity(decoded.topics.len());
    for topic in &decoded.topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for index in &topic.partition_indexes {
            let mut answer = PartitionResponse { partition_index: *index, ..Default::default() };
            match producers(broker, topic.name, *index).await {
                Ok(active) => answer.active_producers = active,
                Err(error_code) => {
                    answer.error_code = error_code;
                    answer.error_message = Some(Cow::Borrowed(error_code.name()));
                }
            }
            partitions.push(answer);
        }
        topics.push(TopicResponse { name: Cow::Borrowed(topic.name), partitions });
    }
    request.reply(&DescribeProducersResponse { topics, ..Default::default() })
}

async fn producers(broker: &Broker, topic: &str, index: i32) -> Result<Vec<ProducerState>, ErrorCode> {
    let partition = broker.partitions.get(topic, index).map_err(|error| error.code())?;
    let log = partition.log().await.map_err(|error| error.code())?;
    let state = |producer: logmill_log::ActiveProducer| ProducerState {
        producer_id: producer.id,
        producer_epoch: i32::from(producer.epoch),
        last_sequence: producer.last_sequence.unwrap_or(-1),
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.transaction_start.unwrap_or(-1),
    };
    Ok(log.active_producers().into_iter().map(state).collect())
}
