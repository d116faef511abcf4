//! DescribeConfigs (32): settings of topics and of this broker, with where each value comes from. Versions 0-4.

mod broker_settings;

use std::{borrow::Cow, sync::Arc};

use logmill_protocol::{
    ErrorCode,
    messages::describe_configs::{
        DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
        DescribeConfigsResult, DescribeConfigsSynonym,
    },
};

use super::{
    config_resource::{self, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC},
    request::{Outcome, Refused, Request},
};
use crate::{
    broker::Broker,
    metadata::{
        image::Topic,
        topic_config::{DEFINITIONS, Definition, Source},
        topic_name,
    },
};

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
        BROKER => match config_resource::check_broker(broker, asked.resource_name) {
            Ok(None) => broker_settings::of_all(broker, wants),
            Ok(Some(_)) => broker_settings::of_this(broker, wants),
            Err((error_code, message)) => return failed(error_code, message),
        },
        // Understood, but there is nothing to set.
        BROKER_LOGGER | CLIENT_METRICS | GROUP => Vec::new(),
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
    let defaults = broker.topic_defaults();
    let one = |definition: &'static Definition| {
        let (value, source) = defaults.effective(&topic.config, definition);
        let mut synonyms = Vec::new();
        if wants.synonyms {
            if let Some(value) = topic.config.get(definition.name) {
                synonyms.push(synonym(definition.name, value, Source::Topic));
            }
            for (value, source) in defaults.broker_values(definition) {
                synonyms.push(synonym(definition.broker_name, value, source));
            }
            if definition.has_broker_default() {
                synonyms.push(synonym(definition.broker_name, definition.default, Source::Default));
            }
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
