//! An Apache Kafka with access control: an input that may not write to its topic stands and says so, the others go on, and it goes
//! on by itself when it may.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    clock, http,
    peers::{Kafka, kafka_tool},
    pipeline::{Part, Pipeline},
    readback,
};

/// What a broker that asks who may do what is started with; who is nobody in particular may do what is not forbidden.
pub(super) const AUTHORIZER: [&str; 2] = [
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found=true",
];
/// The input of the first topic always may, that of the second never sees its topic, that of the third sees it.
const TOPICS: [&str; 3] = ["denied.not", "denied.all", "denied.write"];
const LINES: u64 = 500;
const EVERY: Duration = Duration::from_millis(250);

pub(super) async fn run(kafka: &Kafka, dir: &Path) -> Result<String> {
    std::fs::create_dir_all(dir)?;
    let mut stage =
        Stage { kafka, pipeline: Pipeline::with_peers(dir, &kafka.brokers(), "http://127.0.0.1:1")?, lines: 0 };
    stage.configure()?;
    for topic in TOPICS {
        stage.tool("topics", &["--create", "--topic", topic, "--partitions", "1"]).await?;
    }
    stage.acls("--add", &["--deny-principal", "User:ANONYMOUS", "--operation", "All", "--topic", TOPICS[1]]).await?;
    stage.pipeline.start(Part::Agent).await?;
    stage.write()?;
    stage.holds(TOPICS[0]).await?;
    stage.holds(TOPICS[2]).await?;
    stage.stand(&[TOPICS[1]]).await.context("an input that never was allowed")?;

    // While it runs, the next one.
    stage
        .acls("--add", &["--allow-principal", "User:ANONYMOUS", "--operation", "Describe", "--topic", TOPICS[2]])
        .await?;
    stage.acls("--add", &["--deny-principal", "User:ANONYMOUS", "--operation", "Write", "--topic", TOPICS[2]]).await?;
    stage.write()?;
    stage.holds(TOPICS[0]).await?;
    stage.stand(&TOPICS[1..]).await.context("two of three inputs")?;
    let written = readback::topic_size(&kafka.brokers(), TOPICS[2])?;
    ensure!(written == LINES, "{written} records where {LINES} were allowed");

    for topic in &TOPICS[1..] {
        stage.acls("--remove", &["--force", "--topic", topic]).await?;
    }
    let start = clock::now();
    for topic in TOPICS {
        stage.holds(topic).await?;
    }
    stage.stand(&[]).await.context("no input, when all may write")?;
    let took = start.elapsed().as_secs_f64();
    ensure!(stage.pipeline.process(Part::Agent)?.ended()?.is_none(), "the agent ended");
    stage.pipeline.stop(Part::Agent).await?;
    Ok(format!("two of three inputs stood while access control said so, and went on {took:.1} s after"))
}

struct Stage<'a> {
    kafka: &'a Kafka,
    pipeline: Pipeline,
    /// Written to each input's file.
    lines: u64,
}

impl Stage<'_> {
    fn configure(&self) -> Result<()> {
        let (dir, logs) = (self.pipeline.dir.display(), self.pipeline.logs.display());
        let mut yaml = format!(
            "state_dir: {dir}/agent\nkafka: {{ brokers: [\"{}\"] }}\nmetrics: \"127.0.0.1:{}\"\ninputs:\n",
            self.pipeline.brokers,
            self.pipeline.port(Part::Agent)
        );
        for topic in TOPICS {
            yaml += &format!("  - {{ name: {topic}, include: [\"{logs}/{topic}.log\"], topic: {topic} }}\n");
        }
        Ok(std::fs::write(self.pipeline.yaml(Part::Agent), yaml)?)
    }

    async fn tool(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let brokers = self.kafka.brokers();
        let all = [&[name, "--bootstrap-server", &brokers], arguments].concat();
        let (code, out, err) = kafka_tool(&all, "").await?;
        ensure!(code == 0, "{all:?} ended with {code}: {out}{err}");
        Ok(())
    }

    async fn acls(&self, what: &str, arguments: &[&str]) -> Result<()> {
        self.tool("acls", &[&[what], arguments].concat()).await
    }

    fn write(&mut self) -> Result<()> {
        let lines: String = (self.lines..self.lines + LINES).map(|n| format!("line {n}\n")).collect();
        self.lines += LINES;
        for topic in TOPICS {
            let path = self.pipeline.logs.join(format!("{topic}.log"));
            let mut file = std::fs::File::options().append(true).create(true).open(path)?;
            std::io::Write::write_all(&mut file, lines.as_bytes())?;
        }
        Ok(())
    }

    /// Waits until all lines of its input are in a topic, each once.
    async fn holds(&self, topic: &str) -> Result<()> {
        clock::until("all lines of an input", Duration::from_secs(60), EVERY, || async {
            let size = readback::topic_size(&self.kafka.brokers(), topic)?;
            ensure!(size == self.lines, "{topic}: {size} of {}", self.lines);
            Ok(Some(()))
        })
        .await
    }

    /// Waits until these inputs and no others say everywhere that Kafka refuses them.
    async fn stand(&self, inputs: &[&str]) -> Result<()> {
        let url = |page| format!("http://127.0.0.1:{}/{page}", self.pipeline.port(Part::Agent));
        clock::until("the inputs to stand", Duration::from_secs(30), EVERY, || async {
            let (metrics, status) = (http::text(&url("metrics")).await?, http::text(&url("status")).await?);
            let unready = http::text(&url("health/ready")).await.err().map(|e| format!("{e:#}"));
            for topic in TOPICS {
                let stands = inputs.contains(&topic);
                let label = format!("input=\"{topic}\"");
                let metric = http::metric(&metrics, "logmill_agent_input_refused", &[&label]).unwrap_or(0.0);
                ensure!((metric == 1.0) == stands, "{topic}: its metric is {metric}");
                let line = status.lines().find(|line| line.starts_with(&format!("{topic} "))).context("no status")?;
                let says = line.contains("refused by kafka: ") && line.contains("uthorization");
                ensure!(says == stands, "its status is {line}");
            }
            let first = inputs.first().map(|name| format!("kafka refuses the records of input {name}: "));
            match (&first, &unready) {
                (Some(words), Some(unready)) => ensure!(unready.contains(words), "its health is {unready}"),
                (None, None) => {}
                _ => anyhow::bail!("its health is {unready:?}"),
            }
            Ok(Some(()))
        })
        .await
    }
}
