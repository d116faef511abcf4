//! The sinks before search nodes that fail in every way: a proxy that refuses, halves, hangs and cuts, kills of both sides,
//! two processes that take partitions from one another, indices that are read-only or one too many, documents that never fit.
//! Each document is there once, each hopeless one is a dead letter, and the ledger adds up.

mod outage;
mod stage;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use self::stage::{Documents, Stage};
use super::Room;
use crate::{
    clock, http,
    peers::Search,
    ports,
    process::{Process, binary},
    proxy::{FAULTS, Weather},
};

pub(super) async fn run(room: &Room) -> Result<String> {
    if room.is_long() {
        return outage::run(room).await;
    }
    // Real nodes take their time to start: meanwhile the embedded index has its turn.
    let (elastic_dir, elastic_port) = (room.dir.join("elasticsearch"), ports::free()?);
    let (dir, port) = (elastic_dir.clone(), elastic_port);
    let starting = std::thread::spawn(move || {
        // Every bulk request is refused by the node itself: 429.
        Search::start_with("elasticsearch", &dir, port, &["indexing_pressure.memory.limit: 200b"])
    });
    let mut told = vec![on_the_embedded_index(room).await.context("embedded index")?];
    let elastic = starting.join().map_err(|_| anyhow::anyhow!("the starter panicked"))??;
    told.push(on_elasticsearch(room, elastic, &elastic_dir, elastic_port).await.context("Elasticsearch")?);
    told.push(on_opensearch(room).await.context("OpenSearch")?);
    Ok(told.join("; "))
}

/// Its address, and what starts it there.
fn embedded_index(room: &Room) -> Result<(String, impl Fn() -> Result<Process>)> {
    let (port, metrics) = (ports::free()?, ports::free()?);
    let yaml = room.dir.join("index.yaml");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\ndata_dir: {}\nmetrics: \"127.0.0.1:{metrics}\"\n",
        room.dir.join("index").display()
    );
    std::fs::write(&yaml, text)?;
    let start = move || {
        let arguments = ["--config", &yaml.to_string_lossy()];
        Process::spawn("index", &binary("logmill-index")?, &arguments, &room.dir, &room.dir.join("index.out"))
    };
    Ok((format!("http://127.0.0.1:{port}"), start))
}

async fn on_the_embedded_index(room: &Room) -> Result<String> {
    let (url, start) = embedded_index(room)?;
    let mut index = start()?;
    let mut stage = Stage::new(room, "embedded", &url).await?;
    let documents = Documents { from: 0, to: 8_000, day: 21 };
    stage.make_index(21).await?;
    stage.proxy.set(Weather::Storm);
    stage.produce(documents.first_half()).await?;
    stage.start(0).await?;
    stage.some_are_done(300).await?;
    stage.start(1).await?;
    stage.produce(documents.second_half()).await?;
    stage.kill(0)?;
    index.kill()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    index = start()?;
    stage.start(0).await?;
    stage.all_faults_were_met().await?;
    // What this node never says by itself.
    stage.proxy.set(Weather::Refused(403, "cluster_block_exception"));
    stage.produce(Documents { from: documents.to, to: documents.to + 500, day: 21 }).await?;
    stage.alarm("403 cluster_block_exception").await?;
    stage.proxy.set(Weather::Refused(400, "validation_exception"));
    stage.alarm("400 validation_exception").await?;
    stage.proxy.set(Weather::Away);
    stage.alarm("unavailable").await?;
    stage.calm();
    let told = stage.whole().await?;
    stage.stop().await?;
    drop(index);
    Ok(told)
}

async fn on_elasticsearch(room: &Room, limited: Search, dir: &std::path::Path, port: u16) -> Result<String> {
    let mut stage = Stage::new(room, "elasticsearch", &limited.url).await?;
    let documents = Documents { from: 0, to: 4_000, day: 21 };
    stage.make_index(21).await?;
    stage.produce(documents).await?;
    stage.start(0).await?;
    stage.start(1).await?;
    stage.alarm("unavailable: 429").await?;
    ensure!(stage.done().await? == 0, "something was indexed by a node that takes nothing");
    // The node dies, and comes back as one that takes documents.
    limited.kill()?;
    stage.proxy.set(Weather::Storm);
    let search = Search::start("elasticsearch", dir, port)?;
    stage.some_are_done(500).await?;
    stage.kill(1)?;
    stage.start(1).await?;
    stage.read_only(21).await?;
    stage.shard_limit(documents).await?;
    stage.calm();
    let told = stage.whole().await?;
    stage.stop().await?;
    drop(search);
    Ok(told)
}

async fn on_opensearch(room: &Room) -> Result<String> {
    let (dir, port) = (room.dir.join("opensearch"), ports::free()?);
    let search = Search::start("opensearch", &dir, port)?;
    let mut stage = Stage::new(room, "opensearch", &search.url).await?;
    let documents = Documents { from: 0, to: 4_000, day: 21 };
    stage.make_index(21).await?;
    stage.proxy.set(Weather::Storm);
    stage.produce(documents).await?;
    stage.start(0).await?;
    stage.some_are_done(300).await?;
    stage.start(1).await?;
    stage.kill(0)?;
    stage.start(0).await?;
    search.kill()?;
    let search = Search::start("opensearch", &dir, port)?;
    stage.read_only(21).await?;
    stage.shard_limit(documents).await?;
    stage.calm();
    let told = stage.whole().await?;
    stage.stop().await?;
    drop(search);
    Ok(told)
}

impl Stage {
    async fn all_faults_were_met(&self) -> Result<()> {
        clock::until("every fault", Duration::from_secs(60), Duration::from_millis(100), || async {
            let met = self.proxy.met();
            ensure!(FAULTS.iter().all(|fault| met.contains_key(fault)), "only {met:?}");
            Ok(Some(()))
        })
        .await
    }

    /// An operator makes the index read-only, and takes that back.
    async fn read_only(&mut self, day: u32) -> Result<()> {
        let url = format!("{}/{}/_settings", self.upstream, self.index(day));
        http::json("PUT", &url, Some(&json!({"index.blocks.write": true}))).await?;
        let (from, to) = (1_000_000, 1_000_500);
        self.produce(Documents { from, to, day }).await?;
        self.alarm("403 cluster_block_exception").await?;
        http::json("PUT", &url, Some(&json!({"index.blocks.write": null}))).await?;
        Ok(())
    }

    /// The cluster takes no index more: documents of another day, numbered on from these, wait until it does.
    async fn shard_limit(&mut self, before: Documents) -> Result<()> {
        let url = format!("{}/_cluster/settings", self.upstream);
        http::json("PUT", &url, Some(&json!({"persistent": {"cluster.max_shards_per_node": 1}}))).await?;
        self.produce(Documents { from: before.to, to: before.to + 1_000, day: 22 }).await?;
        self.alarm("validation_exception").await?;
        http::json("PUT", &url, Some(&json!({"persistent": {"cluster.max_shards_per_node": null}}))).await?;
        Ok(())
    }
}
