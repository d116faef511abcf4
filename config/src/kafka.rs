//! How a client reaches Kafka: shared by agent and sinks.

mod load;

pub(crate) use load::{Role, read};

use std::collections::BTreeMap;

/// The `kafka:` section.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaConfig {
    /// `HOST:PORT`, at least one.
    pub brokers: Vec<String>,
    /// Compression of produced batches; consumers ignore it.
    pub compression: Compression,
    /// Other librdkafka properties, passed through; those a promise hangs on are refused by name when loading.
    pub properties: BTreeMap<String, String>,
}

/// `compression:` of produced batches. Default: lz4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    #[default]
    Lz4,
    Zstd,
}
