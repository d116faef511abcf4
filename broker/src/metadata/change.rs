//! Changes to the metadata, and the pure rules that apply them to an image.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::image::{DeletedTopic, Image, Topic};

/// One durable step. Serialised as JSON in the metadata file: add variants and optional fields, never change their meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(crate) enum Change {
    ClusterId {
        id: String,
    },
    CreateTopic {
        name: String,
        id: Uuid,
        partitions: i32,
        config: BTreeMap<String, String>,
    },
    DeleteTopic {
        id: Uuid,
    },
    /// Raises the number of partitions.
    AddPartitions {
        id: Uuid,
        partitions: i32,
    },
    /// The directories of a deleted topic are gone.
    TopicRemoved {
        id: Uuid,
    },
    /// Replaces all settings of a topic.
    SetTopicConfig {
        id: Uuid,
        config: BTreeMap<String, String>,
    },
    /// Replaces what was altered of a broker, or of all where none is named.
    SetBrokerConfig {
        broker: Option<i32>,
        config: BTreeMap<String, String>,
    },
    /// Producer ids below `end` may have been handed out.
    ProducerIds {
        end: i64,
    },
}

/// Why a change does not fit the current state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("topic '{0}' already exists")]
    TopicExists(String),
    #[error("topic '{0}' is being deleted")]
    BeingDeleted(String),
    #[error("there is no topic with id {0}")]
    UnknownTopicId(Uuid),
    #[error("the topic has {from} partition(s) already, {to} would not be an increase")]
    NotAnIncrease { from: i32, to: i32 },
    #[error("producer ids cannot go back from {from} to {to}")]
    ProducerIdsGoBack { from: i64, to: i64 },
}

/// Applies one change, or says why it cannot be; then the image is as it was.
pub(crate) fn apply(image: &mut Image, change: &Change) -> Result<(), Refusal> {
    match change {
        Change::ClusterId { id } => image.cluster_id = Arc::from(id.as_str()),
        Change::CreateTopic { name, id, partitions, config } => {
            if image.topics.contains_key(name.as_str()) {
                return Err(Refusal::TopicExists(name.clone()));
            }
            if image.deleted.values().any(|deleted| *deleted.name == **name) {
                return Err(Refusal::BeingDeleted(name.clone()));
            }
            let name: Arc<str> = Arc::from(name.as_str());
            let topic = Topic { name: name.clone(), id: *id, partitions: *partitions, config: config.clone() };
            image.names_by_id.insert(*id, name.clone());
            image.topics.insert(name, Arc::new(topic));
        }
        Change::DeleteTopic { id } => {
            let name = image.names_by_id.remove(id).ok_or(Refusal::UnknownTopicId(*id))?;
            if let Some(topic) = image.topics.remove(&name) {
                image.deleted.insert(*id, DeletedTopic { name, partitions: topic.partitions });
            }
        }
        Change::AddPartitions { id, partitions } => {
            let name = image.names_by_id.get(id).ok_or(Refusal::UnknownTopicId(*id))?;
            if let Some(topic) = image.topics.get_mut(name) {
                if *partitions <= topic.partitions {
                    return Err(Refusal::NotAnIncrease { from: topic.partitions, to: *partitions });
                }
                Arc::make_mut(topic).partitions = *partitions;
            }
        }
        Change::TopicRemoved { id } => {
            image.deleted.remove(id).ok_or(Refusal::UnknownTopicId(*id))?;
        }
        Change::SetTopicConfig { id, config } => {
            let name = image.names_by_id.get(id).ok_or(Refusal::UnknownTopicId(*id))?;
            if let Some(topic) = image.topics.get_mut(name) {
                Arc::make_mut(topic).config = config.clone();
            }
        }
        Change::SetBrokerConfig { broker, config } => {
            Arc::make_mut(&mut image.broker_configs).set(*broker, config.clone());
        }
        Change::ProducerIds { end } => {
            if *end < image.next_producer_id {
                return Err(Refusal::ProducerIdsGoBack { from: image.next_producer_id, to: *end });
            }
            image.next_producer_id = *end;
        }
    }
    image.version += 1;
    Ok(())
}

/// The shortest list of changes that builds `image` from nothing.
pub(crate) fn rebuild(image: &Image) -> Vec<Change> {
    let mut changes = vec![Change::ClusterId { id: image.cluster_id.to_string() }];
    changes.push(Change::ProducerIds { end: image.next_producer_id });
    for (broker, config) in image.broker_configs.iter() {
        changes.push(Change::SetBrokerConfig { broker, config: config.clone() });
    }
    for (id, deleted) in &image.deleted {
        let name = deleted.name.to_string();
        changes.push(Change::CreateTopic { name, id: *id, partitions: deleted.partitions, config: BTreeMap::new() });
        changes.push(Change::DeleteTopic { id: *id });
    }
    for topic in image.topics.values() {
        changes.push(Change::CreateTopic {
            name: topic.name.to_string(),
            id: topic.id,
            partitions: topic.partitions,
            config: topic.config.clone(),
        });
    }
    changes
}
