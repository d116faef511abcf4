//! Records that can never be delivered: the original as it was, with headers that say why, to the dead-letter topic.
//!
//! A letter is buried only when the topic has acknowledged it (all in-sync replicas); until then its record is not
//! finished and nothing after it is committed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use logmill_config::{
    kafka::{Compression, KafkaConfig},
    sinks::{Retry, Sink},
};
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer},
};

use crate::{
    alarms::{Alarm, Alarms},
    backoff,
    batch::Original,
    clock,
    connector::Class,
    error::SinksError,
};

/// `max.message.bytes` of a dead-letter topic: what the source took (1 MiB unless changed) with room for headers, and more.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// What is kept of a value that the topic refuses as too large.
const TRUNCATED_BYTES: usize = 256 << 10;

/// A record and what happened to it.
pub(crate) struct Letter {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Kafka timestamp in ms, -1 for none.
    pub(crate) timestamp: i64,
    pub(crate) original: Original,
    pub(crate) class: Class,
    pub(crate) reason: String,
    pub(crate) attempts: u32,
}

/// Writes dead letters of one sink.
pub(crate) struct DeadLetters {
    sink: String,
    topic: String,
    retry: Retry,
    config: ClientConfig,
    /// Made for the first letter: its polling thread costs about a hundredth of a core even when idle.
    producer: Mutex<Option<FutureProducer>>,
    admin: AdminClient<DefaultClientContext>,
    exists: AtomicBool,
    creating: tokio::sync::Mutex<()>,
    alarms: Arc<Alarms>,
}

impl DeadLetters {
    pub(crate) fn new(
        kafka: &KafkaConfig,
        sink: &Sink,
        queue_bytes: usize,
        alarms: Arc<Alarms>,
    ) -> Result<Self, SinksError> {
        let failed = |source| SinksError::Kafka { sink: sink.name.clone(), source };
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", kafka.brokers.join(","));
        config.set("client.id", format!("logmill-sinks-{}-dead-letters", sink.name));
        for (key, value) in &kafka.properties {
            if !crate::consumer::CONSUMER_ONLY.contains(&key.as_str()) {
                config.set(key, value);
            }
        }
        let admin = config.create().map_err(failed)?;
        let compression = match kafka.compression {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        };
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "5")
            .set("compression.type", compression)
            .set("message.max.bytes", MAX_MESSAGE_BYTES.to_string())
            .set("queue.buffering.max.kbytes", (queue_bytes >> 10).max(1024).to_string());
        Ok(Self {
            sink: sink.name.clone(),
            topic: sink.dead_letters.topic.clone(),
            retry: sink.retry,
            config,
            producer: Mutex::new(None),
            admin,
            exists: AtomicBool::new(false),
            creating: tokio::sync::Mutex::new(()),
            alarms,
        })
    }

    /// Returns when the letter is acknowledged; tries without end, with an alarm while it cannot.
    pub(crate) async fn bury(&self, mut letter: Letter) {
        let mut failures = 0u32;
        let mut kept = Kept::Whole;
        loop {
            let sent = match self.ensure_topic().await {
                Ok(()) => self.send(&letter, kept).await,
                Err(reason) => Err(Trouble::Other(reason)),
            };
            match sent {
                Ok(()) => {
                    self.alarms.clear(Alarm::DeadLetters);
                    return;
                }
                Err(Trouble::TooLarge) if kept != Kept::Headers => {
                    kept = if kept == Kept::Whole { Kept::Beginning } else { Kept::Headers };
                    letter.attempts = letter.attempts.saturating_add(1);
                }
                Err(Trouble::TooLarge) => {
                    failures = failures.saturating_add(1);
                    self.wait(failures, "refuses even the headers of a record as too large").await;
                }
                Err(Trouble::Other(reason)) => {
                    failures = failures.saturating_add(1);
                    self.exists.store(false, Ordering::Release);
                    self.wait(failures, &reason).await;
                }
            }
        }
    }

    async fn wait(&self, failures: u32, reason: &str) {
        self.alarms.raise(Alarm::DeadLetters, &format!("dead-letter topic {}: {reason}", self.topic));
        tokio::time::sleep(backoff::wait(&self.retry, failures, None, fastrand::f64())).await;
    }

    /// Creates the topic before the first letter: created by the broker on its own it would have the usual size limit.
    async fn ensure_topic(&self) -> Result<(), String> {
        if self.exists.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one_at_a_time = self.creating.lock().await;
        if self.exists.load(Ordering::Acquire) {
            return Ok(());
        }
        if !self.is_there().await {
            self.create_topic().await?;
        }
        self.exists.store(true, Ordering::Release);
        Ok(())
    }

    async fn create_topic(&self) -> Result<(), String> {
        let size = MAX_MESSAGE_BYTES.to_string();
        let topic = NewTopic::new(&self.topic, 1, TopicReplication::Fixed(-1)).set("max.message.bytes", &size);
        let options = AdminOptions::new()
            .request_timeout(Some(Duration::from_secs(10)))
            .operation_timeout(Some(Duration::from_secs(10)));
        let created = match self.admin.create_topics([&topic], &options).await {
            Ok(results) => match results.into_iter().next() {
                Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => return Ok(()),
                Some(Err((_, code))) => Err(code.to_string()),
                _ => Ok(()),
            },
            Err(e) => Err(e.to_string()),
        };
        created.map_err(|reason| format!("cannot be created: {reason}"))?;
        tracing::info!(sink = %self.sink, topic = %self.topic, "created the dead-letter topic");
        Ok(())
    }

    /// Looks through all topics: asking a broker for one by name would make it create the topic its own way.
    async fn is_there(&self) -> bool {
        let Ok(producer) = self.producer() else { return false };
        let topic = self.topic.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = producer.client().fetch_metadata(None, Duration::from_secs(10)).ok()?;
            Some(metadata.topics().iter().any(|t| t.name() == topic && t.error().is_none()))
        });
        asked.await.ok().flatten().unwrap_or(false)
    }

    async fn send(&self, letter: &Letter, kept: Kept) -> Result<(), Trouble> {
        let value = letter.original.value.as_deref();
        let cut = match kept {
            Kept::Whole => value,
            Kept::Beginning => value.map(|v| v.get(..TRUNCATED_BYTES).unwrap_or(v)),
            Kept::Headers => value.map(|_| &[][..]),
        };
        let headers = self.headers(letter, kept, value.map(<[u8]>::len));
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic).headers(headers);
        if let Some(key) = letter.original.key.as_deref().filter(|_| kept != Kept::Headers) {
            record = record.key(key);
        }
        if let Some(value) = cut {
            record = record.payload(value);
        }
        let producer = self.producer().map_err(|e| Trouble::Other(e.to_string()))?;
        match producer.send(record, rdkafka::util::Timeout::Never).await {
            Ok(_) => Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => Err(Trouble::TooLarge),
            Err((e, _)) => {
                if let Some((code, reason)) = producer.client().fatal_error() {
                    self.renew_producer();
                    return Err(Trouble::Other(format!("{code}: {reason}")));
                }
                Err(Trouble::Other(e.to_string()))
            }
        }
    }

    fn producer(&self) -> Result<FutureProducer, KafkaError> {
        let mut producer = self.producer.lock();
        match &*producer {
            Some(made) => Ok(made.clone()),
            None => Ok(producer.insert(self.config.create()?).clone()),
        }
    }

    /// An idempotent producer is useless after a fatal error. Letters in its queue fail and are sent by the next one.
    fn renew_producer(&self) {
        let mut producer = self.producer.lock();
        if producer.as_ref().is_some_and(|p| p.client().fatal_error().is_some()) {
            *producer = None;
        }
    }

    fn headers(&self, letter: &Letter, kept: Kept, value_bytes: Option<usize>) -> OwnedHeaders {
        let original = &letter.original.headers;
        let mut headers = OwnedHeaders::new_with_capacity(original.len() + 9);
        let keep = |name: &[u8]| kept != Kept::Headers || name == b"logmill-id";
        for (name, value) in original.iter().filter(|(name, _)| keep(name)) {
            // A name that is not UTF-8 cannot be written through rdkafka: what is readable of it is kept.
            headers = headers.insert(Header { key: &String::from_utf8_lossy(name), value: value.as_ref() });
        }
        let mut add = |key: &str, value: &str| {
            let all = std::mem::take(&mut headers);
            headers = all.insert(Header { key, value: Some(value) });
        };
        add("logmill-error-sink", &self.sink);
        add("logmill-error-class", letter.class.name());
        add("logmill-error-reason", &letter.reason);
        add("logmill-error-topic", &letter.topic);
        add("logmill-error-partition", &letter.partition.to_string());
        add("logmill-error-offset", &letter.offset.to_string());
        // Part of the `_id` of a record without an identity of its own.
        add("logmill-error-timestamp", &letter.timestamp.to_string());
        add("logmill-error-time", &rfc3339(clock::wall_millis()));
        add("logmill-error-attempts", &letter.attempts.to_string());
        if let Some(bytes) = value_bytes.filter(|_| kept != Kept::Whole) {
            add("logmill-error-truncated", &bytes.to_string());
        }
        headers
    }
}

/// How much of the original is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Whole,
    Beginning,
    /// Only the headers that say where the original is.
    Headers,
}

enum Trouble {
    TooLarge,
    Other(String),
}

fn rfc3339(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map(|t| t.to_string()).unwrap_or_default()
}
