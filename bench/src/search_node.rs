//! Search nodes under measurement: the embedded index, Elasticsearch, OpenSearch; and the bare bulk loader.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use logmill_e2e::{
    clock, http,
    peers::Search,
    pipeline::{Part, Pipeline},
    ports, readback, sample,
};

use crate::null_bulk::Bulk;

/// Part of a core that a node uses which has nothing to do, the time over which that is looked at, and how long it may take to get there.
const IDLE: f64 = 0.1;
const LOOK: Duration = Duration::from_secs(1);
const CALMING: Duration = Duration::from_secs(30);
/// Connections of the loader: what keeps a node on two cores busy.
const CONNECTIONS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(300);

enum Running {
    Embedded(Box<Pipeline>),
    Peer(Search),
}

pub struct SearchNode {
    pub name: &'static str,
    pub url: String,
    running: Running,
    dir: tempfile::TempDir,
}

impl SearchNode {
    pub async fn embedded() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut pipeline = Pipeline::new(dir.path())?;
        pipeline.start(Part::Index).await?;
        Ok(Self {
            name: "logmill-index",
            url: pipeline.index_url.clone(),
            running: Running::Embedded(Box::new(pipeline)),
            dir,
        })
    }

    pub async fn peer(kind: &'static str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (port, data) = (ports::free()?, dir.path().join("node"));
        let search = tokio::task::spawn_blocking(move || Search::start(kind, &data, port)).await??;
        let name = if kind == "elasticsearch" { "Elasticsearch" } else { "OpenSearch" };
        Ok(Self { name, url: search.url.clone(), running: Running::Peer(search), dir })
    }

    pub fn pid(&mut self) -> Result<u32> {
        match &mut self.running {
            Running::Embedded(pipeline) => Ok(pipeline.process(Part::Index)?.id()),
            Running::Peer(search) => search.pid(),
        }
    }

    /// Bytes of its files.
    pub fn disk_bytes(&self) -> Result<u64> {
        size(self.dir.path())
    }

    /// Removes every index of ours.
    pub async fn clear(&self) -> Result<()> {
        let indices = http::json("GET", &format!("{}/_cat/indices?format=json", self.url), None).await?;
        for index in indices.as_array().context("no list of indices")? {
            let name = index["index"].as_str().context("an index without name")?;
            http::json("DELETE", &format!("{}/{name}", self.url), None).await?;
        }
        Ok(())
    }

    /// Before a run: no index, no garbage in the heap, and nothing left to do from the run before.
    pub async fn calm(&self) -> Result<()> {
        self.clear().await?;
        let Running::Peer(search) = &self.running else { return Ok(()) };
        let (pid, begin) = (search.pid()?, clock::now());
        let collected = tokio::process::Command::new("jcmd").args([&pid.to_string(), "GC.run"]).output().await;
        let collected = collected.context("running jcmd, which is part of a JDK")?;
        ensure!(collected.status.success(), "jcmd: {}", String::from_utf8_lossy(&collected.stderr));
        loop {
            let before = sample::cpu_seconds(pid)?;
            tokio::time::sleep(LOOK).await;
            let used = sample::cpu_seconds(pid)? - before;
            if used < IDLE * LOOK.as_secs_f64() {
                return Ok(());
            }
            ensure!(begin.elapsed() < CALMING, "{} is busy without having anything to do", self.name);
        }
    }

    /// Documents indexed so far, as the node counts them without a refresh: asking costs it nothing.
    pub async fn indexed(&self) -> Result<u64> {
        let stats = http::json("GET", &format!("{}/bench-*/_stats/indexing", self.url), None).await?;
        Ok(stats["_all"]["primaries"]["indexing"]["index_total"].as_u64().unwrap_or(0))
    }

    /// Documents in all indices, refreshed.
    pub async fn count(&self) -> Result<u64> {
        http::json("POST", &format!("{}/_refresh", self.url), None).await?;
        readback::index_count(&self.url, "*").await
    }

    /// Waits until it counts this many documents in all indices.
    pub async fn holds(&self, documents: u64) -> Result<()> {
        clock::until("the documents to be counted", PATIENCE, Duration::from_millis(50), || async {
            let count = self.count().await?;
            ensure!(count <= documents, "{count} documents of {documents}");
            Ok((count == documents).then_some(()))
        })
        .await
    }

    /// The bare loader: sends prepared bodies over a few connections, nothing else. Fails unless each document is taken.
    pub async fn load(&self, bulks: &[Bulk]) -> Result<()> {
        let waiting: Arc<Mutex<VecDeque<Bulk>>> = Arc::new(Mutex::new(bulks.iter().cloned().collect()));
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (waiting, client, url) = (waiting.clone(), client.clone(), format!("{}/_bulk", self.url));
            workers.spawn(async move {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(bulk) = next else { return anyhow::Ok(()) };
                    let request = client.post(&url).header("content-type", "application/x-ndjson").body(bulk);
                    let answer = request.send().await?.error_for_status()?.bytes().await?;
                    ensure!(memchr::memmem::find(&answer, b"\"errors\":false").is_some(), "a document was refused");
                }
            });
        }
        while let Some(done) = workers.join_next().await {
            done??;
        }
        Ok(())
    }
}

fn size(path: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        // A node removes files while it is looked at.
        let Ok(metadata) = entry.metadata() else { continue };
        sum += if metadata.is_dir() { size(&entry.path()).unwrap_or(0) } else { metadata.len() };
    }
    Ok(sum)
}
