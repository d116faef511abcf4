//! The consumer of one sink: its settings, and what librdkafka tells it from the side.

use std::{collections::VecDeque, sync::Arc};

use logmill_config::{kafka::KafkaConfig, sinks::Sink};
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};

use crate::error::SinksError;

/// Properties that only a consumer takes: kept from the dead letters' producer.
pub(crate) const CONSUMER_ONLY: [&str; 14] = [
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "partition.assignment.strategy",
    "fetch.wait.max.ms",
    "fetch.min.bytes",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "max.partition.fetch.bytes",
    "fetch.error.backoff.ms",
    "fetch.queue.backoff.ms",
    "isolation.level",
    "check.crcs",
    "client.rack",
];

/// How a sink's share of the buffer is split: records held, librdkafka's queue, and the answer being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) records: usize,
    pub(crate) queue: usize,
    pub(crate) fetch: usize,
}

impl Shares {
    /// Of `buffer_bytes` among `sinks`.
    pub(crate) fn of(buffer_bytes: u64, sinks: usize) -> Self {
        let share = usize::try_from(buffer_bytes).unwrap_or(usize::MAX) / sinks.max(1);
        let share = share.max(2 << 20);
        // An answer is compressed: log lines unpack to ten times its size, and more in librdkafka's own structures, before
        // any limit on the queue applies. A batch that is larger comes all the same, alone (KIP-74).
        Self { records: share / 8 * 5, queue: share / 8, fetch: (share / 96).clamp(128 << 10, 1 << 20) }
    }
}

/// An idle librdkafka message costs about this much beside its bytes.
const MESSAGE_OVERHEAD: usize = 800;

pub(crate) type Consumer = BaseConsumer<Events>;

pub(crate) fn create(
    kafka: &KafkaConfig,
    sink: &Sink,
    dead_letter_topics: &[String],
    shares: Shares,
) -> Result<Consumer, SinksError> {
    let kilobytes = (shares.queue >> 10).clamp(256, 2_097_151);
    let mut config = ClientConfig::new();
    // What the user may set otherwise.
    config
        .set("client.id", format!("logmill-sinks-{}", sink.name))
        // After a kill the partitions wait this long for the dead member.
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "2500")
        .set("reconnect.backoff.max.ms", "2000")
        .set("log.connection.close", "false");
    for (key, value) in &kafka.properties {
        config.set(key, value);
    }
    // What promises hang on.
    config
        .set("bootstrap.servers", kafka.brokers.join(","))
        .set("group.id", &sink.group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("allow.auto.create.topics", "false")
        // A topic created later, and new partitions, are found this soon.
        .set("topic.metadata.refresh.interval.ms", "2000")
        .set("metadata.max.age.ms", "10000")
        .set("queued.max.messages.kbytes", kilobytes.to_string())
        .set("queued.min.messages", (shares.queue / MESSAGE_OVERHEAD).clamp(1000, 100_000).to_string())
        .set("fetch.message.max.bytes", (shares.fetch / 2).to_string())
        .set("fetch.max.bytes", shares.fetch.to_string())
        // Bounds nothing for a consumer, but librdkafka wants it no larger than the line above.
        .set("message.max.bytes", (shares.fetch / 2).to_string())
        // How soon a full queue is filled again: the default of a second would starve the sink.
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.error.backoff.ms", "100");
    if let Some(instance) = &sink.instance_id {
        config.set("group.instance.id", instance);
    }
    if let Some(blacklist) = blacklist(sink, dead_letter_topics) {
        config.set("topic.blacklist", blacklist);
    }
    config
        .create_with_context(Events::default())
        .map_err(|source| SinksError::Kafka { sink: sink.name.clone(), source })
}

/// A regular expression never matches a dead-letter topic nor an internal one; a topic given by name is always read.
fn blacklist(sink: &Sink, dead_letter_topics: &[String]) -> Option<String> {
    if !sink.topics.iter().any(|t| t.starts_with('^')) {
        return None;
    }
    let named = |topic: &str| sink.topics.iter().any(|t| t == topic);
    let internal = ["__consumer_offsets".to_owned(), "__transaction_state".to_owned()];
    let list: Vec<_> = dead_letter_topics
        .iter()
        .chain(&internal)
        .filter(|topic| !named(topic))
        .map(|topic| format!("^{}$", topic.replace('.', "\\.")))
        .collect();
    Some(list.join(","))
}

/// A rebalance, to be carried out by the polling loop.
#[derive(Debug, Clone)]
pub(crate) enum Rebalance {
    Assign(TopicPartitionList),
    Revoke(TopicPartitionList),
}

/// What librdkafka's callbacks leave for the polling loop, which they run on.
#[derive(Default)]
pub(crate) struct Events {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    rebalances: VecDeque<Rebalance>,
    kafka_down: Option<String>,
    closing: bool,
}

impl Events {
    pub(crate) fn rebalance(&self) -> Option<Rebalance> {
        self.state.lock().rebalances.pop_front()
    }

    /// One that cannot be carried out yet.
    pub(crate) fn put_back(&self, rebalance: Rebalance) {
        self.state.lock().rebalances.push_front(rebalance);
    }

    /// Why no broker can be reached, once per occurrence.
    pub(crate) fn kafka_down(&self) -> Option<String> {
        self.state.lock().kafka_down.take()
    }

    /// From here on partitions are given up at once: nobody is left to carry out a rebalance.
    pub(crate) fn close(&self) {
        self.state.lock().closing = true;
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::warn!(target: "librdkafka", "{facility} {message}");
            }
            // Every failed connection is one: the alarm says it once.
            _ => tracing::debug!(target: "librdkafka", "{facility} {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
        if error.rdkafka_error_code() == Some(rdkafka::error::RDKafkaErrorCode::AllBrokersDown) {
            self.state.lock().kafka_down = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Events {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let mut state = self.state.lock();
        if state.closing {
            drop(state);
            let done = match error {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => consumer.incremental_assign(list),
                _ => consumer.incremental_unassign(list),
            };
            if let Err(e) = done {
                tracing::debug!("rebalance while closing: {e}");
            }
            return;
        }
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                state.rebalances.push_back(Rebalance::Assign(list.clone()));
            }
            _ => state.rebalances.push_back(Rebalance::Revoke(list.clone())),
        }
    }
}
