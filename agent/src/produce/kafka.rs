//! The real producer: librdkafka, idempotent, every record waiting without end.
//!
//! Reports are taken by one thread that blocks in librdkafka and hands them over in a list; the reading thread is
//! woken when it waits for them. No allocation per record but librdkafka's own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use logmill_config::{
    agent::AgentConfig,
    kafka::{Compression, KafkaConfig},
};
use logmill_daemon::Throttle;
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::FromClientConfigAndContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};

use super::{Delivery, Outcome, Outgoing, Producer, Sent, Tag, hurry::Hurry};
use crate::wake::Waker;

/// The header a line's id travels in.
pub(crate) const ID_HEADER: &str = "logmill-id";

/// What a record may have beside its value, key and header in a batch and its message on the wire.
const BATCH_OVERHEAD: usize = 512;
/// librdkafka's own default of message.max.bytes, also Kafka's (less a header).
const MAX_MESSAGE: usize = 1_000_000;

/// How long the reporting thread waits for one; also the longest it takes to notice a stop.
const POLL: Duration = Duration::from_secs(1);

pub(crate) struct KafkaProducer {
    settings: Settings,
    waker: Waker,
    running: Option<Running>,
}

struct Settings {
    kafka: KafkaConfig,
    buffer_bytes: u64,
    /// How long records of a stream wait for others, at least: requests are few and large then.
    linger: Duration,
}

struct Running {
    /// First, since it holds the producer.
    hurry: Hurry,
    producer: Arc<BaseProducer<Reports>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What librdkafka tells, from the reporting thread.
pub(crate) struct Reports {
    deliveries: Mutex<Vec<Delivery>>,
    fatal: AtomicBool,
    trouble: Mutex<Option<String>>,
    warnings: Throttle,
    waker: Waker,
}

impl KafkaProducer {
    pub(crate) fn new(config: &AgentConfig, waker: Waker) -> Result<Self, KafkaError> {
        let AgentConfig { kafka, buffer_bytes, preset, .. } = config;
        let settings = Settings { kafka: kafka.clone(), buffer_bytes: *buffer_bytes, linger: preset.linger() };
        let running = settings.start(None, &waker)?;
        Ok(Self { settings, waker, running: Some(running) })
    }

    fn reports(&self) -> Option<&Reports> {
        self.running.as_ref().map(|r| &**r.producer.context())
    }
}

impl Settings {
    fn client(&self, max_batch: Option<usize>) -> ClientConfig {
        let mut client = ClientConfig::new();
        let compression = match self.kafka.compression {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        };
        // What a user may tune.
        client.set("client.id", "logmill-agent").set("partitioner", "murmur2_random");
        client.set("linger.ms", self.linger.as_millis().to_string());
        // Records behind the five batches that may be in flight make librdkafka poll without pause: few, large batches.
        client
            .set("batch.size", "950000")
            .set("reconnect.backoff.max.ms", "2000")
            .set("socket.keepalive.enable", "true");
        client.set("topic.metadata.refresh.sparse", "true").set("metadata.max.age.ms", "180000");
        for (name, value) in &self.kafka.properties {
            client.set(name, value);
        }
        // What a promise hangs on.
        client
            .set("bootstrap.servers", self.kafka.brokers.join(","))
            .set("compression.type", compression)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.messages", "10000000")
            .set("queue.buffering.max.kbytes", (self.buffer_bytes / 1024).max(1024).to_string())
            .set("message.max.bytes", MAX_MESSAGE.to_string());
        if let Some(max_batch) = max_batch {
            client.set("batch.size", max_batch.to_string());
        }
        client
    }

    fn start(&self, max_batch: Option<usize>, waker: &Waker) -> Result<Running, KafkaError> {
        let reports = Reports {
            deliveries: Mutex::default(),
            fatal: AtomicBool::new(false),
            trouble: Mutex::default(),
            warnings: Throttle::every(Duration::from_secs(10)),
            waker: waker.clone(),
        };
        let producer = Arc::new(BaseProducer::from_config_and_context(&self.client(max_batch), reports)?);
        let stop = Arc::new(AtomicBool::new(false));
        let (polled, stopped) = (Arc::clone(&producer), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("agent-reports".into())
            .spawn(move || {
                while !stopped.load(Ordering::Acquire) {
                    // Reports wake it at once. rdkafka spins through the last millisecond of a time-out, so a short
                    // one would cost an idle agent a hundredth of a core.
                    polled.poll(POLL);
                }
            })
            .map_err(|e| KafkaError::ClientCreation(format!("cannot start a thread: {e}")))?;
        let hurry = Hurry::start(Arc::clone(&producer), self.linger)
            .map_err(|e| KafkaError::ClientCreation(format!("cannot start a thread: {e}")))?;
        Ok(Running { hurry, producer, stop, thread: Some(thread) })
    }
}

impl Producer for KafkaProducer {
    fn send(&mut self, record: &Outgoing) -> Sent {
        let Some(running) = &self.running else { return Sent::Broken };
        let headers =
            OwnedHeaders::new_with_capacity(1).insert(Header { key: ID_HEADER, value: Some(record.id.as_slice()) });
        let mut outgoing = BaseRecord::<[u8], [u8], usize>::with_opaque_to(record.topic, record.tag.0 as usize)
            .payload(record.value)
            .timestamp(record.time_ms)
            .headers(headers);
        if let Some(key) = record.key {
            outgoing = outgoing.key(key);
        }
        match running.producer.send(outgoing) {
            Ok(()) => Sent::Taken,
            Err((KafkaError::MessageProduction(code), _)) => match code {
                RDKafkaErrorCode::QueueFull => Sent::Full,
                RDKafkaErrorCode::Fatal => {
                    running.producer.context().fatal.store(true, Ordering::Release);
                    Sent::Broken
                }
                // Known bad already when sending (an unknown topic or partition, a record too large): reported as if
                // the broker had said it.
                code => {
                    running.producer.context().failed(record.tag, code, record.topic);
                    Sent::Taken
                }
            },
            Err((error, _)) => {
                running.producer.context().say(&error.to_string());
                Sent::Full
            }
        }
    }

    fn hurry(&mut self) {
        if let Some(running) = &self.running {
            running.hurry.ask();
        }
    }

    fn take_deliveries(&mut self, into: &mut Vec<Delivery>) {
        if let Some(reports) = self.reports() {
            into.append(&mut reports.deliveries.lock());
        }
    }

    fn broken(&self) -> bool {
        self.reports().is_none_or(|r| r.fatal.load(Ordering::Acquire))
    }

    fn renew(&mut self, max_batch_bytes: usize) -> Result<(), String> {
        self.running = None;
        let narrow = Some(max_batch_bytes).filter(|bytes| *bytes < self.max_record_bytes());
        let running = self.settings.start(narrow, &self.waker).map_err(|e| e.to_string())?;
        self.running = Some(running);
        Ok(())
    }

    fn max_record_bytes(&self) -> usize {
        MAX_MESSAGE - BATCH_OVERHEAD
    }

    fn trouble(&self) -> Option<String> {
        self.reports().and_then(|r| r.trouble.lock().clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Reports {
    fn push(&self, delivery: Delivery) {
        let mut deliveries = self.deliveries.lock();
        deliveries.push(delivery);
        let first = deliveries.len() == 1;
        drop(deliveries);
        if first {
            self.waker.wake();
        }
    }

    fn failed(&self, tag: Tag, code: RDKafkaErrorCode, topic: &str) {
        let outcome = match code {
            RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize => Outcome::TooLarge,
            RDKafkaErrorCode::Fatal => {
                self.fatal.store(true, Ordering::Release);
                Outcome::Failed
            }
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp
            | RDKafkaErrorCode::UnsupportedForMessageFormat
            | RDKafkaErrorCode::UnsupportedCompressionType
            | RDKafkaErrorCode::PolicyViolation => Outcome::Refused(code),
            _ => Outcome::Failed,
        };
        // Purged records belong to a producer that is being replaced.
        if !matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) {
            self.say(&format!("topic {topic}: {code}"));
        }
        self.push(Delivery { tag, outcome });
    }

    /// Notes and logs (rarely) what keeps records from being delivered.
    fn say(&self, words: &str) {
        *self.trouble.lock() = Some(words.to_owned());
        if let Some(left_out) = self.warnings.pass() {
            tracing::warn!(left_out, "cannot deliver to kafka, lines wait in their files: {words}");
        }
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.fatal.store(true, Ordering::Release);
            self.waker.wake();
        }
        self.say(reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let tag = Tag(opaque as u64);
        match result {
            Ok(_) => self.push(Delivery { tag, outcome: Outcome::Acknowledged }),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                self.failed(tag, code, message.topic());
            }
        }
    }
}
