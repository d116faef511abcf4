//! What sinks read, and from where, on our broker and on Apache Kafka: topics by pattern, also ones made later; from a moment
//! on; static members that are away for a while and give up nothing; records that retention took first, counted.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::json;

use super::Room;
use crate::{
    clock, http,
    peers::Kafka,
    pipeline::{Part, Pipeline},
    ports,
    rows::create_topic,
};

const TOPIC: &str = "app.one";
const PARTITIONS: i32 = 4;
/// What retention leaves of each partition.
const LEFT: i64 = 5;

pub(super) async fn run(room: &Room) -> Result<String> {
    let ours = on(room, "logmill", None).await.context("our broker")?;
    let port = ports::free()?;
    let kafka = Kafka::start(&room.dir.join("kafka"), port)?;
    let theirs = on(room, "kafka", Some(&format!("127.0.0.1:{port}"))).await.context("Apache Kafka")?;
    drop(kafka);
    Ok(format!("{ours}; {theirs}"))
}

async fn on(room: &Room, name: &str, brokers: Option<&str>) -> Result<String> {
    let dirs = [0, 1].map(|at| room.dir.join(format!("{name}-{at}")));
    for dir in &dirs {
        std::fs::create_dir_all(dir)?;
    }
    let address =
        brokers.map_or_else(|| Ok(format!("127.0.0.1:{}", ports::free()?)), |given| anyhow::Ok(given.to_owned()))?;
    let [first, second] = &dirs;
    let mut one = Pipeline::with_peers(first, &address, "http://127.0.0.1:1")?;
    let mut two = Pipeline::with_peers(second, &address, "http://127.0.0.1:1")?;
    if brokers.is_none() {
        one.start(Part::Broker).await?;
    }
    create_topic(&address, TOPIC, PARTITIONS, &[]).await?;
    produce(&address, TOPIC, 0..200).await?;
    let moment = clock::next_epoch_ms().await;
    produce(&address, TOPIC, 200..300).await?;
    let moment = jiff::Timestamp::from_millisecond(moment)?;
    let pattern = sink(first, "pattern", "topics: [\"^app\\\\..*\"]");
    let late = sink(first, "late", &format!("topics: [{TOPIC}], start: \"{moment}\""));
    let shared = |dir: &Path, member: &str| sink(dir, "shared", &format!("topics: [{TOPIC}], instance_id: {member}"));
    configure(&one, &format!("{pattern}{late}{}", shared(first, "a")))?;
    configure(&two, &shared(second, "b"))?;
    one.start(Part::Sinks).await?;
    two.start(Part::Sinks).await?;
    finished(&[&one], "pattern", "indexed", 300).await?;
    finished(&[&one], "late", "indexed", 100).await?;
    finished(&[&one, &two], "shared", "indexed", 300).await?;

    create_topic(&address, "app.two", 2, &[]).await?;
    create_topic(&address, "other", 1, &[]).await?;
    produce(&address, "other", 0..10).await?;
    produce(&address, "app.two", 0..50).await?;
    finished(&[&one], "pattern", "indexed", 350).await?;

    static_member(&mut one, &two).await?;

    one.stop(Part::Sinks).await?;
    two.stop(Part::Sinks).await?;
    produce(&address, TOPIC, 400..500).await?;
    let gone = delete_records(&address).await?;
    one.start(Part::Sinks).await?;
    finished(&[&one], "pattern", "expired", gone).await?;
    finished(&[&one], "pattern", "indexed", 550 - gone).await?;
    let log = std::fs::read_to_string(&one.process(Part::Sinks)?.log)?;
    ensure!(log.contains("were deleted by retention before they were read"), "nothing is said of what is gone");
    one.ledger_of_sinks().await?;
    for name in ["pattern", "late", "shared"] {
        for line in files(&[first, second], name)? {
            ensure!(line.ends_with('}'), "{name}: a line is cut: {line}");
        }
    }
    ensure!(files(&[first], "pattern")?.len() as u64 == 550 - gone, "other lines than the ledger says");
    one.stop_all().await?;
    Ok(format!("{name}: by pattern, by time, two static members, {gone} expired"))
}

/// One member is away, and the other gives up and gets nothing.
async fn static_member(one: &mut Pipeline, two: &Pipeline) -> Result<()> {
    let moves = |pipeline: &Pipeline| -> Result<usize> {
        let log = std::fs::read_to_string(pipeline.dir.join("sinks.out"))?;
        Ok(log.matches("partitions assigned").count() + log.matches("partitions given up").count())
    };
    let before = moves(two)?;
    one.stop(Part::Sinks).await?;
    one.start(Part::Sinks).await?;
    let address = one.brokers.clone();
    produce(&address, TOPIC, 300..400).await?;
    // Of a start, those counts are of the partitions that are owned.
    finished(&[one, two], "shared", "indexed", 400).await?;
    finished(&[one], "pattern", "indexed", 450).await?;
    let after = moves(two)?;
    ensure!(before == after, "the other member's partitions moved {} times", after - before);
    Ok(())
}

fn sink(dir: &Path, name: &str, what: &str) -> String {
    format!("  - {{ name: {name}, {what}, file: {{ path: \"{}/{name}.ndjson\", linger: 20ms }} }}\n", dir.display())
}

fn configure(pipeline: &Pipeline, sinks: &str) -> Result<()> {
    let (brokers, port) = (&pipeline.brokers, pipeline.port(Part::Sinks));
    let text = format!("kafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{port}\"\nsinks:\n{sinks}");
    Ok(std::fs::write(pipeline.yaml(Part::Sinks), text)?)
}

/// Everybody's share is the same.
async fn produce(brokers: &str, topic: &str, numbers: std::ops::Range<u64>) -> Result<()> {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("enable.idempotence", "true").create()?;
    let partitions = if topic == TOPIC { PARTITIONS } else { 1 };
    try_join_all(numbers.map(|n| {
        let producer = &producer;
        async move {
            let (key, value) = (n.to_string(), json!({"n": n}).to_string());
            let partition = (n % partitions as u64) as i32;
            let record = FutureRecord::to(topic).key(&key).payload(&value).partition(partition);
            producer.send(record, Duration::from_secs(20)).await
        }
    }))
    .await
    .map_err(|(e, _)| e)?;
    Ok(())
}

/// Waits until a sink's ledger has so many records with this end, over the processes it runs in.
async fn finished(pipelines: &[&Pipeline], sink: &str, outcome: &str, expected: u64) -> Result<()> {
    let what = format!("{expected} {outcome} of {sink}");
    clock::until(&what, Duration::from_secs(60), Duration::from_millis(100), || async {
        let mut count = 0.0;
        for pipeline in pipelines {
            let text = pipeline.exposition(Part::Sinks).await?;
            let labels = [&*format!("sink=\"{sink}\""), &*format!("outcome=\"{outcome}\"")];
            count += http::metric(&text, "logmill_sinks_ledger_records", &labels).unwrap_or(0.0);
        }
        ensure!(count as u64 == expected, "{count}");
        Ok(Some(()))
    })
    .await
}

/// As if retention were short: leaves few of each partition, says how many were not read yet.
async fn delete_records(brokers: &str) -> Result<u64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "pattern").create()?;
    let (mut before, mut gone) = (TopicPartitionList::new(), 0);
    let mut asked = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        asked.add_partition(TOPIC, partition);
    }
    let committed = consumer.committed_offsets(asked, Duration::from_secs(10))?;
    for element in committed.elements() {
        let (_, end) = consumer.fetch_watermarks(TOPIC, element.partition(), Duration::from_secs(10))?;
        before.add_partition_offset(TOPIC, element.partition(), Offset::Offset(end - LEFT))?;
        let Offset::Offset(read) = element.offset() else { anyhow::bail!("nothing is committed: {element:?}") };
        gone += u64::try_from(end - LEFT - read)?;
    }
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    for element in admin.delete_records(&before, &AdminOptions::new()).await?.elements() {
        element.error()?;
    }
    Ok(gone)
}

/// The lines that a sink wrote.
fn files(dirs: &[&PathBuf], name: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for dir in dirs {
        match std::fs::read_to_string(dir.join(format!("{name}.ndjson"))) {
            Ok(text) => lines.extend(text.lines().map(str::to_owned)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(lines)
}
