//! Metadata (3): brokers, topics, partitions and who leads them; creates topics that are asked for by name, where allowed.
//!
//! Versions 0-13. Version 0 asks for all topics by an empty list, later ones by null; topics by id from version 10.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::metadata::{
        MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
        MetadataResponseTopic,
    },
};
use uuid::Uuid;

use super::{
    authorized::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS},
    request::{Outcome, Refused, Request},
};
use crate::{
    broker::{Broker, TopicError},
    metadata::{change::Refusal, image::Topic, store::MetadataError, topic_name},
};

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: MetadataRequest<'_> = request.decode()?;
    let image = broker.image();
    let mut topics = Vec::new();
    match &decoded.topics {
        Some(asked) if !(asked.is_empty() && request.version == 0) => {
            for topic in asked {
                topics.push(one(broker, topic, decoded.allow_auto_topic_creation).await);
            }
        }
        _ => topics.extend(image.topics.values().map(|topic| describe(broker, topic))),
    }
    if decoded.include_topic_authorized_operations {
        for topic in topics.iter_mut().filter(|topic| topic.error_code.is_none()) {
            topic.topic_authorized_operations = TOPIC_OPERATIONS;
        }
    }
    let (host, port) = request.connection.advertised();
    request.reply(&MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: broker.cluster.node_id,
            host: Cow::Owned(host),
            port,
            rack: None,
        }],
        cluster_id: Some(Cow::Borrowed(&image.cluster_id)),
        controller_id: broker.cluster.controller(),
        topics,
        cluster_authorized_operations: if decoded.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..Default::default()
    })
}

async fn one(broker: &Broker, asked: &MetadataRequestTopic<'_>, may_create: bool) -> MetadataResponseTopic<'static> {
    let image = broker.image();
    let failed = |error_code: ErrorCode| MetadataResponseTopic {
        error_code,
        name: asked.name.map(|name| Cow::Owned(name.to_owned())),
        topic_id: asked.topic_id,
        ..Default::default()
    };
    let Some(name) = asked.name else {
        let id = Uuid::from_bytes(asked.topic_id);
        return match image.topic_by_id(id) {
            Some(topic) => describe(broker, topic),
            None => failed(ErrorCode::UnknownTopicId),
        };
    };
    if let Some(topic) = image.topic(name) {
        return describe(broker, topic);
    }
    if topic_name::check(name).is_err() {
        return failed(ErrorCode::InvalidTopicException);
    }
    let internal = crate::settings::INTERNAL_TOPICS.contains(&name);
    if !may_create || !broker.settings.config.topics.auto_create || internal {
        return failed(ErrorCode::UnknownTopicOrPartition);
    }
    if image.topics.keys().any(|other| topic_name::collides(other, name)) {
        return failed(ErrorCode::InvalidTopicException);
    }
    match broker.ensure_topic(name, broker.settings.config.topics.partitions, BTreeMap::new()).await {
        Ok(topic) => describe(broker, &topic),
        // Retried by every client.
        Err(TopicError::Metadata(MetadataError::Refused(Refusal::BeingDeleted(_)))) => {
            failed(ErrorCode::LeaderNotAvailable)
        }
        Err(error) => {
            tracing::error!(topic = name, %error, "creating a topic failed");
            failed(ErrorCode::KafkaStorageError)
        }
    }
}

fn describe(broker: &Broker, topic: &Topic) -> MetadataResponseTopic<'static> {
    let partitions = (0..topic.partitions)
        .map(|partition_index| {
            let leader_id = broker.cluster.leader(&topic.name, partition_index);
            MetadataResponsePartition {
                partition_index,
                leader_id,
                leader_epoch: broker.partitions.leader_epoch(&topic.name, partition_index),
                replica_nodes: vec![leader_id],
                isr_nodes: vec![leader_id],
                ..Default::default()
            }
        })
        .collect();
    MetadataResponseTopic {
        name: Some(Cow::Owned(topic.name.to_string())),
        topic_id: topic.id.into_bytes(),
        is_internal: topic.is_internal(),
        partitions,
        ..Default::default()
    }
}
