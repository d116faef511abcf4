//! Every line of rotating files is in the topic once, in order per file, and in the indices once.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Room;
use crate::{
    clock,
    generate::{Dates, Plan, Writer},
    pipeline::{GROUP, INDICES, Part, Pipeline, TOPIC},
    process::{self, binary},
    readback,
};

const FILES: usize = 20;

pub(super) async fn run(room: &Room) -> Result<String> {
    let per_file: u64 = if room.is_long() { 500_000 } else { 50_000 };
    let total = per_file * FILES as u64;
    let mut pipeline = Pipeline::new(&room.dir)?;
    pipeline.start_all().await?;
    let start = clock::now();
    // Half the speed the disk allows would hide nothing: the writer runs free, so that rotation outruns the reader.
    let writer = Writer::start(Plan {
        dir: pipeline.logs.clone(),
        files: FILES,
        lines_per_file: per_file,
        rotate_every: per_file / 5,
        rate: 0,
        dates: Dates::Now,
    });
    let deadline = Duration::from_secs(if room.is_long() { 900 } else { 180 });
    settled(&pipeline, total, deadline).await?;
    let took = start.elapsed();
    ensure!(writer.join()? == total, "the writer did not finish");

    let in_topic = readback::topic(&pipeline.brokers, TOPIC, FILES, per_file)?;
    in_topic.none_missing()?;
    in_topic.none_twice()?;
    in_topic.in_order()?;
    let in_index = readback::index(&pipeline.index_url, INDICES, FILES, per_file).await?;
    in_index.none_missing()?;
    in_index.none_twice()?;
    let ledger = pipeline.ledger().await?;
    ensure!(
        pipeline.metric(Part::Sinks, "logmill_sinks_records_total", &["outcome=\"dead_lettered\""]).await? == 0.0,
        "dead letters: {ledger}"
    );
    let mut memory = String::new();
    for part in [Part::Agent, Part::Broker, Part::Sinks, Part::Index] {
        memory.push_str(&format!(" {part:?} {} MiB", pipeline.process(part)?.status_kib("RssAnon")? / 1024));
    }
    pipeline.stop_all().await?;
    Ok(format!("{total} lines in {:.1} s; RssAnon{memory}", took.as_secs_f64()))
}

/// Waits until the topic holds at least `total` records and the indices exactly that many documents, all committed.
pub(super) async fn settled(pipeline: &Pipeline, total: u64, deadline: Duration) -> Result<()> {
    let every = Duration::from_millis(250);
    clock::until(&format!("{total} documents in the index"), deadline, every, || async {
        let count = readback::index_count(&pipeline.index_url, INDICES).await?;
        ensure!(count <= total, "the index holds {count} documents for {total} lines");
        ensure!(
            count == total,
            "{count} of {total} documents; topic {:?}",
            readback::topic_size(&pipeline.brokers, TOPIC)
        );
        Ok(Some(()))
    })
    .await?;
    clock::until("all acknowledged and committed", Duration::from_secs(30), every, || async {
        let lines = pipeline.in_flight().await?;
        ensure!(lines == 0.0, "{lines} lines in flight");
        let lag = lag(pipeline)?;
        ensure!(lag == 0, "lag of {GROUP} is {lag}");
        Ok(Some(()))
    })
    .await
}

/// Records of the topic that the sink's group has not committed.
pub(super) fn lag(pipeline: &Pipeline) -> Result<i64> {
    use rdkafka::{
        ClientConfig, Offset, TopicPartitionList,
        consumer::{BaseConsumer, Consumer},
    };
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &pipeline.brokers).set("group.id", GROUP).create()?;
    let timeout = Duration::from_secs(10);
    let metadata = consumer.fetch_metadata(Some(TOPIC), timeout)?;
    let mut list = TopicPartitionList::new();
    for p in metadata.topics().iter().flat_map(|t| t.partitions()) {
        list.add_partition(TOPIC, p.id());
    }
    let committed = consumer.committed_offsets(list, timeout)?;
    let mut lag = 0;
    for element in committed.elements() {
        let (low, high) = consumer.fetch_watermarks(TOPIC, element.partition(), timeout)?;
        lag += high - if let Offset::Offset(o) = element.offset() { o } else { low };
    }
    Ok(lag)
}

pub(super) async fn behavior(room: &Room) -> Result<String> {
    let mut pipeline = Pipeline::new(&room.dir)?;
    pipeline.start_all().await?;
    let file = pipeline.logs.join("behavior.log");
    let args = ["sample", "--kind", "behavior", "--count", "20000", &file.to_string_lossy()];
    let (code, _, err) = process::run(&binary("logmill")?, &args, &room.dir, Duration::from_secs(60)).await?;
    ensure!(code == 0, "sample ended with {code}: {err}");
    let lines = std::fs::read_to_string(&file)?.lines().count() as u64;
    ensure!(lines == 20_000, "sample wrote {lines} lines");
    settled(&pipeline, lines, Duration::from_secs(60)).await?;
    let dead = pipeline.metric(Part::Sinks, "logmill_sinks_records_total", &["outcome=\"dead_lettered\""]).await?;
    ensure!(dead == 0.0, "{dead} dead letters");
    // `event` is an object in ECS, so the sample's scalar is found under labels.
    let query = serde_json::json!({"query": {"term": {"labels.event": "click"}}, "track_total_hits": true, "size": 1});
    let answer = crate::http::json("POST", &format!("{}/{INDICES}/_search", pipeline.index_url), Some(&query)).await?;
    let clicks = answer["hits"]["total"]["value"].as_u64().unwrap_or(0);
    ensure!(clicks > 0, "no click events found: {answer}");
    pipeline.ledger().await?;
    pipeline.stop_all().await?;
    Ok(format!("{lines} events, {clicks} clicks"))
}
