//! What operators do with records that are there: look what a configuration would make of them, run them once more into
//! another index, and change one sink while the other goes on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};

use super::Room;
use crate::{
    clock,
    pipeline::{Part, Pipeline},
    process::{self, binary},
    readback,
};

const TOPIC: &str = "events";
const OLD: u64 = 300;
const NEW: u64 = 200;

pub(super) async fn run(room: &Room) -> Result<String> {
    let mut pipeline = Pipeline::new(&room.dir)?;
    let yaml = |index: &str| {
        let (brokers, url, port) = (&pipeline.brokers, &pipeline.index_url, pipeline.port(Part::Sinks));
        let sink = |name: &str, index: &str| {
            format!(
                "  - {{ name: {name}, topics: [{TOPIC}], elasticsearch: {{ hosts: [\"{url}\"], index: \"{index}\" }} }}\n"
            )
        };
        let sinks = sink("one", index) + &sink("two", "two");
        format!("kafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{port}\"\nsinks:\n{sinks}")
    };
    let (now, then) = (yaml("one"), yaml("changed-%Y"));
    let (file, other) = (pipeline.yaml(Part::Sinks), room.dir.join("other.yaml"));
    std::fs::write(&file, &now)?;
    std::fs::write(&other, &then)?;
    for part in [Part::Broker, Part::Index, Part::Sinks] {
        pipeline.start(part).await?;
    }
    let before = clock::epoch_ms();
    produce(&pipeline, 0..OLD).await?;
    let between = clock::next_epoch_ms().await;
    produce(&pipeline, OLD..OLD + NEW).await?;
    counted(&pipeline, &[("one", OLD + NEW), ("two", OLD + NEW)]).await?;

    dry_run(&pipeline, &other).await?;
    let commits = commits(&pipeline).await?;
    let config = file.to_string_lossy();
    let time = |millis: i64| millis.to_string();
    // The first half only, by time; those are 297 documents and 3 that never are.
    let told = reprocess(
        &pipeline,
        &["--config", &config, "--sink", "one", "--from", &time(before), "--to", &time(between), "--into", "again-%Y"],
    )
    .await?;
    ensure!(told == "300 records read = 297 indexed + 3 dead_lettered", "{told}");
    counted(&pipeline, &[("again-*", OLD)]).await?;
    // Again all of it, into the index of before: everything is there.
    let told = reprocess(&pipeline, &["--config", &config, "--sink", "one", "--from", &time(before)]).await?;
    ensure!(told == "500 records read = 495 duplicate + 5 dead_lettered", "{told}");
    let after = self::commits(&pipeline).await?;
    ensure!(commits == after, "the live commits moved: {commits} {after}");
    let unknown = reprocess(&pipeline, &["--config", &config, "--sink", "three", "--from", "0"]).await;
    ensure!(unknown.is_err_and(|e| e.to_string().contains("one, two")), "an unknown sink is no mistake");

    reload(&mut pipeline, &then).await?;
    pipeline.stop_all().await?;
    Ok("dry run, diff, 300 of 500 records into another index, 500 once more; one sink reloaded beside the other".into())
}

async fn produce(pipeline: &Pipeline, numbers: std::ops::Range<u64>) -> Result<()> {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &pipeline.brokers).set("enable.idempotence", "true").create()?;
    for n in numbers {
        let value = if n % 100 == 50 { "no document".to_owned() } else { json!({"n": n}).to_string() };
        let key = n.to_string();
        let record = FutureRecord::to(TOPIC).key(&key).payload(&value);
        producer.send(record, Duration::from_secs(10)).await.map_err(|(e, _)| e)?;
    }
    Ok(())
}

/// Waits until indices hold the documents of so many records.
async fn counted(pipeline: &Pipeline, indices: &[(&str, u64)]) -> Result<()> {
    clock::until("the documents", Duration::from_secs(60), Duration::from_millis(100), || async {
        for (index, records) in indices {
            let (count, expected) = (readback::index_count(&pipeline.index_url, index).await?, records - records / 100);
            ensure!(count == expected, "{index}: {count} of {expected}");
        }
        Ok(Some(()))
    })
    .await
}

async fn dry_run(pipeline: &Pipeline, other: &std::path::Path) -> Result<()> {
    let file = pipeline.yaml(Part::Sinks);
    let (file, other) = (file.to_string_lossy(), other.to_string_lossy());
    let look = |more: &[&str]| {
        let mut arguments = vec!["check", "--dry-run", &file, "--samples", "500", "--sink", "one"];
        arguments.extend(more);
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let dir = pipeline.dir.clone();
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let (code, out, err) = process::run(&binary("logmill")?, &arguments, &dir, Duration::from_secs(60)).await?;
            ensure!(code == 0, "exit code {code}: {out}{err}");
            Ok(out)
        }
    };
    let out = look(&[]).await?;
    let last = out.lines().last().unwrap_or_default();
    let (seen, dead) = (out.matches("op=create index=one id=").count(), out.matches("dead letter (decode)").count());
    ensure!(
        last == format!("{} records: {seen} to be delivered, {dead} dead letters, 0 filtered", seen + dead),
        "{last}"
    );
    ensure!(seen >= 100 && dead >= 1, "{last}");
    let out = look(&["--output", "json"]).await?;
    let first: Value = serde_json::from_str(out.lines().next().unwrap_or_default())?;
    ensure!(first["sink"] == "one" && first["topic"] == TOPIC, "{first}");
    let out = look(&["--diff", &other]).await?;
    let (minus, plus) =
        (out.matches("- op=create index=one ").count(), out.matches("+ op=create index=changed-20").count());
    ensure!(minus == seen && plus == seen, "{minus} and {plus} of {seen} differ");
    Ok(())
}

/// What the group has committed.
async fn commits(pipeline: &Pipeline) -> Result<Value> {
    let arguments = ["groups", "describe", "one", "--output", "json", "--brokers", &pipeline.brokers];
    let (code, out, err) =
        process::run(&binary("logmill")?, &arguments, &pipeline.dir, Duration::from_secs(20)).await?;
    ensure!(code == 0, "exit code {code}: {out}{err}");
    let rows: Vec<Value> = serde_json::from_str(&out)?;
    Ok(rows.iter().map(|row| json!([row["topic"], row["partition"], row["current_offset"]])).collect())
}

/// The last line it says.
async fn reprocess(pipeline: &Pipeline, arguments: &[&str]) -> Result<String> {
    let mut all = vec!["reprocess"];
    all.extend(arguments);
    let (code, out, err) =
        process::run(&binary("logmill-sinks")?, &all, &pipeline.dir, Duration::from_secs(60)).await?;
    ensure!(code == 0, "exit code {code}: {out}{err}");
    Ok(out.lines().last().unwrap_or_default().to_owned())
}

/// One sink is changed and told so: it goes on into its new index where it was, the other one is not touched.
async fn reload(pipeline: &mut Pipeline, then: &str) -> Result<()> {
    std::fs::write(pipeline.yaml(Part::Sinks), then)?;
    pipeline.process(Part::Sinks)?.reload()?;
    let log = pipeline.process(Part::Sinks)?.log.clone();
    clock::until("the sink to restart", Duration::from_secs(30), Duration::from_millis(100), || async {
        let text = std::fs::read_to_string(&log)?;
        Ok(text.contains("restarts with its changed configuration").then_some(()))
    })
    .await?;
    produce(pipeline, OLD + NEW..OLD + NEW + 100).await?;
    counted(pipeline, &[("two", OLD + NEW + 100), ("one", OLD + NEW), ("changed-*", 100)]).await?;
    let text = std::fs::read_to_string(&log)?;
    let restarts = text.lines().filter(|line| line.contains("restarts with its changed")).count();
    ensure!(restarts == 1, "{restarts} sinks were restarted");
    // Counts go on where they were.
    for sink in ["one", "two"] {
        let label = format!("sink=\"{sink}\"");
        let total = pipeline.metric(Part::Sinks, "logmill_sinks_records_total", &[&label]).await.context("metrics")?;
        ensure!(total <= (OLD + NEW + 100) as f64, "{sink}: {total} counted");
    }
    pipeline.ledger_of_sinks().await
}
