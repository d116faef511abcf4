//! CreatePartitions (37): adds partitions to topics. Versions 0-3.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::create_partitions::{
        CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::{broker::Broker, settings::MAX_PARTITIONS_PER_TOPIC};

type Refusing = (ErrorCode, String);

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: CreatePartitionsRequest<'_> = request.decode()?;
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for topic in &decoded.topics {
        *seen.entry(topic.name).or_default() += 1;
    }
    let mut results = Vec::with_capacity(seen.len());
    for topic in &decoded.topics {
        let done = match seen.get(topic.name) {
            Some(1) => add(broker, topic, decoded.validate_only).await,
            Some(_) => {
                // Answered once, however often it is named.
                seen.remove(topic.name);
                Err((ErrorCode::InvalidRequest, "Duplicate topic name.".to_owned()))
            }
            None => continue,
        };
        let (error_code, message) = done.err().unzip();
        results.push(CreatePartitionsTopicResult {
            name: Cow::Borrowed(topic.name),
            error_code: error_code.unwrap_or_default(),
            error_message: message.map(Cow::Owned),
        });
    }
    request.reply(&CreatePartitionsResponse { results, ..Default::default() })
}

async fn add(broker: &Broker, asked: &CreatePartitionsTopic<'_>, validate_only: bool) -> Result<(), Refusing> {
    let image = broker.image();
    let Some(topic) = image.topic(asked.name) else {
        let message = "This server does not host this topic-partition.".to_owned();
        return Err((ErrorCode::UnknownTopicOrPartition, message));
    };
    let (name, has, count) = (asked.name, topic.partitions, asked.count);
    if topic.is_internal() {
        // The number of partitions decides where a group lives.
        return Err((ErrorCode::InvalidRequest, format!("the partitions of topic '{name}' cannot be changed")));
    }
    if count == has {
        return Err((ErrorCode::InvalidPartitions, format!("Topic already has {has} partition(s).")));
    }
    if count < has {
        let message = format!("The topic {name} currently has {has} partition(s); {count} would not be an increase.");
        return Err((ErrorCode::InvalidPartitions, message));
    }
    if count > MAX_PARTITIONS_PER_TOPIC {
        let message = format!("a topic has at most {MAX_PARTITIONS_PER_TOPIC} partitions here, not {count}");
        return Err((ErrorCode::InvalidPartitions, message));
    }
    if let Some(assignments) = &asked.assignments {
        let node = broker.cluster.node_id;
        let enough = usize::try_from(count - has).is_ok_and(|new| new == assignments.len());
        if !enough || assignments.iter().any(|assignment| assignment.broker_ids != [node]) {
            let message = format!("expected {} assignments, each to broker {node} only", count - has);
            return Err((ErrorCode::InvalidReplicaAssignment, message));
        }
    }
    if validate_only {
        return Ok(());
    }
    broker.add_partitions(topic.id, count).await.map_err(|error| {
        tracing::error!(topic = name, %error, "adding partitions failed");
        (error.code(), error.to_string())
    })
}
