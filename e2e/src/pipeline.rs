//! agent, broker, sinks and index as separate processes on one directory, each restartable and killable.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    clock, http, ports,
    process::{Process, binary},
};

pub const TOPIC: &str = "logs.e2e";
pub const GROUP: &str = "e2e-logs";
pub const INDICES: &str = "e2e-logs-*";

/// Which daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Part {
    Broker,
    Index,
    Agent,
    Sinks,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Broker => "broker",
            Part::Index => "index",
            Part::Agent => "agent",
            Part::Sinks => "sinks",
        }
    }
}

pub struct Pipeline {
    pub dir: PathBuf,
    pub logs: PathBuf,
    pub brokers: String,
    pub index_url: String,
    running: Vec<(Part, Process)>,
    metrics: [(Part, u16); 4],
    data: PathBuf,
}

impl Pipeline {
    /// Everything of ours on free ports; `dir` holds state, logs and YAML.
    pub fn new(dir: &Path) -> Result<Self> {
        let (kafka, index) = (ports::free()?, ports::free()?);
        Self::with_peers(dir, &format!("127.0.0.1:{kafka}"), &format!("http://127.0.0.1:{index}"))
    }

    /// Agent and sinks between a Kafka and a search node at these addresses.
    pub fn with_peers(dir: &Path, brokers: &str, index_url: &str) -> Result<Self> {
        Self::with_data(dir, dir, brokers, index_url)
    }

    /// As `with_peers`, the daemons' state under `data`.
    pub fn with_data(dir: &Path, data: &Path, brokers: &str, index_url: &str) -> Result<Self> {
        let logs = dir.join("logs");
        std::fs::create_dir_all(&logs)?;
        let metrics = [
            (Part::Broker, ports::free()?),
            (Part::Index, ports::free()?),
            (Part::Agent, ports::free()?),
            (Part::Sinks, ports::free()?),
        ];
        let this = Self {
            dir: dir.to_owned(),
            logs,
            brokers: brokers.to_owned(),
            index_url: index_url.to_owned(),
            running: Vec::new(),
            metrics,
            data: data.to_owned(),
        };
        this.write_configuration()?;
        Ok(this)
    }

    fn write_configuration(&self) -> Result<()> {
        let (dir, brokers, url) = (self.data.display(), &self.brokers, &self.index_url);
        let listen = url.trim_start_matches("http://");
        let port = |part| self.port(part);
        let logs = self.logs.display();
        std::fs::write(
            self.yaml(Part::Broker),
            format!(
                "node_id: 1\ndata_dir: {dir}/broker\nlisteners:\n  - {{ listen: \"{brokers}\" }}\n\
                 metrics: \"127.0.0.1:{}\"\n",
                port(Part::Broker)
            ),
        )?;
        std::fs::write(
            self.yaml(Part::Index),
            format!("listen: \"{listen}\"\ndata_dir: {dir}/index\nmetrics: \"127.0.0.1:{}\"\n", port(Part::Index)),
        )?;
        std::fs::write(
            self.yaml(Part::Agent),
            format!(
                "state_dir: {dir}/agent\nkafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{}\"\n\
                 inputs:\n  - name: app\n    include: [\"{logs}/**/*.log\"]\n    topic: {TOPIC}\n    key: file\n",
                port(Part::Agent)
            ),
        )?;
        std::fs::write(
            self.yaml(Part::Sinks),
            format!(
                "kafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{}\"\n\
                 sinks:\n  - name: {GROUP}\n    topics: [{TOPIC}]\n    group: {GROUP}\n    elasticsearch:\n      \
                 hosts: [\"{url}\"]\n      index: \"e2e-logs-%Y.%m.%d\"\n    dead_letters: {{ topic: {TOPIC}.dead }}\n",
                port(Part::Sinks)
            ),
        )?;
        Ok(())
    }

    pub fn yaml(&self, part: Part) -> PathBuf {
        self.dir.join(format!("{}.yaml", part.name()))
    }

    pub fn port(&self, part: Part) -> u16 {
        self.metrics.iter().find(|(p, _)| *p == part).map_or(0, |(_, port)| *port)
    }

    /// Starts it and waits until its /health/live answers.
    pub async fn start(&mut self, part: Part) -> Result<()> {
        let program = binary(&format!("logmill-{}", part.name()))?;
        let (yaml, log) = (self.yaml(part), self.dir.join(format!("{}.out", part.name())));
        let process = Process::spawn(part.name(), &program, &["--config", &yaml.to_string_lossy()], &self.dir, &log)?;
        self.running.push((part, process));
        let url = format!("http://127.0.0.1:{}/health/live", self.port(part));
        let start = clock::now();
        loop {
            if http::text(&url).await.is_ok() {
                return Ok(());
            }
            let process = self.process(part)?;
            if let Some(code) = process.ended()? {
                let said = process.tail();
                self.forget(part);
                bail!("{} ended with {code} at start: {said}", part.name());
            }
            if start.elapsed() > Duration::from_secs(15) {
                bail!("{} is not live after 15 s: {}", part.name(), process.tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn start_all(&mut self) -> Result<()> {
        for part in [Part::Broker, Part::Index, Part::Agent, Part::Sinks] {
            self.start(part).await?;
        }
        // Files found before the first start is on disk are not owed in full yet.
        let url = format!("http://127.0.0.1:{}/health/ready", self.port(Part::Agent));
        clock::until("the agent to be ready", Duration::from_secs(15), Duration::from_millis(20), || async {
            http::text(&url).await.map(Some)
        })
        .await?;
        Ok(())
    }

    pub fn process(&mut self, part: Part) -> Result<&mut Process> {
        let process = self.running.iter_mut().find(|(p, _)| *p == part);
        process.map(|(_, p)| p).with_context(|| format!("{} is not running", part.name()))
    }

    /// One that ended by itself.
    pub fn forget(&mut self, part: Part) {
        self.running.retain(|(p, _)| *p != part);
    }

    /// SIGKILL.
    pub fn kill(&mut self, part: Part) -> Result<()> {
        self.process(part)?.kill()?;
        self.running.retain(|(p, _)| *p != part);
        Ok(())
    }

    /// SIGTERM, and exit code 0.
    pub async fn stop(&mut self, part: Part) -> Result<()> {
        self.process(part)?.stop().await?;
        self.running.retain(|(p, _)| *p != part);
        Ok(())
    }

    /// Agent first, so that what was read arrives.
    pub async fn stop_all(&mut self) -> Result<()> {
        for part in [Part::Agent, Part::Sinks, Part::Broker, Part::Index] {
            if self.running.iter().any(|(p, _)| *p == part) {
                self.stop(part).await?;
            }
        }
        Ok(())
    }

    pub async fn exposition(&self, part: Part) -> Result<String> {
        http::text(&format!("http://127.0.0.1:{}/metrics", self.port(part))).await
    }

    pub async fn metric(&self, part: Part, name: &str, labels: &[&str]) -> Result<f64> {
        Ok(http::metric(&self.exposition(part).await?, name, labels).unwrap_or(0.0))
    }

    /// Lines the agent read that are neither acknowledged nor dropped.
    pub async fn in_flight(&self) -> Result<f64> {
        let text = self.exposition(Part::Agent).await?;
        let value = |name| http::metric(&text, name, &[]).unwrap_or(0.0);
        Ok(value("logmill_agent_lines_read_total")
            - value("logmill_agent_lines_acknowledged_total")
            - value("logmill_agent_lines_dropped_total"))
    }

    /// `logmill ledger` over this pipeline: fails unless it adds up.
    pub async fn ledger(&self) -> Result<String> {
        let agent = format!("http://127.0.0.1:{}", self.port(Part::Agent));
        let sinks = format!("http://127.0.0.1:{}", self.port(Part::Sinks));
        let args = ["ledger", "--agent", &agent, "--sinks", &sinks];
        let (code, out, err) =
            crate::process::run(&binary("logmill")?, &args, &self.dir, Duration::from_secs(20)).await?;
        anyhow::ensure!(code == 0, "the ledger does not add up: {out}{err}");
        Ok(out)
    }

    /// As `ledger`, of the sinks alone.
    pub async fn ledger_of_sinks(&self) -> Result<()> {
        let sinks = format!("http://127.0.0.1:{}", self.port(Part::Sinks));
        let args = ["ledger", "--sinks", &sinks];
        let (code, out, err) =
            crate::process::run(&binary("logmill")?, &args, &self.dir, Duration::from_secs(20)).await?;
        anyhow::ensure!(code == 0, "the ledger does not add up: {out}{err}");
        Ok(())
    }
}
