//! DescribeConfigs (32): settings of topics and of this broker, with where each value comes from. Versions 0-4.

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::describe_configs::{
        DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
        DescribeConfigsResult, DescribeConfigsSynonym,
    },
};

use super::request::{Outcome, Refused, Request};
use crate::{
    broker::Broker,
    metadata::{
        image::Topic,
        topic_config::{DEFINITIONS, Source},
        topic_name,
    },
};

/// Kafka's numbers of resource types.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// What the client wants to know.
struct Wants {
    synonyms: bool,
    documentation: bool,
}

pub(crate) async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let decoded: DescribeConfigsRequest<'_> = request.decode()?;
    let wants = Wants { synonyms: decoded.include_synonyms, documentation: decoded.include_documentation };
    let results = decoded.resources.iter().map(|resource| describe(broker, resource, &wants)).collect();
    request.reply(&DescribeConfigsResponse { results, ..Default::default() })
}

fn describe<'a>(broker: &Broker, asked: &DescribeConfigsResource<'a>, wants: &Wants) -> DescribeConfigsResult<'a> {
    let result = DescribeConfigsResult {
        resource_type: asked.resource_type,
        resource_name: Cow::Borrowed(asked.resource_name),
        ..Default::default()
    };
    let failed = |error_code: ErrorCode, message: String| DescribeConfigsResult {
        error_code,
        error_message: Some(Cow::Owned(message)),
        resource_type: asked.resource_type,
        resource_name: Cow::Borrowed(asked.resource_name),
        ..Default::default()
    };
    let all = match asked.resource_type {
        TOPIC => match broker.image().topic(asked.resource_name) {
            Some(topic) => of_topic(broker, topic, wants),
            None => {
                return match topic_name::check(asked.resource_name) {
                    Ok(()) => failed(ErrorCode::UnknownTopicOrPartition, String::new()),
                    Err(problem) => failed(ErrorCode::InvalidTopicException, problem),
                };
            }
        },
        // The default of all brokers: there are no dynamic settings.
        BROKER if asked.resource_name.is_empty() => Vec::new(),
        BROKER if asked.resource_name == broker.cluster.node_id.to_string() => of_broker(broker, wants),
        BROKER => {
            let node = broker.cluster.node_id;
            let message =
                format!("Unexpected broker id, expected {node} or empty string, but received {}", asked.resource_name);
            return failed(ErrorCode::InvalidRequest, message);
        }
        // Broker loggers, client metrics, groups: understood, but without settings here.
        8 | 16 | 32 => Vec::new(),
        other => return failed(ErrorCode::InvalidRequest, format!("Unsupported resource type: {other}")),
    };
    let wanted = |name: &str| match asked.configuration_keys.as_deref() {
        None | Some([]) => true,
        Some(keys) => keys.contains(&name),
    };
    DescribeConfigsResult { configs: all.into_iter().filter(|config| wanted(&config.name)).collect(), ..result }
}

fn of_topic(broker: &Broker, topic: &Topic, wants: &Wants) -> Vec<DescribeConfigsResourceResult<'static>> {
    let synonym = |name: &'static str, value: &str, source: Source| DescribeConfigsSynonym {
        name: Cow::Borrowed(name),
        value: Some(Cow::Owned(value.to_owned())),
        source: source as i8,
    };
    let one = |definition: &'static crate::metadata::topic_config::Definition| {
        let (value, source) = broker.topic_defaults.effective(&topic.config, definition);
        let mut synonyms = Vec::new();
        if wants.synonyms {
            if let Some(value) = topic.config.get(definition.name) {
                synonyms.push(synonym(definition.name, value, Source::Topic));
            }
            if let Some(value) = broker.topic_defaults.broker_value(definition.name) {
                synonyms.push(synonym(definition.broker_name, value, Source::StaticBroker));
            }
            synonyms.push(synonym(definition.broker_name, definition.default, Source::Default));
        }
        DescribeConfigsResourceResult {
            name: Cow::Borrowed(definition.name),
            value: Some(Cow::Owned(value.to_owned())),
            is_default: source == Source::Default,
            config_source: source as i8,
            synonyms,
            config_type: definition.type_code(),
            documentation: wants.documentation.then_some(Cow::Borrowed(definition.doc)),
            ..Default::default()
        }
    };
    DEFINITIONS.iter().map(one).collect()
}

/// This broker's settings by Kafka's names, as far as they mean something here. All read-only: they come from broker.yaml.
fn of_broker(broker: &Broker, wants: &Wants) -> Vec<DescribeConfigsResourceResult<'static>> {
    const BOOLEAN: i8 = 1;
    const STRING: i8 = 2;
    const INT: i8 = 3;
    const LONG: i8 = 5;
    let config = &broker.settings.config;
    let listeners: Vec<String> = config.listeners.iter().map(|l| format!("PLAINTEXT://{}", l.listen)).collect();
    let mut all: Vec<(&'static str, String, i8)> = vec![
        ("auto.create.topics.enable", config.topics.auto_create.to_string(), BOOLEAN),
        ("broker.id", config.node_id.to_string(), INT),
        ("connections.max.idle.ms", config.limits.idle_timeout.as_millis().to_string(), LONG),
        ("default.replication.factor", "1".to_owned(), INT),
        ("delete.topic.enable", "true".to_owned(), BOOLEAN),
        ("listeners", listeners.join(","), STRING),
        ("log.dirs", config.data_dir.display().to_string(), STRING),
        ("max.connections", config.limits.max_connections.to_string(), INT),
        ("node.id", config.node_id.to_string(), INT),
        ("num.partitions", config.topics.partitions.to_string(), INT),
        ("offsets.topic.replication.factor", "1".to_owned(), INT),
        ("process.roles", "broker,controller".to_owned(), STRING),
        ("socket.request.max.bytes", config.limits.max_request_bytes.to_string(), INT),
    ];
    for definition in DEFINITIONS {
        if let Some(value) = broker.topic_defaults.broker_value(definition.name) {
            all.push((definition.broker_name, value.to_owned(), definition.type_code()));
        } else {
            all.push((definition.broker_name, definition.default.to_owned(), definition.type_code()));
        }
    }
    all.sort_by_key(|(name, ..)| *name);
    all.into_iter()
        .map(|(name, value, config_type)| DescribeConfigsResourceResult {
            name: Cow::Borrowed(name),
            synonyms: if wants.synonyms {
                let value = Some(Cow::Owned(value.clone()));
                vec![DescribeConfigsSynonym { name: Cow::Borrowed(name), value, source: Source::StaticBroker as i8 }]
            } else {
                Vec::new()
            },
            value: Some(Cow::Owned(value)),
            read_only: true,
            config_source: Source::StaticBroker as i8,
            config_type,
            ..Default::default()
        })
        .collect()
}
