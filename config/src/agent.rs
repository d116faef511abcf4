//! agent.yaml: which files are read, how a line becomes a record, how fast, and where it goes.

mod framing;
pub mod grok;
mod load;
mod source;

pub use framing::{Container, Encoding, Join, Multiline, Preset};
pub use source::Source;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use jiff::tz::TimeZone;

use crate::{kafka::KafkaConfig, template::Template, transform::Transform};

/// A validated agent.yaml.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentConfig {
    /// Checkpoint and lock live here. Default `/var/lib/logmill-agent`.
    pub state_dir: PathBuf,
    pub kafka: KafkaConfig,
    pub inputs: Vec<Input>,
    /// Of all inputs together; `per` means nothing here.
    pub limits: Vec<Limit>,
    /// What lines wait for, and what `buffer_bytes` is where it is not set. Default: balanced.
    pub preset: Tuning,
    /// `host.name` of every record. Default: the machine's host name.
    pub host_name: Option<String>,
    /// Bytes that read but unacknowledged records may hold, librdkafka's queue included. Default 16 MiB, 64 MiB with
    /// [`Tuning::Throughput`].
    pub buffer_bytes: u64,
    /// Safety net beside notify events. Default 10 s.
    pub rescan_interval: Duration,
    /// CPU time of all threads, in hundredths of one core, above which reading waits. Default: no cap.
    pub max_cpu_percent: Option<u32>,
    /// Open descriptors kept at most. Default 1024.
    pub max_open_files: usize,
    /// What deleted files may hold on disk until they are read; above it the oldest are given up. Default: no cap.
    pub max_deleted_bytes: Option<u64>,
    /// `/metrics` and `/health`. Default 127.0.0.1:9601.
    pub metrics: SocketAddr,
    /// Default 8 s.
    pub shutdown_timeout: Duration,
}

/// Whether requests to Kafka are rather few and large, or soon under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tuning {
    #[default]
    Balanced,
    Throughput,
    LowLatency,
}

impl Tuning {
    /// How long records of a stream wait for others; a property `linger.ms` counts more.
    pub fn linger(self) -> Duration {
        Duration::from_millis(match self {
            Self::Balanced => 10,
            Self::Throughput => 100,
            Self::LowLatency => 1,
        })
    }

    fn buffer_bytes(self) -> u64 {
        match self {
            Self::Balanced | Self::LowLatency => 16 << 20,
            Self::Throughput => 64 << 20,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub name: String,
    pub source: Source,
    /// Of files: globs, `**` crosses directories.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    /// Where its records go; with `topic_by` those whose fields give no topic.
    pub topic: String,
    pub topic_by: Option<TopicBy>,
    pub key: Key,
    pub read_from: ReadFrom,
    /// Files that were not written to for so long when they are first seen are left alone until they are. Default: none are.
    pub ignore_older: Option<Duration>,
    pub parse: Parse,
    /// Of times that name none. Default: the machine's.
    pub timezone: TimeZone,
    /// Fields of logfmt, expressions and columns that are numbers; the others are text.
    pub numbers: Vec<String>,
    pub encoding: Encoding,
    /// The lines are wrapped by this runtime. Default: none.
    pub container: Option<Container>,
    /// Lines that are one event. Default: each line is one.
    pub multiline: Option<Multiline>,
    /// Longest line in bytes. Default 256 KiB.
    pub max_line_bytes: u64,
    pub on_long_line: OnLongLine,
    /// A last line without newline becomes a record after this time. Default 5 s.
    pub flush_unterminated: Duration,
    pub limits: Vec<Limit>,
    /// Added to each record, dotted names nested (`service.name`).
    pub fields: BTreeMap<String, serde_json::Value>,
    /// Fields that a file's path tells. Default: none.
    pub path_fields: Option<PathFields>,
    /// Changes records before they are produced. Default: none.
    pub transform: Option<Transform>,
}

/// A topic that the record's fields decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicBy {
    pub template: Template,
    /// More topics than this are not written to. Default 100.
    pub most: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathFields {
    /// Namespace, pod and container, from the paths of pod logs.
    Kubernetes,
    /// Named groups of a regular expression, `__` in a name for a dot.
    Pattern(String),
}

/// Kafka record key. Default: file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Key {
    None,
    Host,
    #[default]
    File,
    /// A dotted path into the record.
    Field(String),
}

/// Where a file first seen at start-up is read from; a file that appears later is read from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadFrom {
    #[default]
    Beginning,
    End,
}

/// Anything but the given format (`auto` and `raw` take all) is kept as `message` with the tag `parse_failure`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Parse {
    /// A JSON object, else raw.
    #[default]
    Auto,
    Raw,
    /// A JSON object.
    Json,
    Logfmt,
    /// Access (common, combined) and error logs.
    Nginx,
    Apache,
    /// RFC 5424, RFC 3164 and rsyslog's files.
    Syslog,
    /// Named groups are fields, `__` in a name for a dot.
    Regex {
        pattern: String,
        /// How the group `timestamp` is written (strftime). Default: RFC 3339 or seconds since 1970.
        time: Option<String>,
    },
    /// Named places are fields, those with a type are numbers.
    Grok {
        pattern: String,
        /// Patterns of the user's own by name.
        own: BTreeMap<String, String>,
        /// As of a regular expression.
        time: Option<String>,
    },
    /// Comma-separated values (RFC 4180) in this order.
    Csv {
        /// `None` is left out.
        columns: Vec<Option<String>>,
        /// An ASCII character.
        delimiter: u8,
        /// As of a regular expression, of the column `timestamp`.
        time: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLongLine {
    /// Cut with a mark (`log.flags: [truncated]`).
    #[default]
    Truncate,
    Split,
    /// Counted in the ledger as `long_line`.
    Drop,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    pub per: LimitPer,
    pub lines_per_second: Option<u32>,
    pub bytes_per_second: Option<u64>,
    /// Lines that may pass at once. Default: one second's worth.
    pub burst: Option<u32>,
    pub on_exceed: OnExceed,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LimitPer {
    #[default]
    File,
    Input,
    /// Each value of a field of the record, at a dotted path.
    Field(String),
}

/// What happens above the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExceed {
    /// Reading waits, nothing is lost.
    #[default]
    Delay,
    /// Counted in the ledger as `limit`.
    Drop,
    /// One in so many passes and says so (`log.sample_rate`); the others are counted as `sample`.
    Sample { one_in: u32 },
}
