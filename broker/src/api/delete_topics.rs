//! DeleteTopics (20): by name, from version 6 also by id. Versions 0-6. Answered when the deletion is durable and the files are out of the way.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::delete_topics::{DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse},
};
use uuid::Uuid;

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: DeleteTopicsRequest<'_> = request.decode()?;
    let by_name = decoded.topic_names.iter().map(|name| DeleteTopicState { name: Some(name), ..Default::default() });
    let mut responses = Vec::new();
    for asked in by_name.chain(decoded.topics.iter().cloned()) {
        responses.push(delete(broker, &asked).await);
    }
    request.reply(&DeleteTopicsResponse { responses, ..Default::default() })
}

async fn delete(broker: &Broker, asked: &DeleteTopicState<'_>) -> DeletableTopicResult<'static> {
    let image = broker.image();
    let failed = |error_code: ErrorCode, message: &str| DeletableTopicResult {
        name: asked.name.map(|name| Cow::Owned(name.to_owned())),
        topic_id: asked.topic_id,
        error_code,
        error_message: Some(Cow::Owned(message.to_owned())),
    };
    let topic = match asked.name {
        Some(_) if asked.topic_id != [0; 16] => {
            return failed(ErrorCode::InvalidRequest, "expected a topic's name or its id, not both");
        }
        Some(name) => image.topic(name),
        None => image.topic_by_id(Uuid::from_bytes(asked.topic_id)),
    };
    let Some(topic) = topic else {
        return match asked.name {
            Some(_) => failed(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition."),
            None => failed(ErrorCode::UnknownTopicId, "This server does not host this topic ID."),
        };
    };
    if topic.is_internal() {
        return failed(ErrorCode::TopicDeletionDisabled, "the broker's own topics cannot be deleted");
    }
    match broker.delete_topic(topic.id).await {
        Ok(()) => DeletableTopicResult {
            name: Some(Cow::Owned(topic.name.to_string())),
            topic_id: topic.id.into_bytes(),
            ..Default::default()
        },
        Err(error) => {
            tracing::error!(topic = %topic.name, %error, "deleting a topic failed");
            failed(error.code(), &error.to_string())
        }
    }
}
