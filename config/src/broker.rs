//! broker.yaml: identity, listeners, durability, topic defaults and bounds.

mod load;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

/// A validated broker.yaml.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    /// Default 1.
    pub node_id: i32,
    /// Default `/var/lib/logmill-broker`.
    pub data_dir: PathBuf,
    /// On other disks; new partitions are spread over all of them. Default none.
    pub more_data_dirs: Vec<PathBuf>,
    /// At least one. Default 127.0.0.1:9092.
    pub listeners: Vec<Listener>,
    pub durability: Durability,
    pub group_commit: GroupCommit,
    pub topics: TopicDefaults,
    pub limits: Limits,
    pub compaction: Compaction,
    /// Produces are refused while the data directory's file system has less free. Default 256 MiB.
    pub free_space_reserve: u64,
    /// `/metrics` and `/health`. Default 127.0.0.1:9602.
    pub metrics: SocketAddr,
    /// Default 8 s.
    pub shutdown_timeout: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    pub listen: SocketAddr,
    pub advertise: Advertise,
}

/// What Metadata tells a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Advertise {
    /// The address the client connected to.
    #[default]
    Auto,
    Address {
        host: String,
        port: u16,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// An ack means on disk.
    #[default]
    Fsync,
    /// An ack means in the page cache, as Kafka's.
    PageCache,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupCommit {
    #[default]
    Auto,
    Fdatasync,
    Syncfs,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TopicDefaults {
    /// Default true.
    pub auto_create: bool,
    /// Of topics created automatically or without a count. Default 4, 1..=10 000.
    pub partitions: i32,
    /// `retention.ms`. Default 7 d.
    pub retention: Duration,
    /// Other topic-level settings by Kafka's own names, checked by the broker when it starts.
    pub config: BTreeMap<String, String>,
}

/// How topics with cleanup.policy compact are compacted.
#[derive(Debug, Clone, PartialEq)]
pub struct Compaction {
    /// For the keys of one run, while it lasts. Default 32 MiB.
    pub memory: u64,
    /// Read and written per second, so that it does not hold up producers. Default 64 MiB.
    pub bytes_per_second: u64,
    /// Between looks at what is to be compacted. Default 15 s.
    pub interval: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Largest request frame. Default 100 MiB, as Kafka's socket.request.max.bytes.
    pub max_request_bytes: u32,
    /// Request frames in memory over all connections. Default 64 MiB (one request may exceed it alone).
    pub max_in_flight_bytes: u64,
    /// Default 10 000.
    pub max_connections: usize,
    /// From one IP address. Default 10 000.
    pub max_connections_per_address: usize,
    /// One batch, where the broker has to decompress it. Default 128 MiB.
    pub max_decompressed_bytes: u64,
    /// A connection that takes nothing of a response for so long is closed. Default 1 min.
    pub slow_reader_timeout: Duration,
    /// Connections without traffic are closed. Default 10 min.
    pub idle_timeout: Duration,
}
