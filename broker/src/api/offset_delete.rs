//! OffsetDelete (47): forgets what a group has committed for partitions it does not read (KIP-496). Version 0. Answered when that is durable.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::offset_delete::{
        OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: OffsetDeleteRequest<'_> = request.decode()?;
    let image = broker.image();
    let mut there = Vec::new();
    for topic in &decoded.topics {
        let Some(known) = image.topic(topic.name) else { continue };
        let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
        there.extend(indexes.filter(|i| (0..known.partitions).contains(i)).map(|i| (known.name.clone(), i)));
    }
    let results = match broker.groups.delete_offsets(decoded.group_id, &there).await {
        Ok(results) => results,
        Err(error_code) => return request.reply(&OffsetDeleteResponse { error_code, ..Default::default() }),
    };
    // In the order asked for.
    let mut done = there.iter().zip(results).peekable();
    let topics = decoded.topics.iter().map(|topic| {
        let mut result = |index: i32| {
            let next = done.next_if(|((name, partition), _)| **name == *topic.name && *partition == index);
            let error_code = next.map_or(ErrorCode::UnknownTopicOrPartition, |(_, error_code)| error_code);
            OffsetDeleteResponsePartition { partition_index: index, error_code }
        };
        OffsetDeleteResponseTopic {
            name: Cow::Borrowed(topic.name),
            partitions: topic.partitions.iter().map(|partition| result(partition.partition_index)).collect(),
        }
    });
    request.reply(&OffsetDeleteResponse { topics: topics.collect(), ..Default::default() })
}
