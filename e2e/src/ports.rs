//! Free TCP ports for the daemons of a test.

use anyhow::Result;

/// The first port for three nodes of `peers/kafka`, which also takes those behind it and those 100 above.
pub fn free_for_kafka() -> Result<u16> {
    for _ in 0..200 {
        let first = free()?;
        let needed = [1, 2, 100, 101, 102].map(|above| first + above);
        if needed.iter().all(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return Ok(first);
        }
    }
    anyhow::bail!("no free ports for three nodes")
}

/// A port nobody listens on now. Daemons bind it at once; restarts need it to stay the same.
pub fn free() -> Result<u16> {
    // Below the ephemeral range, so that an outgoing connection does not take it while a daemon is down.
    for _ in 0..200 {
        let port = fastrand::u16(12_000..30_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no free port between 12000 and 30000")
}
