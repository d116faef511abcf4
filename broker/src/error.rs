//! Why a broker does not start, or stops: one clear message each.

use std::{io, net::SocketAddr, path::PathBuf};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("cannot listen on {address}: {source}{}", in_use_hint(source))]
    Listen { address: SocketAddr, source: io::Error },
    #[error(
        "the data directory {path} is in use by another broker (its .lock is held); each broker needs its own data_dir"
    )]
    DataDirLocked { path: PathBuf },
    #[error("cannot use the data directory {path}: {source}")]
    DataDir { path: PathBuf, source: io::Error },
    #[error(
        "partition {partition} is in two data directories, {} and {}: keep the newer one, move the other away",
        paths[0].display(), paths[1].display()
    )]
    PartitionTwice { partition: String, paths: [PathBuf; 2] },
    #[error("cannot read or write the broker's metadata {path}: {reason}")]
    Metadata { path: PathBuf, reason: String },
    #[error("invalid topic setting in broker.yaml, topics.config: {0}")]
    TopicConfig(String),
    #[error("cannot open the log: {0}")]
    Log(String),
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

fn in_use_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => " (another program listens there; see `ss -ltnp`)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
        io::ErrorKind::AddrNotAvailable => " (this machine has no such address)",
        _ => "",
    }
}
