//! Why the sinks cannot run at all.

use std::path::PathBuf;

use thiserror::Error;

/// What no waiting can mend: the process should end with a clear message.
#[derive(Debug, Error)]
pub enum SinksError {
    #[error("sink {sink}: librdkafka refuses its configuration: {source}")]
    Kafka { sink: String, source: rdkafka::error::KafkaError },

    #[error("sink {sink}: elasticsearch.index: {reason}")]
    IndexTemplate { sink: String, reason: String },

    #[error("sink {sink}: elasticsearch.hosts: {host:?} is no URL: {reason}")]
    Host { sink: String, host: String, reason: String },

    #[error("sink {sink}: elasticsearch.tls.ca_file: cannot read {}: {reason}", path.display())]
    CaFile { sink: String, path: PathBuf, reason: String },

    #[error("sink {sink}: elasticsearch: cannot build the client: {reason}")]
    Client { sink: String, reason: String },

    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),

    #[error("cannot start a thread for sink {sink}: {source}")]
    Thread { sink: String, source: std::io::Error },
}
