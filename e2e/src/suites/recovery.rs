//! Kill -9 of a broker with 1 000 partitions under load: how soon after its start the first write is acknowledged, however much it keeps, and that every
//! acknowledged record is there once and in order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

use super::Room;
use crate::{
    clock,
    pipeline::{Part, Pipeline},
    rows,
};

const TOPIC: &str = "many";
const PARTITIONS: usize = 1000;
const RECORD: usize = 1000;
/// From exec to the first acknowledgement.
const FIRST_ACK: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);

/// Acknowledged records of each partition: an idempotent producer has them acknowledged in order.
struct Acks(Vec<AtomicU64>);

impl Acks {
    fn of(&self, partition: usize) -> u64 {
        self.0.get(partition).map_or(0, |one| one.load(Ordering::Acquire))
    }

    fn all(&self) -> Vec<u64> {
        (0..PARTITIONS).map(|partition| self.of(partition)).collect()
    }

    fn total(&self) -> u64 {
        self.all().iter().sum()
    }
}

struct Counting(Arc<Acks>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Ok(message) = result
            && let Some(one) = usize::try_from(message.partition()).ok().and_then(|at| self.0.0.get(at))
        {
            one.fetch_add(1, Ordering::AcqRel);
        }
    }
}

pub(super) async fn run(room: &Room) -> Result<String> {
    let (records, kills) = if room.is_long() { (10_500_000, 5) } else { (200_000, 2) };
    let mut pipeline = Pipeline::new(&room.dir)?;
    pipeline.start(Part::Broker).await?;
    let partitions = i32::try_from(PARTITIONS)?;
    rows::create_topic(&pipeline.brokers, TOPIC, partitions, &[("segment.bytes", "67108864")]).await?;
    let acks = Arc::new(Acks((0..PARTITIONS).map(|_| AtomicU64::new(0)).collect()));
    let stop = Arc::new(AtomicBool::new(false));
    let load = std::thread::spawn({
        let (brokers, acks, stop) = (pipeline.brokers.clone(), acks.clone(), stop.clone());
        move || write(&brokers, acks, &stop)
    });
    let result = kill(&mut pipeline, &acks, records, kills).await;
    stop.store(true, Ordering::Release);
    let sent = load.join().map_err(|_| anyhow::anyhow!("the producer panicked"))?;
    let times = result?;
    let sent = sent?;
    let read = read_back(&pipeline.brokers, &acks.all(), &sent)?;
    pipeline.stop(Part::Broker).await?;
    Ok(format!("{read} records in {PARTITIONS} partitions; {}", times.join("; ")))
}

/// Kills it several times on the way to so many records.
async fn kill(pipeline: &mut Pipeline, acks: &Acks, records: u64, kills: u64) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for n in 1..=kills {
        let due = records * n / kills;
        clock::until("the load", PATIENCE * 10, Duration::from_millis(20), || async {
            Ok((acks.total() >= due).then_some(()))
        })
        .await?;
        pipeline.kill(Part::Broker)?;
        // What had been acknowledged may still be on its way.
        let last = std::cell::Cell::new(u64::MAX);
        clock::until("the last acknowledgement", PATIENCE, Duration::from_millis(300), || async {
            let total = acks.total();
            Ok((last.replace(total) == total).then_some(()))
        })
        .await?;
        let before = acks.all();
        let start = clock::now();
        let (first, all) = tokio::join!(pipeline.start(Part::Broker), watch(acks, &before, start));
        first?;
        let (first, all) = all?;
        ensure!(first <= FIRST_ACK, "after kill {n} the first acknowledgement took {first:?}");
        told.push(format!("kill {n}: first ack {} ms, every partition's {} ms", first.as_millis(), all.as_millis()));
    }
    Ok(told)
}

/// Times from `start` until any partition, and until every one, has a new acknowledgement.
async fn watch(acks: &Acks, before: &[u64], start: Instant) -> Result<(Duration, Duration)> {
    let tick = Duration::from_millis(2);
    let total: u64 = before.iter().sum();
    clock::until("the first acknowledgement", PATIENCE, tick, || async { Ok((acks.total() > total).then_some(())) })
        .await?;
    let first = start.elapsed();
    clock::until("acknowledgements of every partition", PATIENCE, tick, || async {
        let all = before.iter().enumerate().all(|(partition, before)| acks.of(partition) > *before);
        Ok(all.then_some(()))
    })
    .await?;
    Ok((first, start.elapsed()))
}

/// Round and round until stopped; returns how many records each partition was sent.
fn write(brokers: &str, acks: Arc<Acks>, stop: &AtomicBool) -> Result<Vec<u64>> {
    let producer: BaseProducer<Counting> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "50")
        .set("queue.buffering.max.kbytes", "32768")
        .set("message.timeout.ms", "0")
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "50")
        .set("retry.backoff.ms", "10")
        .set("retry.backoff.max.ms", "50")
        .create_with_context(Counting(acks))?;
    let mut sent = vec![0u64; PARTITIONS];
    let filler = "x".repeat(RECORD);
    'load: for partition in (0..PARTITIONS).cycle() {
        let Some(next) = sent.get_mut(partition) else { break };
        let payload = format!("{next} {filler}");
        let to = i32::try_from(partition)?;
        loop {
            if stop.load(Ordering::Acquire) {
                break 'load;
            }
            match producer.send(BaseRecord::<(), _>::to(TOPIC).partition(to).payload(&payload)) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    producer.poll(Duration::from_millis(5));
                }
                Err((e, _)) => return Err(e.into()),
            }
        }
        *next += 1;
        if partition % 100 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(PATIENCE)?;
    Ok(sent)
}

/// Every partition has its records in order, each once: at least what was acknowledged.
fn read_back(brokers: &str, acked: &[u64], sent: &[u64]) -> Result<u64> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "recovery")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "65536")
        .create()?;
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(TOPIC, i32::try_from(partition)?, Offset::Beginning)?;
    }
    reader.assign(&all)?;
    let (mut next, mut ends) = (vec![0u64; PARTITIONS], 0);
    while ends < PARTITIONS {
        let message = match reader.poll(PATIENCE).context("no more records came")? {
            Ok(message) => message,
            Err(KafkaError::PartitionEOF(_)) => {
                ends += 1;
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        let partition = usize::try_from(message.partition())?;
        let next = next.get_mut(partition).context("a partition that is not there")?;
        let number =
            message.payload().and_then(|p| std::str::from_utf8(p).ok()?.split(' ').next()?.parse::<u64>().ok());
        ensure!(number == Some(*next), "partition {partition} has {number:?} where {next} is due");
        *next += 1;
    }
    for (partition, found) in next.iter().enumerate() {
        let (acked, sent) = (acked.get(partition).copied(), sent.get(partition).copied());
        ensure!(Some(*found) >= acked, "partition {partition}: {found} records, {acked:?} acknowledged");
        ensure!(Some(*found) <= sent, "partition {partition}: {found} records, {sent:?} sent");
    }
    Ok(next.iter().sum())
}
