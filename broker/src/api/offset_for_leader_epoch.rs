//! OffsetForLeaderEpoch (23): where a leader epoch ends, so that a consumer finds out whether what it has read was cut off. Versions 0-4;
//! version 0 does not tell the epoch, versions below 2 do not name the current one.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::offset_for_leader_epoch::{
        EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
        OffsetForLeaderTopicResult,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: OffsetForLeaderEpochRequest<'_> = request.decode()?;
    let mut topics = Vec::with_capacity(decoded.topics.len());
    for topic in &decoded.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let mut answer = EpochEndOffset { partition: asked.partition, ..Default::default() };
            match end_of_epoch(broker, topic.topic, asked).await {
                Ok(Some((epoch, end))) => (answer.leader_epoch, answer.end_offset) = (epoch, end),
                // An epoch this partition has never seen.
                Ok(None) => {}
                Err(error_code) => answer.error_code = error_code,
            }
            partitions.push(answer);
        }
        topics.push(OffsetForLeaderTopicResult { topic: Cow::Borrowed(topic.topic), partitions });
    }
    request.reply(&OffsetForLeaderEpochResponse { topics, ..Default::default() })
}

async fn end_of_epoch(
    broker: &Broker,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(i32, i64)>, ErrorCode> {
    let partition = broker.partitions.get(topic, asked.partition).map_err(|error| error.code())?;
    let log = partition.log().await.map_err(|error| error.code())?;
    partition.check_leader_epoch(asked.current_leader_epoch)?;
    // The current one may not have written anything yet.
    Ok(if asked.leader_epoch == partition.leader_epoch() {
        Some((asked.leader_epoch, log.log_end_offset()))
    } else {
        log.end_offset_for_epoch(asked.leader_epoch)
    })
}
