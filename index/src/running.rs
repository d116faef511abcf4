//! Start, handle and graceful stop of the embedded index.

use std::{
    fs::File,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use logmill_config::index::IndexConfig;
use logmill_daemon::{Pulse, context::Context};
use logmill_disk::RealDisk;
use tokio::{
    net::TcpListener,
    task::{JoinHandle as Task, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

use crate::{
    IndexError,
    engine::{Engine, Options, lock},
    metrics::Metrics,
    rest::Rest,
};

/// One commit, or waiting for the merges of a writer that is closed, takes no longer than this; those of large segments take minutes.
const STALL: Duration = Duration::from_secs(600);

/// Starts the embedded index.
pub struct Index;

/// A started index: listening, with everything from the last run in it.
pub struct Running {
    address: SocketAddr,
    status: Status,
    task: Task<Result<(), IndexError>>,
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
    /// Opens the data directory, commits what the last run had not, and listens on `config.listen` (port 0 picks a free one).
    ///
    /// # Errors
    /// Port in use, data directory locked by another process or unreadable, damage in the middle of the write-ahead log.
    pub async fn start(config: IndexConfig, context: Context) -> Result<Running, IndexError> {
        let listen = config.listen;
        let refused = |source| IndexError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let status = Status::default();
        let metrics = Metrics::new(&context.metrics);
        let opened = {
            let (status, options) = (status.clone(), Options::from(&config));
            spawn_blocking(move || {
                let locked = lock(&options.data_dir)?;
                Ok::<_, IndexError>((locked, Engine::open(options, Arc::new(RealDisk), metrics, status)?))
            })
        };
        let (locked, engine) =
            opened.await.map_err(|error| IndexError::Stopped(format!("start failed: {error}")))??;
        let threads = Threads::start(&engine, context.progress.watch("index applier", STALL))?;
        context.health.set("index", Ok(()));
        let task = tokio::spawn(run(engine, threads, locked, listener, context));
        Ok(Running { address, status, task })
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

/// The engine's two threads: one syncs the log, one gives documents to the indices.
struct Threads {
    sync: JoinHandle<()>,
    apply: JoinHandle<Result<(), IndexError>>,
}

impl Threads {
    fn start(engine: &Arc<Engine>, pulse: Pulse) -> Result<Self, IndexError> {
        let failed = |source| IndexError::Io {
            path: engine.options.data_dir.clone(),
            what: "cannot start a thread for",
            source,
        };
        let (syncing, applying) = (engine.clone(), engine.clone());
        Ok(Self {
            sync: std::thread::Builder::new()
                .name("index-log".to_owned())
                .spawn(move || syncing.wal.sync_until_stopped(|| syncing.poke()))
                .map_err(failed)?,
            apply: std::thread::Builder::new()
                .name("index-apply".to_owned())
                .spawn(move || applying.apply_until_stopped(pulse))
                .map_err(failed)?,
        })
    }

    /// The log first, so that the applier sees everything durable.
    fn stop(self, engine: &Engine) -> Result<(), IndexError> {
        engine.wal.stop();
        let died = || IndexError::Stopped("a thread of the index died".to_owned());
        self.sync.join().map_err(|_| died())?;
        engine.stop_applier();
        self.apply.join().map_err(|_| died())?
    }
}

async fn run(
    engine: Arc<Engine>,
    threads: Threads,
    locked: File,
    listener: TcpListener,
    context: Context,
) -> Result<(), IndexError> {
    let stop = CancellationToken::new();
    let serving = tokio::spawn(Rest::new(engine.clone()).serve(listener, stop.clone()));
    tokio::select! {
        () = context.stop.cancelled() => {}
        failed = engine.wait_durable(u64::MAX) => {
            // Reads go on; writes are refused until a restart.
            let reason = failed.err().unwrap_or_else(|| "write-ahead log failed".into());
            context.health.set("index", Err(reason.to_string()));
            context.stop.cancelled().await;
        }
    }
    stop.cancel();
    // Requests under way are answered; idle connections are cut.
    let _ = tokio::time::timeout(Duration::from_secs(2), serving).await;
    let result = spawn_blocking(move || threads.stop(&engine)).await;
    drop(locked);
    result.map_err(|error| IndexError::Stopped(format!("stop failed: {error}")))?
}
