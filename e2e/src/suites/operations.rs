//! What Elasticsearch can be told to do: documents replaced, merged and deleted by their own ids with the offset as version,
//! compressed requests, a data stream with its template and lifecycle; on the embedded index, OpenSearch and Elasticsearch,
//! through a kill -9.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};

use super::Room;
use crate::{
    clock, http,
    peers::Search,
    pipeline::{Part, Pipeline},
    ports, readback,
};

const USERS: u64 = 100;
const CHANGES: u64 = 5;
const LINES: u64 = 500;

pub(super) async fn run(room: &Room) -> Result<String> {
    let embedded = on(room, "embedded", None).await.context("embedded index")?;
    let mut told = vec![embedded];
    for kind in ["opensearch", "elasticsearch"] {
        let search = Search::start(kind, &room.dir.join(kind), ports::free()?)?;
        told.push(on(room, kind, Some(&search.url)).await.with_context(|| kind.to_owned())?);
    }
    Ok(told.join("; "))
}

async fn on(room: &Room, kind: &str, node: Option<&str>) -> Result<String> {
    let dir = room.dir.join(format!("on-{kind}"));
    std::fs::create_dir_all(&dir)?;
    let mut pipeline = match node {
        None => Pipeline::new(&dir)?,
        Some(url) => Pipeline::with_peers(&dir, &format!("127.0.0.1:{}", ports::free()?), url)?,
    };
    let streams = node.is_some();
    std::fs::write(pipeline.yaml(Part::Sinks), configuration(&pipeline, streams))?;
    pipeline.start(Part::Broker).await?;
    if node.is_none() {
        pipeline.start(Part::Index).await?;
    }
    pipeline.start(Part::Sinks).await?;
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &pipeline.brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "2")
        .create()?;
    for change in 0..CHANGES {
        try_join_all((0..USERS).map(|user| {
            let value = json!({"user": format!("u{user}"), "change": change, format!("of{change}"): true});
            send(&producer, "users", format!("u{user}"), Some(value))
        }))
        .await?;
        if change == CHANGES / 2 {
            pipeline.kill(Part::Sinks)?;
            pipeline.start(Part::Sinks).await?;
        }
    }
    try_join_all((0..USERS).step_by(10).map(|user| send(&producer, "users", format!("u{user}"), None))).await?;
    try_join_all((0..LINES).map(|line| {
        let value = json!({"@timestamp": "2026-11-21T12:00:00Z", "message": "m", "n": line, "service": {"name": "s"}});
        send(&producer, "lines", line.to_string(), Some(value))
    }))
    .await?;
    let url = pipeline.index_url.clone();
    let left = USERS - USERS / 10;
    clock::until("the documents", Duration::from_secs(60), Duration::from_millis(200), || async {
        for (index, expected) in [("users", left), ("profiles", USERS), ("logs-e2e-lines", LINES)] {
            let count = readback::index_count(&url, index).await?;
            ensure!(count == expected, "{index}: {count} of {expected}");
        }
        // Every change was the last one of its user.
        let last = json!({"query": {"term": {"change": CHANGES - 1}}});
        for (index, expected) in [("users", left), ("profiles", USERS)] {
            let found = http::json("POST", &format!("{url}/{index}/_count"), Some(&last)).await?;
            ensure!(found["count"] == expected, "{index}: {} of {expected} are the last change", found["count"]);
        }
        Ok(Some(()))
    })
    .await?;
    let replaced = http::json("GET", &format!("{url}/users/_doc/u1"), None).await?;
    ensure!(replaced["_source"].get("of0").is_none(), "{replaced}");
    let merged = http::json("GET", &format!("{url}/profiles/_doc/u1"), None).await?;
    for change in 0..CHANGES {
        ensure!(merged["_source"][format!("of{change}")] == true, "{merged}");
    }
    if streams {
        data_stream(&url).await?;
    }
    if kind == "elasticsearch" {
        lifecycle(&url).await?;
    }
    // This node comes without policies: documents are delivered all the same, and it is said.
    if kind == "opensearch" {
        let log = std::fs::read_to_string(&pipeline.process(Part::Sinks)?.log)?;
        ensure!(log.contains("template.retention deletes nothing"), "nothing is said of the retention");
    }
    pipeline.ledger_of_sinks().await?;
    pipeline.stop_all().await?;
    Ok(format!("{kind}: {left} replaced, {USERS} merged, {} deleted, {LINES} lines", USERS / 10))
}

fn configuration(pipeline: &Pipeline, streams: bool) -> String {
    let (brokers, url, port) = (&pipeline.brokers, &pipeline.index_url, pipeline.port(Part::Sinks));
    let lines = if streams { "data_stream: logs-e2e-lines" } else { "index: logs-e2e-lines" };
    let sink = |name: &str, topic: &str, more: &str| {
        format!(
            "  - {{ name: {name}, topics: [{topic}], elasticsearch: {{ hosts: [\"{url}\"], compression: gzip, {more} }} }}\n"
        )
    };
    let users = sink("users", "users", "index: users, id: key");
    let profiles = sink("profiles", "users", "index: profiles, id: 'field:user', op: update, tombstones: skip");
    let lines = sink("lines", "lines", &format!("{lines}, template: {{ retention: 30d }}"));
    format!("kafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{port}\"\nsinks:\n{users}{profiles}{lines}")
}

async fn send(producer: &FutureProducer, topic: &str, key: String, value: Option<Value>) -> Result<()> {
    let value = value.map(|value| value.to_string());
    let mut record = FutureRecord::to(topic).key(&key);
    if let Some(value) = &value {
        record = record.payload(value);
    }
    producer.send(record, Duration::from_secs(10)).await.map_err(|(e, _)| e)?;
    Ok(())
}

/// The sink's template made it a data stream with the types of the template.
async fn data_stream(url: &str) -> Result<()> {
    // Not every one of these nodes has an API for it.
    let state = http::json("GET", &format!("{url}/_cluster/state/metadata"), None).await?;
    let stream = &state["metadata"]["data_stream"]["data_stream"]["logs-e2e-lines"];
    ensure!(stream["timestamp_field"]["name"] == "@timestamp", "no data stream: {stream}");
    let mapping = http::json("GET", &format!("{url}/logs-e2e-lines/_mapping"), None).await?;
    let kinds: Vec<_> = mapping.as_object().context("no mapping")?.values().collect();
    let kind = kinds.first().and_then(|index| index.pointer("/mappings/properties/service/properties/name/type"));
    ensure!(kind == Some(&json!("keyword")), "{mapping}");
    Ok(())
}

/// The node deletes what is older than the sink's `template.retention`.
async fn lifecycle(url: &str) -> Result<()> {
    let state = http::json("GET", &format!("{url}/_cluster/state/metadata"), None).await?;
    let lifecycle = &state["metadata"]["data_stream"]["data_stream"]["logs-e2e-lines"]["lifecycle"];
    ensure!(lifecycle == &json!({"enabled": true, "data_retention": "2592000s"}), "{lifecycle}");
    Ok(())
}
