//! The client program, the same for every broker: librdkafka producing, consuming, and timing single records.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use logmill_e2e::{
    clock::{self, Instant},
    peers::kafka_tool,
};
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseRecord, DeliveryFuture, FutureProducer, FutureRecord, Producer, ProducerContext, ThreadedProducer},
};

const PATIENCE: Duration = Duration::from_secs(120);

/// What is produced.
#[derive(Clone, Copy)]
pub struct Load {
    pub record_bytes: usize,
    pub batch_bytes: usize,
    pub codec: &'static str,
    pub partitions: i32,
    pub megabytes: usize,
}

impl Load {
    pub fn records(self) -> usize {
        self.megabytes * 1_000_000 / self.record_bytes
    }
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("log_level", "0").set("socket.nagle.disable", "true");
    config
}

pub async fn create_topic(brokers: &str, topic: &str, partitions: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = config(brokers).create()?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for result in admin.create_topics([&new], &options).await? {
        result.map_err(|(name, code)| anyhow::anyhow!("creating {name}: {code}"))?;
    }
    Ok(())
}

pub async fn delete_topic(brokers: &str, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = config(brokers).create()?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    for result in admin.delete_topics(&[topic], &options).await? {
        result.map_err(|(name, code)| anyhow::anyhow!("deleting {name}: {code}"))?;
    }
    Ok(())
}

/// Text as log lines are: words and numbers, of which lz4 saves about half.
fn payloads(bytes: usize) -> Vec<Vec<u8>> {
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let words = ["request", "served", "user", "error", "timeout", "connection", "status=200", "path=/api/v1/items"];
    let payload = |_| {
        let mut line = String::new();
        while line.len() < bytes {
            let word = words[usize::try_from(next() % 8).unwrap_or(0)];
            line.push_str(&format!("{word} {:x} ", next() >> 24));
        }
        line.into_bytes()[..bytes].to_vec()
    };
    (0..512).map(payload).collect()
}

/// Counts what was not delivered.
#[derive(Default)]
struct Failed {
    count: AtomicU64,
    first: Mutex<Option<KafkaError>>,
}

#[derive(Clone, Default)]
struct Watching(Arc<Failed>);

impl ClientContext for Watching {}

impl ProducerContext for Watching {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((e, _)) = result {
            self.0.count.fetch_add(1, Ordering::Relaxed);
            self.0.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e.clone());
        }
    }
}

/// Sends it all as fast as it is taken, acks=all; returns how long it took until everything was acknowledged. The flush and the end of the
/// client library would not do for that: they look every 100 ms only.
pub fn produce(brokers: &str, topic: &str, load: Load) -> Result<Duration> {
    let watching = Watching::default();
    let producer: ThreadedProducer<Watching> = config(brokers)
        .set("acks", "all")
        .set("linger.ms", "5")
        .set("batch.size", load.batch_bytes.to_string())
        .set("batch.num.messages", "1000000")
        .set("compression.type", load.codec)
        .set("queue.buffering.max.kbytes", "262144")
        .set("queue.buffering.max.messages", "2000000")
        .set("delivery.report.only.error", "true")
        .create_with_context(watching.clone())?;
    let payloads = payloads(load.record_bytes);
    let begin = clock::now();
    for i in 0..load.records() {
        let partition = i32::try_from(i % usize::try_from(load.partitions)?)?;
        let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(&payloads[i % payloads.len()]);
        while let Err((e, back)) = producer.send(record) {
            if e.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(e.into());
            }
            clock::pause(Duration::from_millis(1));
            record = back;
        }
    }
    let sent = clock::now();
    while producer.in_flight_count() > 0 {
        ensure!(sent.elapsed() < PATIENCE, "{} records are not acknowledged", producer.in_flight_count());
        clock::pause(Duration::from_millis(1));
    }
    let took = begin.elapsed();
    let failed = watching.0.count.load(Ordering::Relaxed);
    let first = watching.0.first.lock().unwrap_or_else(PoisonError::into_inner).take();
    ensure!(failed == 0, "{failed} records were not delivered, the first: {first:?}");
    Ok(took)
}

/// The same from Kafka's own performance tool: records a second as it tells them.
pub async fn produce_from_java(brokers: &str, topic: &str, load: Load) -> Result<f64> {
    let (records, bytes) = (load.records().to_string(), load.record_bytes.to_string());
    let (servers, batch) = (format!("bootstrap.servers={brokers}"), format!("batch.size={}", load.batch_bytes));
    let args =
        ["producer-perf", "--topic", topic, "--num-records", &records, "--record-size", &bytes, "--throughput", "-1"];
    let props = ["--producer-props", &servers, &batch, "acks=all", "linger.ms=5", "buffer.memory=268435456"];
    let (code, out, err) = kafka_tool(&[&args[..], &props].concat(), "").await?;
    ensure!(code == 0, "the performance tool ended with {code}: {out}{err}");
    // "300000 records sent, 137123.4 records/sec (130.77 MB/sec), …": the last line is of all.
    let last = out.lines().rfind(|line| line.contains("records/sec")).context("no rate in what the tool told")?;
    let rate = last.split_once(" records sent, ").and_then(|(_, rest)| rest.split(' ').next());
    rate.context("no rate")?.parse().with_context(|| format!("no rate in {last}"))
}

/// A consumer that commits nothing: the event of a commit would end a poll without a record.
pub fn assigned(brokers: &str, topic: &str, partitions: i32, from: Offset) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = config(brokers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("fetch.wait.max.ms", "500")
        // Otherwise it is its own pauses that are measured: with 100 000 records ahead it stops asking for a second.
        .set("queued.max.messages.kbytes", "262144")
        .set("queued.min.messages", "10000000")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

/// Reads everything that `load` produced; returns how long it took to the last record.
pub fn consume(brokers: &str, topic: &str, load: Load) -> Result<Duration> {
    let begin = clock::now();
    let consumer = assigned(brokers, topic, load.partitions, Offset::Beginning)?;
    let mut left = load.records();
    while left > 0 {
        let message = consumer.poll(PATIENCE).context("nothing more to consume")??;
        ensure!(message.payload_len() == load.record_bytes, "a record of {} bytes", message.payload_len());
        left -= 1;
    }
    Ok(begin.elapsed())
}

/// Microseconds from send to ack at a steady rate of records of 1 KB.
pub async fn ack_latency(brokers: &str, topic: &str, per_second: usize, seconds: usize) -> Result<Histogram<u64>> {
    let producer: FutureProducer = config(brokers).set("acks", "all").set("linger.ms", "1").create()?;
    let payloads = payloads(1000);
    let mut waiting = tokio::task::JoinSet::new();
    let histogram = Arc::new(Mutex::new(Histogram::<u64>::new(3)?));
    let begin = clock::now();
    let skipped = per_second; // The first second warms up.
    for i in 0..per_second * (seconds + 1) {
        let due = Duration::from_secs_f64(i as f64 / per_second as f64);
        if let Some(early) = due.checked_sub(begin.elapsed()).filter(|early| *early > Duration::from_micros(500)) {
            tokio::time::sleep(early).await;
        }
        let record =
            FutureRecord::<(), [u8]>::to(topic).partition(i32::try_from(i % 6)?).payload(&payloads[i % payloads.len()]);
        let sent = clock::now();
        let ack = producer.send_result(record).map_err(|(e, _)| e)?;
        waiting.spawn(acknowledged(ack, sent, (i >= skipped).then(|| histogram.clone())));
        while let Some(done) = waiting.try_join_next() {
            done??;
        }
    }
    while let Some(done) = waiting.join_next().await {
        done??;
    }
    drop(producer);
    Arc::into_inner(histogram).and_then(|h| h.into_inner().ok()).context("the histogram is still in use")
}

async fn acknowledged(ack: DeliveryFuture, sent: Instant, into: Option<Arc<Mutex<Histogram<u64>>>>) -> Result<()> {
    ack.await?.map_err(|(e, _)| e)?;
    if let Some(histogram) = into {
        let micros = u64::try_from(sent.elapsed().as_micros())?;
        histogram.lock().unwrap_or_else(PoisonError::into_inner).record(micros)?;
    }
    Ok(())
}

/// Microseconds from send until a waiting consumer has it, one record of 100 bytes at a time.
pub fn end_to_end(brokers: &str, topic: &str, rounds: usize) -> Result<Histogram<u64>> {
    let watching = Watching::default();
    let producer: ThreadedProducer<Watching> =
        config(brokers).set("acks", "all").set("linger.ms", "0").create_with_context(watching)?;
    let consumer = assigned(brokers, topic, 1, Offset::End)?;
    let payload = &payloads(100)[0];
    let mut histogram = Histogram::<u64>::new(3)?;
    // Until the consumer is at the end, what is sent may pass it by.
    let mut ready = false;
    let begin = clock::now();
    while !ready {
        ensure!(begin.elapsed() < PATIENCE, "the consumer receives nothing");
        send(&producer, topic, payload)?;
        ready = consumer.poll(Duration::from_millis(200)).transpose()?.is_some();
    }
    while consumer.poll(Duration::from_millis(300)).transpose()?.is_some() {}
    for round in 0..rounds + rounds / 10 {
        let sent = clock::now();
        send(&producer, topic, payload)?;
        consumer.poll(PATIENCE).context("a record did not arrive")??;
        if round >= rounds / 10 {
            histogram.record(u64::try_from(sent.elapsed().as_micros())?)?;
        }
    }
    Ok(histogram)
}

fn send(producer: &ThreadedProducer<Watching>, topic: &str, payload: &[u8]) -> Result<()> {
    match producer.send(BaseRecord::<(), [u8]>::to(topic).partition(0).payload(payload)) {
        Ok(()) => Ok(()),
        Err((e, _)) => bail!("sending: {e}"),
    }
}
