//! CreateTopics (19): makes topics. Versions 0-7; from 5 on the answer tells the configuration, from 7 on the id.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use logmill_protocol::{
    ErrorCode,
    messages::create_topics::{
        CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::{
    broker::{Broker, TopicError},
    metadata::{
        change::Refusal,
        store::MetadataError,
        topic_config::{DEFINITIONS, alteration},
        topic_name,
    },
    settings::{INTERNAL_TOPICS, MAX_PARTITIONS_PER_TOPIC},
};

/// A checked topic.
struct Wanted {
    partitions: i32,
    config: BTreeMap<String, String>,
}

type Refusing = (ErrorCode, String);

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: CreateTopicsRequest<'_> = request.decode()?;
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for topic in &decoded.topics {
        *seen.entry(topic.name).or_default() += 1;
    }
    let mut topics = Vec::with_capacity(seen.len());
    for topic in &decoded.topics {
        match seen.get(topic.name) {
            Some(1) => topics.push(create(broker, topic, decoded.validate_only, request.version).await),
            Some(_) => {
                // Answered once, however often it is named.
                seen.remove(topic.name);
                let message = "Duplicate topic name.".to_owned();
                topics.push(refused(topic.name, (ErrorCode::InvalidRequest, message)));
            }
            None => {}
        }
    }
    request.reply(&CreateTopicsResponse { topics, ..Default::default() })
}

fn refused<'a>(name: &'a str, (error_code, message): Refusing) -> CreatableTopicResult<'a> {
    CreatableTopicResult {
        name: Cow::Borrowed(name),
        error_code,
        error_message: Some(Cow::Owned(message)),
        configs: Some(Vec::new()),
        ..Default::default()
    }
}

async fn create<'a>(
    broker: &Broker,
    asked: &CreatableTopic<'a>,
    validate_only: bool,
    version: i16,
) -> CreatableTopicResult<'a> {
    let wanted = match check(broker, asked, version) {
        Ok(wanted) => wanted,
        Err(refusing) => return refused(asked.name, refusing),
    };
    let mut result = CreatableTopicResult {
        name: Cow::Borrowed(asked.name),
        num_partitions: wanted.partitions,
        replication_factor: 1,
        configs: Some(configs(broker, &wanted.config)),
        ..Default::default()
    };
    if validate_only {
        return result;
    }
    match broker.create_topic(asked.name, wanted.partitions, wanted.config).await {
        Ok(topic) => result.topic_id = topic.id.into_bytes(),
        Err(TopicError::Metadata(MetadataError::Refused(Refusal::TopicExists(_)))) => {
            return refused(asked.name, exists(asked.name));
        }
        Err(error) => {
            tracing::error!(topic = asked.name, %error, "creating a topic failed");
            return refused(asked.name, (error.code(), error.to_string()));
        }
    }
    result
}

fn exists(name: &str) -> Refusing {
    (ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists."))
}

fn check(broker: &Broker, asked: &CreatableTopic<'_>, version: i16) -> Result<Wanted, Refusing> {
    let image = broker.image();
    let name = asked.name;
    topic_name::check(name).map_err(|problem| (ErrorCode::InvalidTopicException, problem))?;
    if image.topic(name).is_some() {
        return Err(exists(name));
    }
    if INTERNAL_TOPICS.contains(&name) {
        let message = format!("topic '{name}' is made by the broker itself when it is needed");
        return Err((ErrorCode::InvalidTopicException, message));
    }
    if let Some(other) = image.topics.keys().find(|other| topic_name::collides(other, name)) {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return Err((ErrorCode::InvalidTopicException, message));
    }
    let partitions = if asked.assignments.is_empty() {
        replication(asked.replication_factor, version)?;
        partitions(broker, asked.num_partitions, version)?
    } else {
        assigned(broker, asked)?
    };
    if partitions > MAX_PARTITIONS_PER_TOPIC {
        let message = format!("a topic has at most {MAX_PARTITIONS_PER_TOPIC} partitions here, not {partitions}");
        return Err((ErrorCode::InvalidPartitions, message));
    }
    Ok(Wanted { partitions, config: config(broker, asked)? })
}

fn partitions(broker: &Broker, asked: i32, version: i16) -> Result<i32, Refusing> {
    match asked {
        // KIP-464.
        -1 if version >= 4 => Ok(broker.settings.config.topics.partitions),
        count if count > 0 => Ok(count),
        _ => Err((
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.".to_owned(),
        )),
    }
}

fn replication(asked: i16, version: i16) -> Result<(), Refusing> {
    match asked {
        1 => Ok(()),
        -1 if version >= 4 => Ok(()),
        factor if factor > 1 => Err((
            ErrorCode::InvalidReplicationFactor,
            format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be reached because only 1 broker(s) are registered."
            ),
        )),
        _ => Err((
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
        )),
    }
}

/// The number of partitions of an explicit assignment.
fn assigned(broker: &Broker, asked: &CreatableTopic<'_>) -> Result<i32, Refusing> {
    if asked.num_partitions != -1 || asked.replication_factor != -1 {
        let message = "A manual partition assignment was specified, but the number of partitions and the replication factor were not both -1.";
        return Err((ErrorCode::InvalidRequest, message.to_owned()));
    }
    let invalid = |message: String| Err((ErrorCode::InvalidReplicaAssignment, message));
    let mut indexes: Vec<i32> = asked.assignments.iter().map(|a| a.partition_index).collect();
    indexes.sort_unstable();
    if indexes.iter().zip(0..).any(|(index, expected)| *index != expected) {
        return invalid("partitions should be a consecutive 0-based integer sequence".to_owned());
    }
    for assignment in &asked.assignments {
        let index = assignment.partition_index;
        match assignment.broker_ids.as_slice() {
            [one] if *one == broker.cluster.node_id => {}
            [] => return invalid(format!("The manual partition assignment of partition {index} has no replicas.")),
            [one] => {
                return invalid(format!(
                    "The manual partition assignment includes broker {one}, but no such broker is registered."
                ));
            }
            many => {
                return invalid(format!("partition {index} has {} replicas, but there is only one broker", many.len()));
            }
        }
    }
    i32::try_from(indexes.len()).map_err(|_| (ErrorCode::InvalidPartitions, "too many partitions".to_owned()))
}

fn config(broker: &Broker, asked: &CreatableTopic<'_>) -> Result<BTreeMap<String, String>, Refusing> {
    let mut config = BTreeMap::new();
    for setting in &asked.configs {
        let Some(value) = setting.value else {
            let message = format!("Null value not supported for topic configs: {}", setting.name);
            return Err((ErrorCode::InvalidConfig, message));
        };
        config.insert(setting.name.to_owned(), value.trim().to_owned());
    }
    alteration::check(&config, &broker.topic_defaults()).map_err(|e| (ErrorCode::InvalidConfig, e.to_string()))?;
    Ok(config)
}

fn configs(broker: &Broker, config: &BTreeMap<String, String>) -> Vec<CreatableTopicConfigs<'static>> {
    let defaults = broker.topic_defaults();
    DEFINITIONS
        .iter()
        .map(|definition| {
            let (value, source) = defaults.effective(config, definition);
            CreatableTopicConfigs {
                name: Cow::Borrowed(definition.name),
                value: Some(Cow::Owned(value.to_owned())),
                config_source: source as i8,
                ..Default::default()
            }
        })
        .collect()
}
