//! `logmill topics describe [NAME]`

use std::collections::{BTreeMap, HashMap};

use anyhow::bail;
use rdkafka::{
    admin::{ConfigSource, ResourceSpecifier},
    consumer::Consumer,
    metadata::{Metadata, MetadataPartition, MetadataTopic},
};
use serde_json::json;

use super::Shown;
use crate::{
    kafka::{
        block_on, code_words, is_unknown_topic,
        log_dirs::{self, Sizes},
    },
    output::{self, Output, dash, ids},
};

pub(super) fn run(name: Option<&str>, shown: &Shown) -> anyhow::Result<()> {
    let consumer = shown.connection.consumer(None)?;
    let metadata = shown.connection.metadata(&consumer, name)?;
    let mut topics: Vec<_> = metadata.topics().iter().filter(|t| name.is_none_or(|n| n == t.name())).collect();
    topics.sort_by_key(|t| t.name());
    if let Some(name) = name {
        match topics.first().map(|t| t.error()) {
            None => bail!("topic \"{name}\" does not exist"),
            Some(Some(e)) if is_unknown_topic(e) => bail!("topic \"{name}\" does not exist"),
            Some(Some(e)) => bail!("topic \"{name}\": {}", code_words(e.into())),
            Some(None) => {}
        }
    }
    let names: Vec<&str> = topics.iter().map(|t| t.name()).collect();
    let configs = configs(&names, shown)?;
    let sizes = sizes(&metadata, &topics, shown);
    let (mut rows, mut list) = (Vec::new(), Vec::new());
    for topic in &topics {
        let config = configs.get(topic.name()).cloned().unwrap_or_default();
        let mut partitions: Vec<_> = topic.partitions().iter().collect();
        partitions.sort_by_key(|p| p.id());
        // Unknown where there is no leader to ask; a partition's place is worth showing all the same.
        let offsets = |p: &&MetadataPartition| {
            let known =
                (p.leader() >= 0).then(|| consumer.fetch_watermarks(topic.name(), p.id(), shown.connection.timeout));
            known.and_then(Result::ok)
        };
        let size = |p: &MetadataPartition| sizes.get(&p.leader())?.get(&(topic.name().to_owned(), p.id())).copied();
        let partitions: Vec<_> = partitions.into_iter().map(|p| (p, offsets(&p), size(p))).collect();
        for (p, offsets, size) in &partitions {
            rows.push(vec![
                topic.name().to_owned(),
                p.id().to_string(),
                p.leader().to_string(),
                ids(p.replicas()),
                ids(p.isr()),
                dash(offsets.map(|(start, _)| start)),
                dash(offsets.map(|(_, end)| end)),
                dash(*size),
            ]);
        }
        list.push(json!({
            "topic": topic.name(),
            "partition_count": partitions.len(),
            "replication_factor": partitions.iter().map(|(p, ..)| p.replicas().len()).max().unwrap_or(0),
            "configs": config,
            "partitions": partitions.iter().map(|(p, offsets, size)| json!({
                "partition": p.id(), "leader": p.leader(), "replicas": p.replicas(), "isr": p.isr(),
                "log_start_offset": offsets.map(|(start, _)| start), "log_end_offset": offsets.map(|(_, end)| end),
                "size_bytes": size,
            })).collect::<Vec<_>>(),
        }));
    }
    let header =
        ["topic", "partition", "leader", "replicas", "isr", "log_start_offset", "log_end_offset", "size_bytes"];
    output::print(shown.output, &header, rows, &list.into())?;
    if shown.output == Output::Table {
        print_configs(&configs)?;
    }
    Ok(())
}

/// What the partitions take on the disks of each broker; without those that cannot be asked.
fn sizes(metadata: &Metadata, topics: &[&MetadataTopic], shown: &Shown) -> HashMap<i32, Sizes> {
    if !shown.connection.is_plain() {
        return HashMap::new();
    }
    let mut sizes = HashMap::new();
    for broker in metadata.brokers() {
        let led = |topic: &&MetadataTopic| -> Vec<i32> {
            topic.partitions().iter().filter(|p| p.leader() == broker.id()).map(|p| p.id()).collect()
        };
        let wanted: Vec<_> =
            topics.iter().map(|topic| (topic.name(), led(topic))).filter(|(_, led)| !led.is_empty()).collect();
        let port = u16::try_from(broker.port()).unwrap_or(0);
        if let Ok(found) = log_dirs::sizes((broker.host(), port), &wanted, shown.connection.timeout) {
            sizes.insert(broker.id(), found);
        }
    }
    sizes
}

fn print_configs(configs: &BTreeMap<String, BTreeMap<String, String>>) -> anyhow::Result<()> {
    let row = |topic: &String, (key, value): (&String, &String)| vec![topic.clone(), key.clone(), value.clone()];
    let rows: Vec<_> = configs.iter().flat_map(|(topic, c)| c.iter().map(move |entry| row(topic, entry))).collect();
    if !rows.is_empty() {
        use std::io::Write;
        writeln!(std::io::stdout())?;
        output::print(Output::Table, &["topic", "config", "value"], rows, &serde_json::Value::Null)?;
    }
    Ok(())
}

/// Settings given for the topic itself, not defaults.
fn configs(names: &[&str], shown: &Shown) -> anyhow::Result<BTreeMap<String, BTreeMap<String, String>>> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (admin, options) = shown.connection.admin()?;
    let specifiers: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let results = block_on(admin.describe_configs(&specifiers, &options))?
        .map_err(|e| shown.connection.words("cannot read the topics' settings", e))?;
    let mut configs = BTreeMap::new();
    for (name, result) in names.iter().zip(results) {
        // A topic deleted meanwhile, or settings one may not see: the partitions are still worth showing.
        let Ok(resource) = result else { continue };
        let own = resource.entries.into_iter().filter(|e| e.source == ConfigSource::DynamicTopic);
        let own: BTreeMap<_, _> = own.map(|e| (e.name, e.value.unwrap_or_default())).collect();
        configs.insert((*name).to_owned(), own);
    }
    Ok(configs)
}
