//! DeleteRecords (21): moves the start of partitions. Versions 0-2. Answered when the new start is durable.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::delete_records::{
        DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::{broker::Broker, metadata::topic_config};

const NONE: i64 = -1;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: DeleteRecordsRequest<'_> = request.decode()?;
    let mut topics = Vec::with_capacity(decoded.topics.len());
    for topic in &decoded.topics {
        let refused = refusal(broker, topic.name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let done = match refused {
                Some(error) => Err(error),
                None => delete(broker, topic.name, asked.partition_index, asked.offset).await,
            };
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: done.unwrap_or(NONE),
                error_code: done.err().unwrap_or_default(),
            });
        }
        topics.push(DeleteRecordsTopicResult { name: Cow::Borrowed(topic.name), partitions });
    }
    request.reply(&DeleteRecordsResponse { topics, ..Default::default() })
}

/// Why no record of this topic may be deleted.
fn refusal(broker: &Broker, name: &str) -> Option<ErrorCode> {
    let image = broker.image();
    let Some(topic) = image.topic(name) else { return Some(ErrorCode::UnknownTopicOrPartition) };
    if topic.is_internal() {
        return Some(ErrorCode::InvalidTopicException);
    }
    // A topic that is only compacted keeps the latest record of every key.
    let definition = topic_config::definition("cleanup.policy")?;
    let defaults = broker.topic_defaults();
    let (policy, _) = defaults.effective(&topic.config, definition);
    let deletes = policy.split(',').any(|item| item.trim() == "delete");
    (!deletes).then_some(ErrorCode::PolicyViolation)
}

/// The partition's new start.
async fn delete(broker: &Broker, topic: &str, partition: i32, offset: i64) -> Result<i64, ErrorCode> {
    let partition = broker.partitions.get(topic, partition).map_err(|error| error.code())?;
    let deleted = partition.delete_records_before(offset).await;
    deleted.map_err(|error| {
        let code = error.code();
        if code != ErrorCode::OffsetOutOfRange {
            tracing::error!(topic, partition = partition.index(), %error, "deleting records failed");
        }
        code
    })
}
