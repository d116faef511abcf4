//! What librdkafka-based programs trip over: a broker that is away for long, a topic that does not exist yet,
//! partitions that appear later, an empty machine.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use super::{Room, whole};
use crate::{
    clock,
    generate::{Dates, Plan, Writer},
    pipeline::{INDICES, Part, Pipeline, TOPIC},
    process::binary,
    readback,
};

pub(super) async fn run(room: &Room) -> Result<String> {
    let up = up_on_an_empty_machine(&room.dir.join("up")).await.context("up on an empty machine")?;
    let away = away(&room.dir.join("away"), room.is_long()).await.context("broker away")?;
    let sink = sink_before_topic(&room.dir.join("sink")).await.context("sink before its topic")?;
    Ok(format!("{up}; {away}; {sink}"))
}

/// The broker is away longer than librdkafka's default patience (5 minutes in the long form).
async fn away(dir: &std::path::Path, long: bool) -> Result<String> {
    const FILES: usize = 4;
    std::fs::create_dir_all(dir)?;
    let seconds: u64 = if long { 330 } else { 15 };
    let mut pipeline = Pipeline::new(dir)?;
    pipeline.start_all().await?;
    let per_file = 250 * (seconds + 10);
    let total = per_file * FILES as u64;
    let writer = Writer::start(Plan {
        dir: pipeline.logs.clone(),
        files: FILES,
        lines_per_file: per_file,
        rotate_every: per_file / 3,
        rate: 1000,
        dates: Dates::Now,
    });
    clock::until("first records", Duration::from_secs(20), Duration::from_millis(100), || async {
        Ok((readback::topic_size(&pipeline.brokers, TOPIC)? > 500).then_some(()))
    })
    .await?;
    pipeline.kill(Part::Broker)?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    pipeline.start(Part::Broker).await?;
    writer.join()?;
    let back = clock::now();
    whole::settled(&pipeline, total, Duration::from_secs(90)).await?;
    let took = back.elapsed().as_secs_f64();
    readback::topic(&pipeline.brokers, TOPIC, FILES, per_file)?.none_missing()?;
    readback::index(&pipeline.index_url, INDICES, FILES, per_file).await?.none_missing()?;
    pipeline.ledger().await?;
    pipeline.stop_all().await?;
    Ok(format!("broker away for {seconds} s, caught up {took:.1} s after the last line"))
}

/// The sink is started before its topic exists; then the topic gets more partitions.
async fn sink_before_topic(dir: &std::path::Path) -> Result<String> {
    const FILES: usize = 12;
    std::fs::create_dir_all(dir)?;
    let mut pipeline = Pipeline::new(dir)?;
    // Without automatic creation the topic really is not there.
    let yaml = std::fs::read_to_string(pipeline.yaml(Part::Broker))?;
    std::fs::write(pipeline.yaml(Part::Broker), format!("{yaml}topics: {{ auto_create: false }}\n"))?;
    for part in [Part::Broker, Part::Index, Part::Sinks] {
        pipeline.start(part).await?;
    }
    pipeline.start(Part::Agent).await?;
    let logs = pipeline.logs.clone();
    let plan = |offset: &str, rate| Plan {
        dir: logs.join(offset),
        files: FILES,
        lines_per_file: 1000,
        rotate_every: 0,
        rate,
        dates: Dates::Now,
    };
    let first = Writer::start(plan("a", 6000));
    tokio::time::sleep(Duration::from_secs(3)).await;
    ensure!(pipeline.process(Part::Sinks)?.ended()?.is_none(), "the sinks ended without their topic");
    ensure!(pipeline.process(Part::Agent)?.ended()?.is_none(), "the agent ended without its topic");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &pipeline.brokers).create()?;
    let options = AdminOptions::new();
    admin.create_topics(&[NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1))], &options).await?;
    first.join()?;
    whole::settled(&pipeline, 12_000, Duration::from_secs(60)).await.context("after the topic was made")?;
    let results = admin.create_partitions(&[NewPartitions::new(TOPIC, 5)], &options).await;
    let grown = matches!(results.as_deref(), Ok([Ok(_)]));
    if !grown {
        pipeline.stop_all().await?;
        bail!("the topic did not get more partitions: {results:?}");
    }
    Writer::start(plan("b", 3000)).join()?;
    whole::settled(&pipeline, 24_000, Duration::from_secs(60)).await.context("after the topic grew")?;
    pipeline.stop_all().await?;
    Ok(String::from("sink started before its topic, then four partitions more"))
}

/// `logmill up` in an empty directory: its lines within two seconds, a line written is indexed within five.
async fn up_on_an_empty_machine(dir: &std::path::Path) -> Result<String> {
    std::fs::create_dir_all(dir.join("logs"))?;
    std::fs::write(dir.join("logs/first.log"), "hello from an empty machine\n")?;
    let start = clock::now();
    let glob = format!("{}/logs/**/*.log", dir.display());
    let mut child = Command::new(binary("logmill")?)
        .args(["up", "--data-dir", "data", "--tail", &glob, "--kafka", "127.0.0.1:0", "--index", "127.0.0.1:0"])
        .env("LOGMILL_METRICS", "127.0.0.1:0")
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(dir.join("up.err"))?)
        .spawn()?;
    let stdout = child.stdout.take().context("no stdout")?;
    let mut index = None;
    let mut ready = None;
    // Held to the end: `up` goes on printing.
    let mut lines = BufReader::new(stdout).lines();
    for line in lines.by_ref() {
        let line = line?;
        if let Some(url) = line.strip_prefix("index: ") {
            index = Some(url.to_owned());
        }
        if line == "ready" {
            ready = Some(start.elapsed());
            break;
        }
    }
    let outcome = async {
        let (index, ready) = (index.context("no index line")?, ready.context("no ready line")?);
        ensure!(ready < Duration::from_secs(2), "ready after {ready:?}");
        clock::until("the first line in the index", Duration::from_secs(15), Duration::from_millis(50), || async {
            let url = format!("{index}/_search?q=message:hello");
            let answer = crate::http::json("GET", &url, None).await?;
            Ok((answer["hits"]["total"]["value"] == 1).then_some(()))
        })
        .await?;
        let indexed = start.elapsed();
        ensure!(indexed < Duration::from_secs(5), "indexed only after {indexed:?}");
        anyhow::Ok(format!(
            "up ready in {:.2} s, first line indexed in {:.2} s",
            ready.as_secs_f64(),
            indexed.as_secs_f64()
        ))
    }
    .await;
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    let stopping = clock::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if stopping.elapsed() > Duration::from_secs(10) {
            child.kill()?;
            bail!("up did not stop within 10 s of Ctrl-C");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    ensure!(status.success(), "up ended with {status} on Ctrl-C");
    outcome
}
