//! What settings belong to: Kafka's resource types, and the alteration of one resource, which AlterConfigs and IncrementalAlterConfigs share.

use std::{borrow::Cow, collections::HashMap};

use logmill_protocol::ErrorCode;

use crate::{
    broker::{Broker, TopicError},
    metadata::{
        broker_config,
        topic_config::alteration::{self, AlterationError, Edit, Settings},
    },
};

pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
pub(crate) const BROKER_LOGGER: i8 = 8;
pub(crate) const CLIENT_METRICS: i8 = 16;
pub(crate) const GROUP: i8 = 32;

/// An error with words for whoever reads it.
pub(crate) type Refusing = (ErrorCode, String);

/// How the settings of a resource are altered.
pub(crate) enum Alteration<'a> {
    Edit(Vec<Edit<'a>>),
    /// Whatever is not set here goes back to its default.
    Replace(Vec<Edit<'a>>),
}

impl<'a> Alteration<'a> {
    fn edits(&self) -> &[Edit<'a>] {
        match self {
            Self::Edit(edits) | Self::Replace(edits) => edits,
        }
    }
}

/// One resource of a request, with what is to be done to it.
pub(crate) struct Resource<'a> {
    pub(crate) kind: i8,
    pub(crate) name: &'a str,
    pub(crate) alteration: Result<Alteration<'a>, Refusing>,
}

/// The answer for one resource.
pub(crate) struct Altered<'a> {
    pub(crate) error_code: ErrorCode,
    pub(crate) error_message: Option<Cow<'a, str>>,
    pub(crate) kind: i8,
    pub(crate) name: Cow<'a, str>,
}

/// Alters each resource by itself; one that is named more than once is an error each time.
pub(crate) async fn alter_all<'a>(
    broker: &Broker,
    resources: Vec<Resource<'a>>,
    validate_only: bool,
) -> Vec<Altered<'a>> {
    let mut counts: HashMap<(i8, &str), usize> = HashMap::new();
    for resource in &resources {
        *counts.entry((resource.kind, resource.name)).or_default() += 1;
    }
    let mut altered = Vec::with_capacity(resources.len());
    for Resource { kind, name, alteration } in resources {
        let done = match alteration {
            _ if counts.get(&(kind, name)).is_some_and(|count| *count > 1) => {
                Err((ErrorCode::InvalidRequest, "Each resource must appear at most once.".to_owned()))
            }
            Ok(alteration) => alter(broker, kind, name, alteration, validate_only).await,
            Err(refusing) => Err(refusing),
        };
        let (error_code, message) = done.err().unzip();
        altered.push(Altered {
            error_code: error_code.unwrap_or_default(),
            error_message: message.map(Cow::Owned),
            kind,
            name: Cow::Borrowed(name),
        });
    }
    altered
}

/// Alters the settings of one resource, or only says whether that could be done.
async fn alter(
    broker: &Broker,
    kind: i8,
    name: &str,
    alteration: Alteration<'_>,
    validate_only: bool,
) -> Result<(), Refusing> {
    alteration::check_edits(alteration.edits()).map_err(|error| (code(&error), error.to_string()))?;
    match kind {
        TOPIC if name.is_empty() => {
            Err((ErrorCode::InvalidRequest, "Default topic resources are not allowed.".to_owned()))
        }
        TOPIC => alter_topic(broker, name, &alteration, validate_only).await,
        BROKER => {
            let id = check_broker(broker, name)?;
            let alter = |current: &Settings| match &alteration {
                Alteration::Edit(edits) => broker_config::edited(current, edits),
                Alteration::Replace(edits) => broker_config::edited(&Settings::new(), edits),
            };
            refused(broker.alter_broker(id, alter, validate_only).await, "a broker", name)
        }
        BROKER_LOGGER | CLIENT_METRICS | GROUP if alteration.edits().is_empty() => Ok(()),
        BROKER_LOGGER => {
            Err((ErrorCode::InvalidRequest, "log levels are set where the broker is started, with RUST_LOG".to_owned()))
        }
        CLIENT_METRICS => Err((ErrorCode::InvalidRequest, "this broker does not collect clients' metrics".to_owned())),
        GROUP => Err((ErrorCode::InvalidRequest, "groups have no settings of their own on this broker".to_owned())),
        other => Err((ErrorCode::InvalidRequest, format!("Unknown resource type {other}"))),
    }
}

/// A broker's settings may be asked of the broker itself, by its id, or of all, by an empty name (`None`).
pub(crate) fn check_broker(broker: &Broker, name: &str) -> Result<Option<i32>, Refusing> {
    let node = broker.cluster.node_id;
    if name.is_empty() {
        return Ok(None);
    }
    match name.parse::<i32>() {
        Ok(id) if id == node => Ok(Some(id)),
        Ok(id) => {
            let message = format!("Unexpected broker id, expected {node}, but received {id}");
            Err((ErrorCode::InvalidRequest, message))
        }
        Err(_) => Err((ErrorCode::InvalidRequest, format!("Node id must be an integer, but it is: {name}"))),
    }
}

async fn alter_topic(
    broker: &Broker,
    name: &str,
    alteration: &Alteration<'_>,
    validate_only: bool,
) -> Result<(), Refusing> {
    let defaults = broker.topic_defaults();
    let alter = |current: &Settings| match alteration {
        Alteration::Edit(edits) => alteration::edited(current, edits, &defaults),
        Alteration::Replace(edits) => alteration::replaced(edits, &defaults),
    };
    refused(broker.alter_topic(name, alter, validate_only).await, "a topic", name)
}

fn refused(altered: Result<(), TopicError>, what: &str, name: &str) -> Result<(), Refusing> {
    altered.map_err(|error| {
        let code = error.code();
        if code == ErrorCode::KafkaStorageError {
            tracing::error!(name, %error, "altering {what} failed");
        }
        (code, error.to_string())
    })
}

fn code(error: &AlterationError) -> ErrorCode {
    match error {
        AlterationError::Request(_) => ErrorCode::InvalidRequest,
        AlterationError::Config(_) => ErrorCode::InvalidConfig,
    }
}
