//! An embedded index in a directory of its own, for tests.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::{net::SocketAddr, path::Path, time::Duration};

use logmill_config::index::IndexConfig;
use logmill_daemon::context::Context;
use logmill_index::{Index, IndexError, Running};

pub fn config(data_dir: &Path) -> IndexConfig {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    IndexConfig {
        listen: any,
        data_dir: data_dir.to_owned(),
        refresh_interval: Duration::from_millis(200),
        max_writers: 2,
        writer_memory: 15_000_000,
        max_body_bytes: 16 * 1024 * 1024,
        metrics: any,
        shutdown_timeout: Duration::from_secs(8),
    }
}

pub struct Embedded {
    pub url: String,
    pub context: Context,
    running: Running,
    _dir: Option<tempfile::TempDir>,
}

impl Embedded {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut started = Self::start_in(dir.path()).await.unwrap();
        started._dir = Some(dir);
        started
    }

    pub async fn start_in(dir: &Path) -> Result<Self, IndexError> {
        Self::start_with(config(dir)).await
    }

    pub async fn start_with(config: IndexConfig) -> Result<Self, IndexError> {
        let context = Context::new();
        let running = Index::start(config, context.clone()).await?;
        Ok(Self { url: format!("http://{}", running.address()), context, running, _dir: None })
    }

    pub async fn stop(self) {
        self.context.stop.cancel();
        tokio::time::timeout(Duration::from_secs(30), self.running.wait()).await.unwrap().unwrap();
    }
}
