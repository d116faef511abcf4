//! DescribeTopicPartitions (75): topics in the order of their names, page by page. Version 0.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::describe_topic_partitions::{
        CursorResponse, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
        DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
    },
};

use super::{
    authorized::TOPIC_OPERATIONS,
    request::{Outcome, Refused, Request},
};
use crate::{broker::Broker, metadata::image::Topic};

/// Kafka's max.request.partition.size.limit.
const MAX_PARTITIONS: i32 = 2000;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: DescribeTopicPartitionsRequest<'_> = request.decode()?;
    let image = broker.image();
    let (from_topic, from_partition) = match &decoded.cursor {
        Some(cursor) => (cursor.topic_name, cursor.partition_index.max(0)),
        None => ("", 0),
    };
    let names: BTreeSet<&str> = if decoded.topics.is_empty() {
        image.topics.keys().map(|name| &**name).collect()
    } else {
        decoded.topics.iter().map(|topic| topic.name).collect()
    };
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut left = decoded.response_partition_limit.clamp(1, MAX_PARTITIONS);
    for name in names.range(from_topic..) {
        let first = if *name == from_topic { from_partition } else { 0 };
        if left == 0 {
            response.next_cursor = Some(CursorResponse { topic_name: Cow::Borrowed(name), partition_index: first });
            break;
        }
        let Some(topic) = image.topic(name) else {
            response.topics.push(DescribeTopicPartitionsResponseTopic {
                error_code: ErrorCode::UnknownTopicOrPartition,
                name: Some(Cow::Borrowed(name)),
                ..Default::default()
            });
            continue;
        };
        let end = topic.partitions.min(first.saturating_add(left));
        left -= (end - first).max(0);
        response.topics.push(describe(broker, topic, first..end));
        if end < topic.partitions {
            response.next_cursor = Some(CursorResponse { topic_name: Cow::Borrowed(name), partition_index: end });
            break;
        }
    }
    request.reply(&response)
}

fn describe(
    broker: &Broker,
    topic: &Topic,
    partitions: std::ops::Range<i32>,
) -> DescribeTopicPartitionsResponseTopic<'static> {
    let partitions = partitions
        .map(|partition_index| {
            let leader_id = broker.cluster.leader(&topic.name, partition_index);
            DescribeTopicPartitionsResponsePartition {
                partition_index,
                leader_id,
                leader_epoch: broker.partitions.leader_epoch(&topic.name, partition_index),
                replica_nodes: vec![leader_id],
                isr_nodes: vec![leader_id],
                eligible_leader_replicas: Some(Vec::new()),
                last_known_elr: Some(Vec::new()),
                ..Default::default()
            }
        })
        .collect();
    DescribeTopicPartitionsResponseTopic {
        name: Some(Cow::Owned(topic.name.to_string())),
        topic_id: topic.id.into_bytes(),
        is_internal: topic.is_internal(),
        partitions,
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}
