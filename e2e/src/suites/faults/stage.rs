//! A broker, two processes of one sink, and the proxy before a search node; what is produced and what must come of it.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::json;

use crate::{
    clock, http,
    pipeline::{Part, Pipeline},
    ports,
    process::{self, Process, binary},
    proxy::{Proxy, Weather},
    readback,
    suites::Room,
};

const TOPIC: &str = "faults";
/// What the proxy takes in one request; a hopeless document is larger.
const LARGEST: usize = 256 << 10;
/// A request's time-out, and how long the proxy hangs.
const TIMEOUT: &str = "1s";
const HANG: Duration = Duration::from_millis(1500);

/// Numbered documents of one day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Documents {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) day: u32,
}

/// Whether the mapping refuses it.
fn is_conflict(n: u64) -> bool {
    n % 500 == 250
}

/// Whether no request takes it.
fn is_oversized(n: u64) -> bool {
    n % 4000 == 1999
}

impl Documents {
    pub(super) fn first_half(self) -> Self {
        Self { to: (self.from + self.to) / 2, ..self }
    }

    pub(super) fn second_half(self) -> Self {
        Self { from: (self.from + self.to) / 2, ..self }
    }

    fn hopeless(self) -> u64 {
        (self.from..self.to).filter(|n| is_conflict(*n) || is_oversized(*n)).count() as u64
    }
}

pub(super) struct Stage {
    pub(super) proxy: Proxy,
    pub(super) upstream: String,
    pub(super) pipeline: Pipeline,
    kind: &'static str,
    dir: PathBuf,
    sinks: [Option<Process>; 2],
    metrics: [u16; 2],
    produced: Vec<Documents>,
}

impl Stage {
    pub(super) async fn new(room: &Room, kind: &'static str, upstream: &str) -> Result<Self> {
        let dir = room.dir.join(format!("on-{kind}"));
        std::fs::create_dir_all(&dir)?;
        let proxy = Proxy::start(upstream, LARGEST, HANG).await?;
        let mut pipeline = Pipeline::with_peers(&dir, &format!("127.0.0.1:{}", ports::free()?), upstream)?;
        pipeline.start(Part::Broker).await?;
        let metrics = [ports::free()?, ports::free()?];
        // Small ones meet more faults.
        let most = if room.is_long() { 1_000 } else { 200 };
        for (at, port) in metrics.iter().enumerate() {
            let (brokers, url) = (&pipeline.brokers, &proxy.url);
            let text = format!(
                "kafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{port}\"\nsinks:\n  - name: faults\n    \
                 topics: [{TOPIC}]\n    retry: {{ initial: 50ms, max: 500ms }}\n    elasticsearch:\n      \
                 hosts: [\"{url}\"]\n      index: \"faults-%Y.%m.%d\"\n      timeout: {TIMEOUT}\n      \
                 bulk: {{ max_documents: {most}, max_bytes: 128KiB, linger: 50ms }}\n"
            );
            std::fs::write(dir.join(format!("sinks-{at}.yaml")), text)?;
        }
        let upstream = upstream.to_owned();
        Ok(Self { proxy, upstream, pipeline, kind, dir, sinks: [None, None], metrics, produced: Vec::new() })
    }

    pub(super) fn index(&self, day: u32) -> String {
        format!("faults-2026.11.{day}")
    }

    /// With a mapping that refuses text where a number is.
    pub(super) async fn make_index(&self, day: u32) -> Result<()> {
        let url = format!("{}/{}", self.upstream, self.index(day));
        let body = json!({
            "settings": {"number_of_shards": 1, "number_of_replicas": 0},
            "mappings": {"properties": {"n": {"type": "long"}}}
        });
        clock::until("the index", Duration::from_secs(30), Duration::from_millis(100), || async {
            http::json("PUT", &url, Some(&body)).await.map(Some)
        })
        .await?;
        Ok(())
    }

    pub(super) async fn produce(&mut self, documents: Documents) -> Result<()> {
        self.produced.push(documents);
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.pipeline.brokers)
            .set("linger.ms", "5")
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "1000000")
            .create()?;
        let mut sent = Vec::new();
        for n in documents.from..documents.to {
            let value = if is_conflict(n) { json!(format!("no number {n}")) } else { json!(n) };
            let pad = "x".repeat(if is_oversized(n) { LARGEST + 1 } else { 100 });
            let value = json!({"@timestamp": format!("2026-11-{}T12:00:00Z", documents.day), "n": value, "pad": pad});
            let (id, text) = (u128::from(n).to_be_bytes(), value.to_string());
            let headers = OwnedHeaders::new().insert(Header { key: "logmill-id", value: Some(&id[..]) });
            let partition = i32::try_from(n % 4)?;
            let record = FutureRecord::<(), _>::to(TOPIC).partition(partition).payload(&text).headers(headers);
            let future = producer.send_result(record).map_err(|(e, _)| e).context("producing");
            sent.push(future?);
        }
        for future in sent {
            future.await?.map_err(|(e, _)| e)?;
        }
        Ok(())
    }

    pub(super) async fn start(&mut self, at: usize) -> Result<()> {
        let (name, yaml) = (format!("sinks-{at}"), self.dir.join(format!("sinks-{at}.yaml")));
        let log = self.dir.join(format!("{name}.out"));
        let arguments = ["--config", &yaml.to_string_lossy()];
        self.sinks[at] = Some(Process::spawn(&name, &binary("logmill-sinks")?, &arguments, &self.dir, &log)?);
        let url = format!("http://127.0.0.1:{}/health/live", self.metrics[at]);
        clock::until("the sinks to live", Duration::from_secs(15), Duration::from_millis(50), || async {
            http::text(&url).await.map(Some)
        })
        .await?;
        Ok(())
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self, at: usize) -> Result<()> {
        self.sinks[at].take().context("not running")?.kill()
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        for sinks in self.sinks.iter_mut().flatten() {
            sinks.stop().await?;
        }
        self.pipeline.stop_all().await
    }

    pub(super) fn process(&self, at: usize) -> Result<&Process> {
        self.sinks[at].as_ref().context("not running")
    }

    /// Waits until a sink says this in `/health/ready`.
    pub(super) async fn alarm(&self, words: &str) -> Result<()> {
        let what = format!("the alarm \"{words}\"");
        clock::until(&what, Duration::from_secs(40), Duration::from_millis(100), || async {
            let mut heard = String::new();
            for (at, port) in self.metrics.iter().enumerate() {
                if self.sinks[at].is_none() {
                    continue;
                }
                match http::text(&format!("http://127.0.0.1:{port}/health/ready")).await {
                    Ok(_) => heard.push_str("ready; "),
                    Err(e) => heard.push_str(&format!("{e:#}; ")),
                }
            }
            ensure!(heard.contains(words), "{heard}");
            Ok(Some(()))
        })
        .await
    }

    /// Records of this outcome, over the partitions as they are owned now.
    async fn ledger(&self, outcome: &str) -> Result<u64> {
        let mut sum = 0.0;
        for (at, port) in self.metrics.iter().enumerate() {
            if self.sinks[at].is_some() {
                let text = http::text(&format!("http://127.0.0.1:{port}/metrics")).await?;
                let label = format!("outcome=\"{outcome}\"");
                sum += http::metric(&text, "logmill_sinks_ledger_records", &[&label]).unwrap_or(0.0);
            }
        }
        Ok(sum as u64)
    }

    /// Records that are indexed and committed.
    pub(super) async fn done(&self) -> Result<u64> {
        Ok(self.ledger("indexed").await? + self.ledger("duplicate").await?)
    }

    pub(super) async fn some_are_done(&self, count: u64) -> Result<()> {
        clock::until("some documents", Duration::from_secs(60), Duration::from_millis(50), || async {
            let done = self.done().await?;
            ensure!(done >= count, "{done} of {count}");
            Ok(Some(()))
        })
        .await
    }

    /// Everything that was produced has come to its end, and to the right one.
    pub(super) async fn whole(&self) -> Result<String> {
        let total: u64 = self.produced.iter().map(|documents| documents.to - documents.from).sum();
        let hopeless: u64 = self.produced.iter().map(|documents| documents.hopeless()).sum();
        let good = total - hopeless;
        clock::until("all documents", Duration::from_secs(90), Duration::from_millis(200), || async {
            let (done, dead) = (self.done().await?, self.ledger("dead_lettered").await?);
            ensure!((done, dead) == (good, hopeless), "{done} of {good} indexed, {dead} of {hopeless} dead letters");
            Ok(Some(()))
        })
        .await?;
        http::json("POST", &format!("{}/faults-*/_refresh", self.upstream), None).await?;
        let count = readback::index_count(&self.upstream, "faults-*").await?;
        ensure!(count == good, "{count} documents in the index, {good} expected");
        let indexed = self.ledger("indexed").await?;
        ensure!(indexed <= good, "{indexed} counted as indexed, {good} are there");
        for other in ["filtered", "expired"] {
            ensure!(self.ledger(other).await? == 0, "some are {other}");
        }
        let letters = readback::topic_size(&self.pipeline.brokers, "faults.dead")?;
        // A kill between a letter and its commit makes it twice.
        ensure!(letters >= hopeless && letters <= hopeless * 2, "{letters} letters for {hopeless} hopeless documents");
        self.command_adds_up().await?;
        Ok(format!("{}: {good} whole, {} of them counted as duplicates, {hopeless} dead", self.kind, good - indexed))
    }

    async fn command_adds_up(&self) -> Result<()> {
        let urls = self.metrics.map(|port| format!("http://127.0.0.1:{port}"));
        let mut arguments = vec!["ledger"];
        for (at, url) in urls.iter().enumerate() {
            if self.sinks[at].is_some() {
                arguments.extend(["--sinks", url]);
            }
        }
        let (code, out, err) =
            process::run(&binary("logmill")?, &arguments, &self.dir, Duration::from_secs(20)).await?;
        ensure!(code == 0, "the ledger does not add up: {out}{err}");
        Ok(())
    }

    pub(super) fn calm(&self) {
        self.proxy.set(Weather::Calm);
    }
}
