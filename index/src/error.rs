//! Why the index could not start or had to stop.

use std::{io, net::SocketAddr, path::PathBuf};

/// What the operator must see when the index cannot start or goes down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    #[error("cannot listen on {address}: {source}{}", port_hint(source))]
    Listen { address: SocketAddr, source: io::Error },
    #[error("data directory {0} is locked: another index is running on it")]
    Locked(PathBuf),
    #[error("{path}: {what}: {source}")]
    Io { path: PathBuf, what: &'static str, source: io::Error },
    #[error("{path}: damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("index {index}: {source}")]
    Tantivy { index: String, source: tantivy::TantivyError },
    #[error("{0}")]
    Stopped(String),
}

impl IndexError {
    pub(crate) fn io(path: impl Into<PathBuf>, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, what, source }
    }
}

fn port_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another process listens there; set index.listen to a free port)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need privileges)",
        _ => "",
    }
}
