//! Listening sockets with errors and warnings an operator understands.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{what}: cannot listen on {address}: {reason}")]
pub struct ListenError {
    /// "kafka listener", "metrics" …
    pub what: String,
    pub address: SocketAddr,
    pub reason: String,
    #[source]
    pub source: io::Error,
}

/// Listens on `address` (port 0 picks a free one). `what` names the listener in errors and warnings.
///
/// Nothing here asks who connects, so an address other than this machine's own is warned about.
pub async fn bind(what: &str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind(address).await.map_err(|source| ListenError {
        what: what.to_owned(),
        address,
        reason: reason(&source, address),
        source,
    })?;
    warn_if_exposed(what, address);
    Ok(listener)
}

/// Warns when `address` can be reached from other machines.
pub fn warn_if_exposed(what: &str, address: SocketAddr) {
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "{what} can be reached from other machines and has no authentication");
    }
}

fn reason(e: &io::Error, address: SocketAddr) -> String {
    match e.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {} is in use by another process, stop it or choose another port", address.port())
        }
        io::ErrorKind::AddrNotAvailable => format!("{} is not an address of this machine", address.ip()),
        io::ErrorKind::PermissionDenied => format!("port {} needs privileges, choose one above 1023", address.port()),
        _ => e.to_string(),
    }
}
