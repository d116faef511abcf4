//! A broker under measurement: ours or Apache Kafka, with its process's CPU and memory.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use logmill_e2e::{
    clock::{self, Instant},
    peers::Kafka,
    ports,
    process::{Process, binary},
    sample,
};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};

use super::disk;

/// What an ack means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// In the page cache: Kafka's default.
    PageCache,
    /// On disk: our default, `flush.messages=1` of Kafka.
    Disk,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Make {
    Logmill,
    Kafka,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub make: Make,
    pub ack: Ack,
}

impl Kind {
    pub const OURS_DISK: Self = Self { make: Make::Logmill, ack: Ack::Disk };
    pub const OURS_CACHE: Self = Self { make: Make::Logmill, ack: Ack::PageCache };
    pub const KAFKA_DISK: Self = Self { make: Make::Kafka, ack: Ack::Disk };
    pub const KAFKA_CACHE: Self = Self { make: Make::Kafka, ack: Ack::PageCache };

    /// The same of the other make.
    pub fn peer(self) -> Self {
        let make = if self.make == Make::Logmill { Make::Kafka } else { Make::Logmill };
        Self { make, ..self }
    }

    pub fn name(self) -> &'static str {
        match (self.make, self.ack) {
            (Make::Logmill, Ack::Disk) => "logmill, on disk",
            (Make::Logmill, Ack::PageCache) => "logmill, page cache",
            (Make::Kafka, Ack::Disk) => "Kafka, flush per append",
            (Make::Kafka, Ack::PageCache) => "Kafka, page cache",
        }
    }
}

enum Running {
    Logmill(Process),
    Kafka(Kafka),
    Stopped,
}

pub struct Server {
    pub kind: Kind,
    pub brokers: String,
    port: u16,
    running: Running,
    dir: tempfile::TempDir,
}

impl Server {
    /// On an empty directory; with the time that [`Server::start_again`] gives.
    pub async fn start(kind: Kind) -> Result<(Self, Duration)> {
        let port = ports::free()?;
        let brokers = format!("127.0.0.1:{port}");
        let mut server = Self { kind, brokers, port, running: Running::Stopped, dir: tempfile::tempdir()? };
        let ready = server.start_again().await?;
        Ok((server, ready))
    }

    /// From exec of the daemon (for Kafka: of its start script, which formats the directory the first time) to the first ack of
    /// a producer that was there before.
    pub async fn start_again(&mut self) -> Result<Duration> {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("reconnect.backoff.ms", "1")
            .set("reconnect.backoff.max.ms", "2")
            .set("retry.backoff.ms", "1")
            .set("topic.metadata.refresh.fast.interval.ms", "1")
            .set("linger.ms", "0")
            .set("log_level", "0")
            .create()?;
        let first = FutureRecord::<(), str>::to("first").payload("hello");
        let begin = clock::now();
        let start = async { self.execute().await };
        let (started, delivered) = tokio::join!(start, producer.send(first, Duration::from_secs(60)));
        let ready = begin.elapsed();
        started?;
        delivered.map_err(|(e, _)| e).context("the first record was not delivered")?;
        Ok(ready)
    }

    async fn execute(&mut self) -> Result<()> {
        // Dropped first: what is left of a killed one is stopped with it, by its directory.
        self.running = Running::Stopped;
        let dir = self.dir.path().to_owned();
        self.running = match self.kind.make {
            Make::Logmill => {
                let durability = if self.kind.ack == Ack::Disk { "fsync" } else { "page-cache" };
                let yaml = dir.join("broker.yaml");
                let text = format!(
                    "data_dir: {}/data\nlisteners: [{{ listen: \"{}\" }}]\ndurability: {durability}\nmetrics: \"127.0.0.1:{}\"\n",
                    dir.display(),
                    self.brokers,
                    ports::free()?
                );
                std::fs::write(&yaml, text)?;
                let args = ["--config", &*yaml.to_string_lossy()];
                let log = dir.join("broker.out");
                Running::Logmill(Process::spawn("broker", &binary("logmill-broker")?, &args, &dir, &log)?)
            }
            Make::Kafka => {
                let (port, data) = (self.port, dir.join("kafka"));
                let flush = (self.kind.ack == Ack::Disk).then_some("log.flush.interval.messages=1");
                let kafka = tokio::task::spawn_blocking(move || Kafka::start_nodes(&data, port, 1, flush.as_slice()));
                Running::Kafka(kafka.await??)
            }
        };
        Ok(())
    }

    /// SIGTERM, to its end.
    pub async fn stop(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.running, Running::Stopped) {
            Running::Logmill(mut process) => process.stop().await,
            Running::Kafka(kafka) => Ok(tokio::task::spawn_blocking(move || drop(kafka)).await?),
            Running::Stopped => Ok(()),
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        match &mut self.running {
            Running::Logmill(process) => process.kill(),
            Running::Kafka(kafka) => kafka.kill_node(1),
            Running::Stopped => Ok(()),
        }
    }

    pub fn pid(&self) -> Result<u32> {
        match &self.running {
            Running::Logmill(process) => Ok(process.id()),
            Running::Kafka(kafka) => kafka.node_pid(1),
            Running::Stopped => anyhow::bail!("the broker is not running"),
        }
    }

    /// Before a run: see [`disk::settle`].
    pub fn settle(&self) {
        disk::settle(self.dir.path());
    }

    /// Keeps all its threads on one core.
    pub fn pin(&self, core: usize) -> Result<()> {
        let (core, pid) = (core.to_string(), self.pid()?.to_string());
        let status =
            std::process::Command::new("taskset").args(["-acp", &core, &pid]).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "taskset: {status}");
        Ok(())
    }

    /// Starts to measure what its process uses.
    pub fn meter(&self) -> Result<Meter> {
        let pid = self.pid()?;
        let peak = sample::PeakMemory::watch(pid);
        Ok(Meter { pid, cpu: sample::cpu_seconds(pid)?, since: clock::now(), peak })
    }
}

/// CPU and memory of a process from its making on.
pub struct Meter {
    pid: u32,
    cpu: f64,
    since: Instant,
    peak: sample::PeakMemory,
}

impl Meter {
    pub fn seconds(&self) -> f64 {
        self.since.elapsed().as_secs_f64()
    }

    pub fn cpu_seconds(&self) -> Result<f64> {
        Ok(sample::cpu_seconds(self.pid)? - self.cpu)
    }

    pub fn peak_mib(&self) -> f64 {
        self.peak.mib()
    }
}
