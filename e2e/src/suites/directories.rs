//! Partition directories move between our broker and Apache Kafka, both ways: of many segments and all codecs, compacted, with transactions. Put in the place of
//! those of a stopped broker (keeping its partition.metadata), they are served, written to, and moved back.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, Offset,
    producer::{FutureProducer, Producer},
};

use super::Room;
use crate::{
    clock,
    peers::Kafka,
    pipeline::{Part, Pipeline},
    ports,
    rows::{self, CODECS, Isolation, Placed, Row},
};

/// Kafka's own tools refuse smaller segments.
const SEGMENT: (&str, &str) = ("segment.bytes", "1048576");
const COMPACTED: [(&str, &str); 4] =
    [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01"), ("delete.retention.ms", "0"), SEGMENT];
const KEYS: usize = 50;

/// A topic's name, where it is filled, and how it is set.
struct Topic {
    name: &'static str,
    on_kafka: bool,
    config: &'static [(&'static str, &'static str)],
}

const TOPICS: [Topic; 5] = [
    Topic { name: "k-plain", on_kafka: true, config: &[SEGMENT] },
    Topic { name: "k-table", on_kafka: true, config: &COMPACTED },
    Topic { name: "k-ledger", on_kafka: true, config: &[SEGMENT] },
    Topic { name: "o-plain", on_kafka: false, config: &[SEGMENT] },
    Topic { name: "o-table", on_kafka: false, config: &COMPACTED },
];

/// What a topic had when its broker was stopped.
struct Known {
    topic: &'static Topic,
    committed: Vec<Placed>,
    all: Vec<Placed>,
    /// A time in the middle, and the offset that the broker had for it.
    moment: Option<(i64, Offset)>,
}

pub(super) async fn run(room: &Room) -> Result<String> {
    let turns = if room.is_long() { 10 } else { 1 };
    let port = ports::free()?;
    let (kafka_dir, kafka_brokers) = (room.dir.join("kafka"), format!("127.0.0.1:{port}"));
    let start_kafka = || {
        // The session: else a busy machine has the only broker fenced.
        let settings =
            ["log.cleaner.backoff.ms=200", "log.initial.task.delay.ms=100", "broker.session.timeout.ms=120000"];
        Kafka::start_nodes(&kafka_dir, port, 1, &settings)
    };
    let mut pipeline = Pipeline::new(&room.dir)?;
    let yaml = std::fs::read_to_string(pipeline.yaml(Part::Broker))? + "compaction: { interval: 200ms }\n";
    std::fs::write(pipeline.yaml(Part::Broker), yaml)?;
    let (data, kafka_data) = (room.dir.join("broker"), kafka_dir.join("n1/data"));

    let mut kafka = start_kafka()?;
    pipeline.start(Part::Broker).await?;
    let ours = pipeline.brokers.clone();
    let home = |topic: &Topic| if topic.on_kafka { &kafka_brokers } else { &ours };
    let abroad = |topic: &Topic| if topic.on_kafka { &ours } else { &kafka_brokers };
    for topic in &TOPICS {
        for brokers in [&ours, &kafka_brokers] {
            rows::create_topic(brokers, topic.name, 1, topic.config).await?;
            // Our broker makes the directory when it is first asked for.
            ensure!(rows::read(brokers, topic.name, Isolation::Committed)?.is_empty(), "a new topic has records");
        }
        fill(home(topic), topic).await.with_context(|| format!("filling {}", topic.name))?;
    }
    compacted(&kafka_data, "k-table").await?;
    compacted(&data, "o-table").await?;
    let mut known = Vec::new();
    for topic in &TOPICS {
        known.push(look(home(topic), topic)?);
    }
    let aborted = |all: &[Known]| all.iter().map(|one| one.all.len() - one.committed.len()).sum::<usize>();
    ensure!(aborted(&known) > 0, "no transaction was aborted");
    for turn in 0..turns {
        // Another move takes both brokers another restart.
        let moves: &[bool] = if room.is_long() { &[false, true] } else { &[false] };
        for &to_home in moves {
            drop(kafka);
            pipeline.stop(Part::Broker).await?;
            for topic in &TOPICS {
                exchange(&data, &kafka_data, topic.name)?;
            }
            kafka = start_kafka()?;
            pipeline.start(Part::Broker).await?;
            for one in &mut known {
                let brokers = if to_home { home(one.topic) } else { abroad(one.topic) };
                let context =
                    || format!("{} in turn {turn}, {}", one.topic.name, if to_home { "back" } else { "moved" });
                same(brokers, one).with_context(context)?;
                more(brokers, one).await.with_context(context)?;
            }
            // What was moved in outlives a crash like everything else.
            pipeline.kill(Part::Broker)?;
            pipeline.start(Part::Broker).await?;
            for one in known.iter().filter(|one| one.topic.on_kafka != to_home) {
                same(&ours, one).with_context(|| format!("{} after kill -9", one.topic.name))?;
            }
        }
    }
    let moved = if room.is_long() { 2 * turns } else { turns };
    let records: usize = known.iter().map(|one| one.all.len()).sum();
    let aborted = aborted(&known);
    drop(kafka);
    pipeline.stop(Part::Broker).await?;
    Ok(format!(
        "{} partitions, {records} records, {aborted} of aborted transactions, moved {moved} times",
        TOPICS.len()
    ))
}

fn row(key: String, value: String) -> Row {
    let headers = vec![("kind".to_owned(), b"moved".to_vec())];
    Row { key: Some(key.into()), value: Some(value.into()), headers }
}

/// Text that hardly compresses.
fn noise(bytes: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(bytes).collect()
}

async fn fill(brokers: &str, topic: &Topic) -> Result<()> {
    if topic.name.ends_with("ledger") {
        return transactions(brokers, topic.name).await;
    }
    let compacted = topic.name.ends_with("table");
    let codecs = if compacted { &CODECS[3..4] } else { &CODECS[..] };
    for codec in codecs {
        let one = |n: usize| {
            let key = if compacted { n % KEYS } else { n };
            row(format!("k{key}"), format!("{codec} {n} {}", noise(1000)))
        };
        let some: Vec<Row> = (0..4500 / codecs.len()).map(one).collect();
        rows::write(brokers, topic.name, codec, &some).await?;
    }
    Ok(())
}

/// Every third one is aborted.
async fn transactions(brokers: &str, topic: &str) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("transactional.id", "directories")
        .set("compression.type", "lz4")
        .create()?;
    let patience = Duration::from_secs(30);
    producer.init_transactions(patience)?;
    for n in 0..12 {
        producer.begin_transaction()?;
        let some: Vec<Row> = (0..80).map(|m| row(format!("t{n}"), format!("{m} {}", noise(2000)))).collect();
        rows::send(&producer, topic, &some).await?;
        if n % 3 == 1 {
            producer.abort_transaction(patience)?;
        } else {
            producer.commit_transaction(patience)?;
        }
    }
    Ok(())
}

/// Both brokers say by the same file how far they have compacted.
async fn compacted(data: &Path, topic: &str) -> Result<()> {
    let path = data.join("cleaner-offset-checkpoint");
    clock::until("compaction", Duration::from_secs(40), Duration::from_millis(100), || async {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{topic} 0 ")));
        Ok(line.and_then(|offset| offset.parse::<i64>().ok()).filter(|offset| *offset > 0).map(|_| ()))
    })
    .await
}

fn look(brokers: &str, topic: &'static Topic) -> Result<Known> {
    let committed = rows::read(brokers, topic.name, Isolation::Committed)?;
    let all = rows::read(brokers, topic.name, Isolation::Uncommitted)?;
    let moment = match all.get(all.len() / 2).map(|one| one.timestamp) {
        Some(time) => Some((time, rows::offset_for_time(brokers, topic.name, time)?)),
        None => None,
    };
    Ok(Known { topic, committed, all, moment })
}

/// The broker has what is known, by offset and by time.
fn same(brokers: &str, known: &Known) -> Result<()> {
    let found = look(brokers, known.topic)?;
    if known.topic.name.ends_with("table") {
        // Compaction goes on: the newest of each key stays.
        return ensure_same(&newest(&found.all), &newest(&known.all));
    }
    ensure_same(&found.committed, &known.committed).context("committed records")?;
    ensure_same(&found.all, &known.all).context("all records")?;
    let Some((time, expected)) = known.moment else { return Ok(()) };
    let offset = rows::offset_for_time(brokers, known.topic.name, time)?;
    ensure!(offset == expected, "by time: {offset:?} instead of {expected:?}");
    Ok(())
}

fn ensure_same(found: &[Placed], known: &[Placed]) -> Result<()> {
    ensure!(found.len() == known.len(), "{} records of {}", found.len(), known.len());
    for (found, known) in found.iter().zip(known) {
        ensure!(found == known, "{found:?} instead of {known:?}");
    }
    Ok(())
}

/// The last record of each key, by offset.
fn newest(all: &[Placed]) -> Vec<Placed> {
    let mut last = std::collections::BTreeMap::new();
    for one in all {
        last.insert(one.row.key.clone(), one.clone());
    }
    let mut last: Vec<Placed> = last.into_values().collect();
    last.sort_by_key(|one| one.offset);
    last
}

/// Appends and remembers.
async fn more(brokers: &str, known: &mut Known) -> Result<()> {
    let end = known.all.last().map_or(0, |one| one.offset);
    let some: Vec<Row> = (0..100).map(|n| row(format!("k{}", n % KEYS), format!("more {n} {}", noise(500)))).collect();
    rows::write(brokers, known.topic.name, "zstd", &some).await?;
    let found = look(brokers, known.topic)?;
    let new: Vec<&Row> = found.all.iter().filter(|one| one.offset > end).map(|one| &one.row).collect();
    ensure!(new.len() == some.len() && new.iter().zip(&some).all(|(a, b)| *a == b), "{} new records", new.len());
    *known = found;
    Ok(())
}

/// Swaps a partition's directories; each broker keeps the file that says which topic it is.
fn exchange(a: &Path, b: &Path, topic: &str) -> Result<()> {
    let name = format!("{topic}-0");
    let (a, b, aside) = (a.join(&name), b.join(&name), b.join(format!("{name}-aside")));
    let swap = |a: &PathBuf, b: &PathBuf| -> Result<()> {
        std::fs::rename(a, &aside)?;
        std::fs::rename(b, a)?;
        Ok(std::fs::rename(&aside, b)?)
    };
    swap(&a, &b)?;
    swap(&a.join("partition.metadata"), &b.join("partition.metadata"))
}
