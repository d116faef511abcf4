//! `logmill dead-letters replay`: originals go back to their topics, marked for the sink that refused them; the other sinks
//! skip them.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    ops::ControlFlow,
};

use anyhow::{Context as _, bail};
use clap::Args;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer},
};
use tokio::runtime::Runtime;

use super::{Letter, Select, purge, read};
use crate::{fault, kafka::Connection};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The dead-letter topic
    topic: String,
    /// Every letter, where nothing else says which
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    select: Select,
    /// Send them; without it the command only says what it would do
    #[arg(long)]
    execute: bool,
    /// Afterwards delete what was sent (with --all)
    #[arg(long, requires_all = ["all", "execute"])]
    purge: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Records sent and not acknowledged.
const IN_FLIGHT: usize = 1000;

#[derive(Default)]
struct Counts {
    letters: u64,
    /// Only a part of their value was kept.
    truncated: u64,
    sinks: BTreeSet<String>,
}

#[allow(clippy::print_stdout)]
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    if options.all != options.select.is_all() {
        return Err(fault::usage(
            "expected either --all, or which letters: --sink, --class, --error, --partition, --from, --to",
        ));
    }
    let connection = &options.connection;
    // What comes while it runs stays: a letter that is refused again is not sent in a circle.
    let bounds = read::bounds(connection, &options.topic)?;
    let mut sender = if options.execute { Some(Sender::new(connection)?) } else { None };
    let mut counts = Counts::default();
    let others = read::letters(connection, &options.topic, &options.select, |letter| {
        if letter.truncated.is_some() {
            counts.truncated += 1;
            return Ok(ControlFlow::Continue(()));
        }
        if let Some(sender) = &mut sender {
            sender.send(&letter)?;
        }
        counts.letters += 1;
        counts.sinks.insert(letter.sink);
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(sender) = &mut sender {
        sender.finish()?;
    }
    let sinks: Vec<_> = counts.sinks.iter().map(String::as_str).collect();
    let letters = counts.letters;
    match (letters, options.execute) {
        (0, _) => println!("no dead letters to replay"),
        (_, true) => println!("replayed {letters} dead letters for {}", sinks.join(", ")),
        (_, false) => println!("would replay {letters} dead letters for {}; --execute does it", sinks.join(", ")),
    }
    if counts.truncated > 0 {
        println!("{} were kept only in part and cannot be replayed", counts.truncated);
    }
    if options.purge {
        if counts.truncated > 0 || others > 0 {
            bail!("not purged: {} records of {} were not replayed", counts.truncated + others, options.topic);
        }
        purge::delete(connection, &options.topic, bounds.iter().map(|(partition, (_, end))| (*partition, *end)))?;
    }
    Ok(())
}

/// Produces originals; an error ends the replay.
struct Sender {
    producer: FutureProducer,
    runtime: Runtime,
    under_way: VecDeque<DeliveryFuture>,
    acknowledged: u64,
    /// Partitions of the topics that originals go to.
    partitions: HashMap<String, Vec<i32>>,
    connection: Connection,
}

impl Sender {
    fn new(connection: &Connection) -> anyhow::Result<Self> {
        let producer = connection
            .config()?
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "5")
            // Whatever a dead-letter topic holds; whether the original's topic takes it, the broker says.
            .set("message.max.bytes", "20000000")
            .set("message.timeout.ms", connection.timeout.as_millis().max(5000).to_string())
            .create()
            .context("cannot set up a Kafka producer")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            producer,
            runtime,
            under_way: VecDeque::new(),
            acknowledged: 0,
            partitions: HashMap::new(),
            connection: connection.clone(),
        })
    }

    fn send(&mut self, letter: &Letter) -> anyhow::Result<()> {
        let from = &letter.from;
        if !self.partitions.contains_key(&from.topic) {
            let consumer = self.connection.consumer(None)?;
            let found = self.connection.partitions(&consumer, &from.topic)?;
            self.partitions.insert(from.topic.clone(), found);
        }
        let mut headers = OwnedHeaders::new();
        for (name, value) in letter.replayed_headers() {
            headers = headers.insert(Header { key: &name, value: value.as_ref() });
        }
        let mut record = FutureRecord::<[u8], [u8]>::to(&from.topic).headers(headers);
        // Where it was, so that it stays with the others of its key, whoever chose the partition.
        if self.partitions.get(&from.topic).is_some_and(|known| known.contains(&from.partition)) {
            record = record.partition(from.partition);
        }
        if from.timestamp >= 0 {
            record = record.timestamp(from.timestamp);
        }
        if let Some(key) = &letter.key {
            record = record.key(key);
        }
        if let Some(value) = &letter.value {
            record = record.payload(value);
        }
        loop {
            match self.producer.send_result(record) {
                Ok(report) => {
                    self.under_way.push_back(report);
                    break;
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if !self.under_way.is_empty() =>
                {
                    record = back;
                    self.settle()?;
                }
                Err((e, _)) => return Err(self.failed(letter_place(letter), e)),
            }
        }
        while self.under_way.len() >= IN_FLIGHT {
            self.settle()?;
        }
        Ok(())
    }

    /// Waits for the oldest.
    fn settle(&mut self) -> anyhow::Result<()> {
        let Some(report) = self.under_way.pop_front() else { return Ok(()) };
        match self.runtime.block_on(report) {
            Ok(Ok(_)) => {
                self.acknowledged += 1;
                Ok(())
            }
            Ok(Err((e, message))) => Err(self.failed(rdkafka::Message::topic(&message).to_owned(), e)),
            Err(_) => bail!("the producer ended before a record was acknowledged"),
        }
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        while !self.under_way.is_empty() {
            self.settle()?;
        }
        self.producer.flush(self.connection.timeout).context("cannot flush")
    }

    fn failed(&self, place: String, e: KafkaError) -> anyhow::Error {
        let words = self.connection.words(&format!("cannot send to {place}"), e);
        words.context(format!("stopped after {} dead letters were replayed and acknowledged", self.acknowledged))
    }
}

fn letter_place(letter: &Letter) -> String {
    letter.from.topic.clone()
}
