//! index.yaml: the embedded index.

mod load;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// A validated index.yaml.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexConfig {
    /// Elasticsearch REST. Default 127.0.0.1:9200.
    pub listen: SocketAddr,
    /// Default `/var/lib/logmill-index`.
    pub data_dir: PathBuf,
    /// A document is searchable within this time. Default 1 s.
    pub refresh_interval: Duration,
    /// Index writers open at once; the least recently used is committed and closed. Default 4.
    pub max_writers: usize,
    /// Arena of each writer. Default 15 MiB (Tantivy's least).
    pub writer_memory: u64,
    /// Largest request body. Default 100 MiB, as http.max_content_length.
    pub max_body_bytes: u64,
    /// `/metrics` and `/health`. Default 127.0.0.1:9604.
    pub metrics: SocketAddr,
    /// Default 8 s.
    pub shutdown_timeout: Duration,
}
