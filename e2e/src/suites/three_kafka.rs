//! The agent and the sinks as deploy/docker/compose.kafka.yaml runs them, on three Kafka nodes of which one is killed for good.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use super::Room;
use crate::{
    clock,
    generate::{Dates, Plan, Writer},
    peers::Kafka,
    pipeline::{Part, Pipeline},
    ports,
    process::{self, Process, binary},
    readback,
};

const FILES: usize = 6;
const TOPIC: &str = "logs.app";
const INDICES: &str = "app-logs-*";

pub(super) async fn run(room: &Room) -> Result<String> {
    let per_file: u64 = if room.is_long() { 100_000 } else { 4_000 };
    let rate = if room.is_long() { 5000 } else { 1200 };
    let total = FILES as u64 * per_file;
    let settings = ["default.replication.factor=3", "min.insync.replicas=2", "num.partitions=6"];
    let kafka = Kafka::start_nodes(&room.dir.join("kafka"), ports::free_for_kafka()?, 3, &settings)?;
    let mut index = Pipeline::new(&room.dir)?;
    index.start(Part::Index).await?;
    let create = ["topics", "create", TOPIC, "--brokers", &kafka.brokers(), "--partitions", "6"];
    logmill(&[&create[..], &["--replication-factor", "3"]].concat(), &room.dir).await?;
    let mut agent = start(&index, "agent", &kafka, Part::Agent)?;
    let mut sinks = start(&index, "sinks", &kafka, Part::Sinks)?;
    let writer = Writer::start(Plan {
        dir: index.logs.clone(),
        files: FILES,
        lines_per_file: per_file,
        rotate_every: per_file / 3,
        rate,
        dates: Dates::Now,
    });
    clock::until("the first acknowledged lines", Duration::from_secs(30), Duration::from_millis(250), || async {
        let count = index.metric(Part::Agent, "logmill_agent_lines_acknowledged_total", &[]).await?;
        Ok((count > 0.0).then_some(()))
    })
    .await
    .with_context(|| agent.tail())?;
    ensure!(writer.lines() < total, "everything was written before a node could be killed");
    // The first in everybody's list.
    kafka.kill_node(1)?;
    ensure!(writer.join()? == total, "the writer did not finish");
    clock::until("every line in the index", Duration::from_secs(60), Duration::from_millis(500), || async {
        let count = readback::index_count(&index.index_url, INDICES).await?;
        ensure!(count == total, "{count} of {total} documents");
        Ok(Some(()))
    })
    .await
    .with_context(|| format!("agent: {}\nsinks: {}", agent.tail(), sinks.tail()))?;

    let alive = kafka.brokers();
    let in_topic = readback::topic(&alive, TOPIC, FILES, per_file)?;
    in_topic.none_missing()?;
    in_topic.none_twice()?;
    in_topic.in_order()?;
    let in_index = readback::index(&index.index_url, INDICES, FILES, per_file).await?;
    in_index.none_missing()?;
    in_index.none_twice()?;
    copies(&alive, &room.dir).await?;
    agent.stop().await?;
    sinks.stop().await?;
    index.stop_all().await?;
    Ok(format!("{total} lines exact in topic and index, one node of three killed while they were written"))
}

/// One of our daemons on the compose file's own configuration, which takes what differs here from the environment.
fn start(pipeline: &Pipeline, name: &str, kafka: &Kafka, part: Part) -> Result<Process> {
    let yaml = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/docker/kafka/{name}.yaml"));
    let brokers = kafka.nodes();
    let environment = [
        ("KAFKA_1", brokers[0].clone()),
        ("KAFKA_2", brokers[1].clone()),
        ("KAFKA_3", brokers[2].clone()),
        ("LOGMILL_STATE", pipeline.dir.join("state").display().to_string()),
        ("LOGMILL_LOGS", format!("{}/**/*.log", pipeline.logs.display())),
        ("LOGMILL_METRICS", format!("127.0.0.1:{}", pipeline.port(part))),
        ("LOGMILL_ELASTICSEARCH", pipeline.index_url.clone()),
    ];
    let program = binary(&format!("logmill-{name}"))?;
    let log = pipeline.dir.join(format!("{name}.out"));
    let arguments = ["--config", &yaml.to_string_lossy()];
    Process::spawn_with(name, &program, &arguments, &environment, &pipeline.dir, &log)
}

async fn logmill(arguments: &[&str], dir: &Path) -> Result<String> {
    let (code, out, err) = process::run(&binary("logmill")?, arguments, dir, Duration::from_secs(30)).await?;
    ensure!(code == 0, "logmill {arguments:?} ended with {code}: {err}");
    Ok(out)
}

/// Every partition was made with three copies, of which two are left.
async fn copies(brokers: &str, dir: &Path) -> Result<()> {
    let arguments = ["topics", "describe", TOPIC, "--brokers", brokers, "--output", "json"];
    let out = logmill(&arguments, dir).await?;
    let topics: serde_json::Value = serde_json::from_str(&out)?;
    let partitions = topics[0]["partitions"].as_array().context("no partitions")?;
    ensure!(partitions.len() == 6, "{} partitions", partitions.len());
    for partition in partitions {
        let count = |list: &str| partition[list].as_array().map_or(0, Vec::len);
        ensure!(count("replicas") == 3 && count("isr") == 2, "{partition}");
    }
    Ok(())
}
