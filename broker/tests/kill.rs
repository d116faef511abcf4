//! kill -9 of the broker's process under load, again and again: every record of an idempotent producer is in the log
//! exactly once and in order, every commit that was answered is still there, and the group goes on without its members
//! joining anew.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// Real processes and real clients: waits are bounded by a deadline.
#![allow(clippy::disallowed_methods)]

use std::{
    collections::HashMap,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};

const TOPIC: &str = "killed";
const PARTITIONS: i32 = 4;
const KILLS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The broker as a process on a fixed port.
struct Broker {
    config: String,
    address: String,
    process: Child,
}

impl Broker {
    fn start(dir: &Path) -> Self {
        // The port has to be the same over restarts: one that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = dir.join("broker.yaml");
        let text = format!(
            "data_dir: {}\nlisteners: [ {{ listen: \"{address}\" }} ]\nmetrics: \"127.0.0.1:0\"\nfree_space_reserve: 1MiB\n",
            dir.join("data").display()
        );
        std::fs::write(&config, text).unwrap();
        let config = config.display().to_string();
        let process = Self::spawn(&config);
        let broker = Self { config, address, process };
        broker.wait();
        broker
    }

    fn spawn(config: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logmill-broker"));
        command.args(["--config", config]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn wait(&self) {
        wait_until("the broker listens", || TcpStream::connect(&self.address).is_ok());
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.process = Self::spawn(&self.config);
        self.wait();
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.address)
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            .set("topic.metadata.refresh.interval.ms", "1000");
        config
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Sequence number → where it was acknowledged to be.
#[derive(Default)]
struct Reports {
    acknowledged: Mutex<HashMap<u64, (i32, i64)>>,
    failed: Mutex<Vec<(u64, KafkaError)>>,
    fatal: Mutex<Option<String>>,
}

#[derive(Clone, Default)]
struct Context(Arc<Reports>);

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            *self.0.fatal.lock().unwrap() = Some(format!("{error}: {reason}"));
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, sequence: Box<u64>) {
        match result {
            Ok(message) => {
                let place = (message.partition(), message.offset());
                let twice = self.0.acknowledged.lock().unwrap().insert(*sequence, place);
                assert!(twice.is_none(), "{sequence} reported twice");
            }
            Err((error, _)) => self.0.failed.lock().unwrap().push((*sequence, error.clone())),
        }
    }
}

/// Consumes in a group and commits by hand.
struct GroupReader {
    /// Per partition the largest offset whose commit was answered.
    committed: Arc<Mutex<HashMap<i32, i64>>>,
    assignments: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl GroupReader {
    fn start(broker: &Broker) -> Self {
        let config = reader_config(broker);
        let committed: Arc<Mutex<HashMap<i32, i64>>> = Arc::default();
        let assignments: Arc<AtomicU64> = Arc::default();
        let stop: Arc<AtomicBool> = Arc::default();
        let thread = thread::spawn({
            let (committed, assignments, stop) = (committed.clone(), assignments.clone(), stop.clone());
            move || {
                let consumer: BaseConsumer<Assigned> = config.create_with_context(Assigned(assignments)).unwrap();
                consumer.subscribe(&[TOPIC]).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..500 {
                        let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) else { break };
                        drop(consumer.store_offset_from_message(&message));
                    }
                    let Ok(position) = consumer.position() else { continue };
                    let mut known = TopicPartitionList::new();
                    for p in position.elements() {
                        if let Offset::Offset(offset) = p.offset() {
                            known.add_partition_offset(TOPIC, p.partition(), Offset::Offset(offset)).unwrap();
                        }
                    }
                    if known.count() > 0 && consumer.commit(&known, CommitMode::Sync).is_ok() {
                        let mut committed = committed.lock().unwrap();
                        for p in known.elements() {
                            committed.insert(p.partition(), p.offset().to_raw().unwrap());
                        }
                    }
                }
            }
        });
        Self { committed, assignments, stop, thread }
    }
}

fn reader_config(broker: &Broker) -> ClientConfig {
    let mut config = broker.client();
    config
        .set("group.id", "readers")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "30000")
        .set("heartbeat.interval.ms", "500");
    config
}

/// Counts assignments.
struct Assigned(Arc<AtomicU64>);

impl ClientContext for Assigned {}

impl rdkafka::consumer::ConsumerContext for Assigned {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &rdkafka::consumer::Rebalance<'_>) {
        if matches!(rebalance, rdkafka::consumer::Rebalance::Assign(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Everything in a partition: offset and sequence number.
fn read_partition(broker: &Broker, partition: i32) -> Vec<(i64, u64)> {
    let consumer: BaseConsumer = broker.client().set("group.id", "none").create().unwrap();
    let (_, end) = consumer.fetch_watermarks(TOPIC, partition, PATIENCE).unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut records = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while records.last().map_or(0, |(offset, _)| offset + 1) < end {
        assert!(Instant::now() < deadline, "partition {partition} is not read to its end {end}");
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            let message = message.unwrap();
            let value = std::str::from_utf8(message.payload().unwrap()).unwrap();
            records.push((message.offset(), value.trim_end_matches('.').parse().unwrap()));
        }
    }
    records
}

#[test]
fn no_acknowledged_record_or_commit_is_lost_and_none_is_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(dir.path());
    let reports = Context::default();
    let producer: ThreadedProducer<Context> = broker
        .client()
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", "0")
        .set("linger.ms", "2")
        .set("batch.num.messages", "200")
        .set("retry.backoff.ms", "20")
        .set("socket.timeout.ms", "10000")
        .create_with_context(reports.clone())
        .unwrap();
    let reader = GroupReader::start(&broker);
    let acknowledged = || reports.0.acknowledged.lock().unwrap().len();
    let mut sent = 0;
    let mut send = |until: &mut dyn FnMut() -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !until() {
            assert!(Instant::now() < deadline, "{} records sent", sent);
            // Some thousand records wait at most, so that a kill always meets work under way.
            if producer.in_flight_count() > 5_000 {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            let value = format!("{sent:.<100}");
            let partition = i32::try_from(sent % 4).unwrap();
            let record = BaseRecord::<(), str, Box<u64>>::with_opaque_to(TOPIC, Box::new(sent))
                .payload(value.as_str())
                .partition(partition);
            match producer.send(record) {
                Ok(()) => sent += 1,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => panic!("{error}"),
            }
        }
        sent
    };
    for round in 0..KILLS {
        let (records, commits) = (acknowledged() + 4_000, reader.committed.lock().unwrap().values().sum::<i64>());
        send(&mut || {
            let committed = reader.committed.lock().unwrap().values().sum::<i64>();
            acknowledged() >= records && committed > commits && producer.in_flight_count() > 500
        });
        assert!(producer.in_flight_count() > 0, "kill {round} has to meet unacknowledged records");
        broker.kill();
        send(&mut || producer.in_flight_count() > 5_000);
        broker.restart();
    }
    let records = acknowledged() + 4_000;
    let sent = send(&mut || acknowledged() >= records);
    producer.flush(PATIENCE).unwrap();
    assert_eq!(*reports.0.fatal.lock().unwrap(), None);
    assert_eq!(*reports.0.failed.lock().unwrap(), []);
    assert_eq!(acknowledged() as u64, sent);

    let acknowledged = reports.0.acknowledged.lock().unwrap();
    let mut found = 0;
    for partition in 0..PARTITIONS {
        let records = read_partition(&broker, partition);
        assert!(records.windows(2).all(|w| w[0].1 < w[1].1), "in order, none twice");
        for (offset, sequence) in &records {
            assert_eq!(acknowledged.get(sequence), Some(&(partition, *offset)), "record {sequence}");
        }
        found += records.len() as u64;
    }
    assert_eq!(found, sent, "every acknowledged record is there");

    // What was committed last is what a newcomer is told after one more kill.
    wait_until("the group has read everything", || {
        reader.committed.lock().unwrap().values().sum::<i64>() == i64::try_from(sent).unwrap()
    });
    broker.kill();
    broker.restart();
    let consumer: BaseConsumer = reader_config(&broker).create().unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(TOPIC, 0, PARTITIONS - 1);
    let told = consumer.committed_offsets(asked, PATIENCE).unwrap();
    for p in told.elements() {
        let answered = reader.committed.lock().unwrap()[&p.partition()];
        assert_eq!(p.offset(), Offset::Offset(answered), "partition {}", p.partition());
    }
    assert_eq!(reader.assignments.load(Ordering::Relaxed), 1, "membership survives the broker: no rebalance");
    reader.stop.store(true, Ordering::Relaxed);
    reader.thread.join().unwrap();
}
