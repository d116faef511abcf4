//! Reads the `kafka:` section, and refuses librdkafka properties on which a promise hangs.

use std::collections::BTreeMap;

use super::{Compression, KafkaConfig};
use crate::{section::Section, value::Value};

/// What the client is used for: the properties it may not change differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
}

/// Properties of both roles that have a key of their own or are fixed, with what to do instead.
const FIXED: [(&str, &str); 3] = [
    ("bootstrap.servers", "use kafka.brokers"),
    ("metadata.broker.list", "use kafka.brokers"),
    ("plugin.library.paths", "plug-ins are not loaded"),
];

/// An acknowledged line must be on the broker exactly as read, and an unacknowledged one must wait without end.
const FIXED_PRODUCER: [(&str, &str); 22] = [
    ("acks", "it is always all"),
    ("request.required.acks", "it is always all"),
    ("enable.idempotence", "it is always true"),
    ("enable.gapless.guarantee", "it is fixed"),
    ("transactional.id", "it is fixed"),
    ("message.timeout.ms", "it is always 0: records wait for the broker without end"),
    ("delivery.timeout.ms", "message.timeout.ms is always 0: records wait for the broker without end"),
    ("retries", "retries are unlimited"),
    ("message.send.max.retries", "retries are unlimited"),
    ("max.in.flight", "it is fixed by the idempotent producer"),
    ("max.in.flight.requests.per.connection", "it is fixed by the idempotent producer"),
    ("queue.buffering.max.kbytes", "use buffer_bytes"),
    ("queue.buffering.max.messages", "use buffer_bytes"),
    ("queuing.strategy", "it is fixed"),
    ("delivery.report.only.error", "it is fixed: the checkpoint follows the delivery reports"),
    ("dr_cb", "it is fixed: the checkpoint follows the delivery reports"),
    ("dr_msg_cb", "it is fixed: the checkpoint follows the delivery reports"),
    ("compression.codec", "use kafka.compression"),
    ("compression.type", "use kafka.compression"),
    ("message.max.bytes", "use max_line_bytes of the input"),
    ("message.copy.max.bytes", "it is fixed"),
    ("enabled_events", "it is fixed"),
];

/// The commit follows what was delivered, and memory follows the byte budget.
const FIXED_CONSUMER: [(&str, &str); 19] = [
    ("group.id", "use group of the sink"),
    ("group.instance.id", "use instance_id of the sink"),
    ("group.protocol", "it is fixed"),
    ("enable.auto.commit", "it is always false: offsets are committed after delivery"),
    ("auto.commit.enable", "it is always false: offsets are committed after delivery"),
    ("auto.commit.interval.ms", "offsets are committed after delivery"),
    ("enable.auto.offset.store", "it is always false: offsets are committed after delivery"),
    ("auto.offset.reset", "it is always earliest"),
    ("isolation.level", "it is always read_committed"),
    ("enable.partition.eof", "it is fixed"),
    ("topic.metadata.refresh.interval.ms", "it is fixed, so that new topics are found in seconds"),
    ("allow.auto.create.topics", "it is fixed"),
    ("queued.min.messages", "use buffer_bytes"),
    ("queued.max.messages.kbytes", "use buffer_bytes"),
    ("fetch.max.bytes", "use buffer_bytes"),
    ("fetch.message.max.bytes", "use buffer_bytes"),
    ("max.partition.fetch.bytes", "use buffer_bytes"),
    ("receive.message.max.bytes", "use buffer_bytes"),
    ("partition.assignment.strategy", "it is fixed"),
];

const INSTEAD_OF_SECURITY: &str =
    "until then set librdkafka's own security.protocol, ssl.* and sasl.* in kafka.properties";

/// The `kafka:` section of `root`.
pub(crate) fn read(root: &mut Section, role: Role) -> KafkaConfig {
    let default = KafkaConfig {
        brokers: vec!["localhost:9092".into()],
        compression: Compression::default(),
        properties: BTreeMap::new(),
    };
    root.or("kafka", default, |v| {
        let mut s = v.section()?;
        s.not_yet(&[("tls", INSTEAD_OF_SECURITY), ("sasl", INSTEAD_OF_SECURITY)]);
        let brokers = s.or("brokers", vec!["localhost:9092".into()], |v| {
            let brokers = v.list("brokers")?;
            Some(
                brokers.iter().filter_map(|b| b.host_port(9092)).map(|(host, port)| format!("{host}:{port}")).collect(),
            )
        });
        let kafka = KafkaConfig {
            brokers,
            compression: s.or("compression", Compression::default(), compression),
            properties: s.or("properties", BTreeMap::new(), |v| properties(v, role)),
        };
        s.finish();
        Some(kafka)
    })
}

fn compression(value: &Value) -> Option<Compression> {
    let choices = [
        ("none", Compression::None),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ];
    value.choice(&choices, &[])
}

fn properties(value: &Value, role: Role) -> Option<BTreeMap<String, String>> {
    let own: &[(&str, &str)] = match role {
        Role::Producer => &FIXED_PRODUCER,
        Role::Consumer => &FIXED_CONSUMER,
    };
    let section = value.section()?;
    for (name, v) in section.entries() {
        if let Some((_, instead)) = FIXED.iter().chain(own).find(|(fixed, _)| *fixed == name) {
            v.fail::<()>(format!("cannot be set, since delivery without loss hangs on it: {instead}"));
        }
    }
    value.text_map()
}
