//! Reads sinks.yaml.

mod condition;
mod elasticsearch;
mod enrich;
mod file;
mod http;
mod webhook;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use super::{DeadLetters, Decode, Output, Retry, Sink, SinksConfig, Start};
use crate::{
    file::ConfigFile,
    kafka, names,
    section::Section,
    transform::{self, OnError},
    value::Value,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

const ON_ERROR: [(&str, OnError); 3] =
    [("dead_letter", OnError::DeadLetter), ("drop", OnError::Drop), ("pass", OnError::Pass)];

impl ConfigFile for SinksConfig {
    const REFERENCE: &'static str = include_str!("../../sinks.yaml");

    fn build(root: &mut Section) -> Self {
        let sinks =
            root.need("sinks", "[{ name: app-logs, topics: [logs.app], elasticsearch: { … } }]", |v| v.list("sinks"));
        let mut taken = Taken::default();
        Self {
            kafka: kafka::read(root, kafka::Role::Consumer),
            sinks: sinks.unwrap_or_default().iter().filter_map(|v| sink(v, &mut taken)).collect(),
            buffer_bytes: root.or("buffer_bytes", 48 * MIB, |v| v.size(4 * MIB, 64 << 30)),
            metrics: root.or("metrics", ([127, 0, 0, 1], 9603).into(), Value::socket),
            shutdown_timeout: root.or("shutdown_timeout", 8 * SECOND, |v| v.duration(SECOND / 10, 600 * SECOND)),
        }
    }
}

/// What one sink has another cannot have.
#[derive(Default)]
struct Taken {
    names: BTreeSet<String>,
    /// With whose it is.
    groups: BTreeMap<String, String>,
    files: BTreeSet<PathBuf>,
}

fn sink(value: &Value, taken: &mut Taken) -> Option<Sink> {
    let mut s = value.section()?;
    let name = s.need("name", "app-logs", |v| names::unique(v, &mut taken.names)).unwrap_or_default();
    let group_value = s.get("group");
    let group = group_value.as_ref().and_then(Value::text).unwrap_or_else(|| name.clone());
    if !name.is_empty() {
        match taken.groups.get(&group) {
            Some(other) => {
                let message = format!(
                    "group \"{group}\" is also that of sink \"{other}\", each would get only a part of the records, expected a group of its own"
                );
                match &group_value {
                    Some(v) => v.fail::<()>(message),
                    None => value.fail(message),
                };
            }
            None => {
                taken.groups.insert(group.clone(), name.clone());
            }
        }
    }
    let topics: Vec<String> = s
        .need("topics", "[logs.app]", |v| Some(v.list("topics")?.iter().filter_map(names::topic_or_regex).collect()))
        .unwrap_or_default();
    let dead = DeadLetters { topic: format!("{name}.dead"), alarm_per_minute: 100 };
    let dead_letters = s.or("dead_letters", dead.clone(), |v| {
        let mut s = v.section()?;
        let topic = s.or("topic", dead.topic.clone(), |v| {
            let topic = names::topic(v)?;
            if topics.contains(&topic) {
                return v
                    .fail(format!("\"{topic}\" is read by this sink, expected another topic for its dead letters"));
            }
            Some(topic)
        });
        let alarm_per_minute = s.or("alarm_per_minute", dead.alarm_per_minute, |v| v.number(0, u64::MAX));
        s.finish();
        Some(DeadLetters { topic, alarm_per_minute })
    });
    let output = output(&mut s, &name, &mut taken.files);
    let start = s.or("start", Start::Earliest, start);
    let decode = s.or("decode", Decode::Json, |v| v.choice(&[("json", Decode::Json), ("raw", Decode::Raw)], &[]));
    let when = s.get("when").and_then(|v| condition::read(&v));
    let transform = s.get("transform").and_then(|v| transform::read(&v, OnError::DeadLetter, &ON_ERROR));
    let enrich = s.get("enrich").and_then(|v| enrich::read(&v));
    let instance_id = s.get("instance_id").and_then(|v| v.text());
    let retry = s.or("retry", Retry { initial: SECOND / 5, max: 60 * SECOND }, retry);
    s.finish();
    let output = output?;
    Some(Sink { name, topics, group, instance_id, start, decode, when, transform, enrich, output, retry, dead_letters })
}

fn start(value: &Value) -> Option<Start> {
    let word = value.word("earliest", Start::Earliest).or_else(|| value.word("latest", Start::Latest));
    if word.is_some() {
        return word;
    }
    let text = value.text_that_is("time")?;
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(Start::Time(time.as_millisecond())),
        Err(_) => value
            .fail(format!("\"{text}\" is no start, expected earliest, latest or a time such as 2026-01-31T12:00:00Z")),
    }
}

/// The one section that says where to.
fn output(s: &mut Section, sink: &str, files: &mut BTreeSet<PathBuf>) -> Option<Output> {
    let found = [
        s.get("elasticsearch").map(|v| elasticsearch::read(&v, sink).map(Output::Elasticsearch)),
        s.get("webhook").map(|v| webhook::read(&v).map(Output::Webhook)),
        s.get("file").map(|v| file::read(&v, files).map(Output::File)),
    ];
    let mut found = found.into_iter().flatten();
    match (found.next(), found.next()) {
        (Some(output), None) => output,
        (None, _) => {
            s.fail_here(
                "says nowhere to deliver to, expected elasticsearch: { hosts: [\"http://localhost:9200\"], index: \"app-logs-%Y.%m.%d\" } or webhook: { url: … } or file: { path: … }",
            );
            None
        }
        (Some(_), Some(_)) => {
            s.fail_here(
                "delivers to two places, expected one of elasticsearch, webhook and file: a sink of its own for each",
            );
            None
        }
    }
}

fn retry(value: &Value) -> Option<Retry> {
    let mut s = value.section()?;
    let initial = s.or("initial", SECOND / 5, |v| v.duration(Duration::from_millis(1), 3600 * SECOND));
    let max = s.or("max", (60 * SECOND).max(initial), |v| {
        let max = v.duration(Duration::from_millis(1), 86_400 * SECOND)?;
        if max < initial { v.fail("is less than retry.initial, expected at least that") } else { Some(max) }
    });
    s.finish();
    Some(Retry { initial, max })
}
