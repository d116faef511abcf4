//! `logmill configs describe (--topic NAME | --broker ID) [--all]`

use anyhow::bail;
use clap::Args;
use rdkafka::{
    admin::{ConfigEntry, ConfigSource, ResourceSpecifier},
    error::RDKafkaErrorCode,
};
use serde_json::json;

use super::Of;
use crate::{
    commands::topics::Shown,
    kafka::{alter_configs::Resource, block_on, code_words},
    output::{self, dash},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    of: Of,
    /// Also those that have their default
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    shown: Shown,
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let resource = options.of.resource();
    let (admin, admin_options) = options.shown.connection.admin()?;
    let specifier = match &resource {
        Resource::Topic(name) => ResourceSpecifier::Topic(name),
        Resource::Broker(id) => ResourceSpecifier::Broker(*id),
    };
    let what = super::name(&resource);
    let described = block_on(admin.describe_configs([&specifier], &admin_options))?
        .map_err(|e| options.shown.connection.words(&format!("cannot read the settings of {what}"), e))?;
    let mut entries = Vec::new();
    for result in described {
        match result {
            Ok(found) => entries.extend(found.entries),
            Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                bail!("{what} does not exist");
            }
            Err(code) => bail!("cannot read the settings of {what}: {}", code_words(code)),
        }
    }
    // What the broker refuses, librdkafka hands out without a setting; nothing that exists is without any.
    if entries.is_empty() {
        bail!("{what} does not exist, or the broker does not tell its settings");
    }
    entries.retain(|entry| options.all || !is_default(entry));
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let row = |entry: &ConfigEntry| vec![entry.name.clone(), dash(value(entry)), source(&entry.source).to_owned()];
    let rows = entries.iter().map(row).collect();
    let list: Vec<_> = entries
        .iter()
        .map(|entry| {
            json!({
                "config": entry.name, "value": value(entry), "source": source(&entry.source),
                "sensitive": entry.is_sensitive, "read_only": entry.is_read_only,
            })
        })
        .collect();
    output::print(options.shown.output, &["config", "value", "source"], rows, &list.into())?;
    Ok(())
}

/// A secret is never told, not even by the broker.
fn value(entry: &ConfigEntry) -> Option<&str> {
    entry.value.as_deref().filter(|_| !entry.is_sensitive)
}

fn is_default(entry: &ConfigEntry) -> bool {
    entry.is_default || entry.source == ConfigSource::Default
}

/// Kafka's names.
fn source(source: &ConfigSource) -> &'static str {
    match source {
        ConfigSource::Unknown => "UNKNOWN",
        ConfigSource::DynamicTopic => "DYNAMIC_TOPIC_CONFIG",
        ConfigSource::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
        ConfigSource::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        ConfigSource::StaticBroker => "STATIC_BROKER_CONFIG",
        ConfigSource::Default => "DEFAULT_CONFIG",
    }
}
