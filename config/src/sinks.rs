//! sinks.yaml: consumer groups, what they read and where it is delivered.

mod condition;
mod elasticsearch;
mod enrich;
mod file;
mod load;
mod webhook;

pub use condition::{Condition, Pattern, Range, Subject};
pub use elasticsearch::{Compression, Elasticsearch, Id, Op, Template, Tombstones, Version};
pub use enrich::{Enrich, Geoip, UserAgent};
pub use file::{File, FileCompression};
pub use webhook::{Format, Method, Order, Rate, Scheme, Sign, Statuses, Webhook};

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{kafka::KafkaConfig, transform::Transform};

/// A validated sinks.yaml.
#[derive(Debug, Clone, PartialEq)]
pub struct SinksConfig {
    pub kafka: KafkaConfig,
    /// At least one, names unique.
    pub sinks: Vec<Sink>,
    /// Bytes of records held from poll to commit over all sinks, librdkafka's queues included. Default 48 MiB.
    pub buffer_bytes: u64,
    /// `/metrics` and `/health`. Default 127.0.0.1:9603.
    pub metrics: SocketAddr,
    /// Default 8 s.
    pub shutdown_timeout: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sink {
    pub name: String,
    /// Names, or `^regex` (which never matches a configured dead-letter topic).
    pub topics: Vec<String>,
    /// Default: the sink's name.
    pub group: String,
    /// `group.instance.id`, static membership when set.
    pub instance_id: Option<String>,
    pub start: Start,
    pub decode: Decode,
    /// Delivers only what this holds for, the rest is filtered.
    pub when: Option<Condition>,
    /// Changes what `when` holds for, before it is enriched.
    pub transform: Option<Transform>,
    pub enrich: Option<Enrich>,
    pub output: Output,
    pub retry: Retry,
    /// Default topic: `<sink name>.dead`.
    pub dead_letters: DeadLetters,
}

/// Where a group begins in a partition of which it has committed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    #[default]
    Earliest,
    /// Behind what is there when the partition is first assigned.
    Latest,
    /// At the first record that Kafka has from then on, in ms since 1970.
    Time(i64),
}

/// What the values of records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decode {
    /// One JSON object each, anything else is a dead letter.
    #[default]
    Json,
    /// Any bytes, which become the `message` of an event.
    Raw,
}

/// Where a sink delivers to.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Elasticsearch(Elasticsearch),
    Webhook(Webhook),
    File(File),
}

impl Output {
    /// How records are gathered into requests.
    pub fn batching(&self) -> Bulk {
        match self {
            Self::Elasticsearch(elasticsearch) => elasticsearch.bulk,
            Self::Webhook(webhook) => webhook.batching(),
            Self::File(file) => file.batching(),
        }
    }

    pub fn elasticsearch(&self) -> Option<&Elasticsearch> {
        if let Self::Elasticsearch(elasticsearch) = self { Some(elasticsearch) } else { None }
    }

    pub fn elasticsearch_mut(&mut self) -> Option<&mut Elasticsearch> {
        if let Self::Elasticsearch(elasticsearch) = self { Some(elasticsearch) } else { None }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    Basic {
        user: String,
        password: String,
    },
    /// Elasticsearch only.
    ApiKey(String),
    Bearer(String),
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::ApiKey(_) => "ApiKey",
            Self::Bearer(_) => "Bearer",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Certificates that are trusted beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// The client's own certificate with its chain and its key (PKCS #8), PEM.
    pub client: Option<ClientCertificate>,
    /// SHA-256 of the certificate of an authority that is trusted beside the others when the server shows it.
    /// Elasticsearch only.
    pub fingerprint: Option<[u8; 32]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulk {
    /// Default 5 MiB.
    pub max_bytes: u64,
    /// Default 5000.
    pub max_documents: usize,
    /// Default 200 ms.
    pub linger: Duration,
    /// Requests under way at once, at most. Default 4, 1..=64.
    pub in_flight: usize,
}

/// Backoff between attempts, doubled with jitter, unlimited in number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Default 200 ms.
    pub initial: Duration,
    /// Default 60 s.
    pub max: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    pub topic: String,
    /// More letters within a minute are an alarm. Default 100.
    pub alarm_per_minute: u64,
}
