//! Whole records by librdkafka: written to and read from one partition, with everything a broker has to keep.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer},
};

pub const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

const DEADLINE: Duration = Duration::from_secs(30);

/// A record as clients see it; a missing key or value is not an empty one.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Row {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Where and when the broker has it.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Placed {
    pub offset: i64,
    /// Milliseconds.
    pub timestamp: i64,
    pub row: Row,
}

/// Which records of transactions a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    Committed,
    Uncommitted,
}

pub async fn create_topic(brokers: &str, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in config {
        topic = topic.set(key, value);
    }
    for created in admin.create_topics(&[topic], &AdminOptions::new()).await? {
        created.map_err(|(name, code)| anyhow!("creating {name}: {code}"))?;
    }
    Ok(())
}

/// To partition 0 by an idempotent producer, acknowledged by all.
pub async fn write(brokers: &str, topic: &str, codec: &str, rows: impl IntoIterator<Item = &Row>) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("compression.type", codec)
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("batch.size", "20000")
        .create()?;
    send(&producer, topic, rows).await
}

/// The same by a producer of any kind, within its transaction if it has begun one.
pub async fn send(producer: &FutureProducer, topic: &str, rows: impl IntoIterator<Item = &Row>) -> Result<()> {
    let mut sent = Vec::new();
    for row in rows {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &row.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut record = FutureRecord::<[u8], [u8]>::to(topic).partition(0).headers(headers);
        record.key = row.key.as_deref();
        record.payload = row.value.as_deref();
        sent.push(producer.send_result(record).map_err(|(e, _)| e)?);
    }
    producer.flush(DEADLINE)?;
    for one in sent {
        one.await?.map_err(|(e, _)| e)?;
    }
    Ok(())
}

/// Everything in partition 0.
pub fn read(brokers: &str, topic: &str, isolation: Isolation) -> Result<Vec<Placed>> {
    let level = match isolation {
        Isolation::Committed => "read_committed",
        Isolation::Uncommitted => "read_uncommitted",
    };
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "rows")
        .set("isolation.level", level)
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .create()?;
    let mut partition = TopicPartitionList::new();
    partition.add_partition_offset(topic, 0, Offset::Beginning)?;
    reader.assign(&partition)?;
    let mut rows = Vec::new();
    loop {
        let message = match reader.poll(DEADLINE).with_context(|| format!("no more of {topic} came"))? {
            Ok(message) => message,
            Err(KafkaError::PartitionEOF(_)) => return Ok(rows),
            Err(e) => return Err(e).with_context(|| format!("reading {topic}")),
        };
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let row = Row {
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.map(|one| (one.key.to_owned(), one.value.unwrap_or(b"none").to_vec())).collect(),
        };
        let timestamp = message.timestamp().to_millis().unwrap_or(-1);
        rows.push(Placed { offset: message.offset(), timestamp, row });
    }
}

/// The offset that partition 0 has for a time.
pub fn offset_for_time(brokers: &str, topic: &str, timestamp: i64) -> Result<Offset> {
    let reader: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "rows").create()?;
    let mut asked = TopicPartitionList::new();
    asked.add_partition_offset(topic, 0, Offset::Offset(timestamp))?;
    let found = reader.offsets_for_times(asked, DEADLINE)?;
    Ok(found.find_partition(topic, 0).context("no answer for the partition")?.offset())
}
