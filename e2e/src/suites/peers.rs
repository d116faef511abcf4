//! The same agent and sinks between a real Apache Kafka node and real search nodes.

mod denied;

use std::time::Duration;

use anyhow::{Context, Result};

use super::Room;
use crate::{
    generate::{Dates, Plan, Writer},
    peers::{Kafka, Search},
    pipeline::{INDICES, Part, Pipeline, TOPIC},
    ports, readback,
};

const FILES: usize = 8;

pub(super) async fn run(room: &Room) -> Result<String> {
    let per_file: u64 = if room.is_long() { 50_000 } else { 5_000 };
    let total = per_file * FILES as u64;
    let kafka_port = ports::free()?;
    let kafka = Kafka::start_nodes(&room.dir.join("kafka"), kafka_port, 1, &denied::AUTHORIZER)?;
    let mut told = vec![denied::run(&kafka, &room.dir.join("denied")).await.context("access control")?];
    for kind in ["opensearch", "elasticsearch"] {
        let dir = room.dir.join(format!("on-{kind}"));
        std::fs::create_dir_all(&dir)?;
        let search = Search::start(kind, &room.dir.join(kind), ports::free()?)?;
        let mut pipeline = Pipeline::with_peers(&dir, &format!("127.0.0.1:{}", kafka.port), &search.url)?;
        distinct_names(&pipeline, kind)?;
        pipeline.start(Part::Agent).await?;
        pipeline.start(Part::Sinks).await?;
        let writer = Writer::start(Plan {
            dir: pipeline.logs.clone(),
            files: FILES,
            lines_per_file: per_file,
            rotate_every: per_file / 3,
            rate: total / 8,
            dates: Dates::Odd,
        });
        tokio::time::sleep(Duration::from_secs(4)).await;
        pipeline.kill(Part::Sinks)?;
        pipeline.kill(Part::Agent)?;
        pipeline.start(Part::Agent).await?;
        pipeline.start(Part::Sinks).await?;
        writer.join()?;
        let topic = format!("{TOPIC}.{kind}");
        crate::clock::until(
            "all lines delivered and indexed",
            Duration::from_secs(180),
            Duration::from_millis(500),
            || async {
                let count = readback::index_count(&search.url, INDICES).await?;
                anyhow::ensure!(
                    count == total,
                    "{count} of {total} documents, topic {:?}",
                    readback::topic_size(&pipeline.brokers, &topic)
                );
                let lines = pipeline.in_flight().await?;
                anyhow::ensure!(lines == 0.0, "{lines} lines in flight");
                Ok(Some(()))
            },
        )
        .await
        .with_context(|| kind.to_owned())?;
        readback::topic(&pipeline.brokers, &topic, FILES, per_file)?.none_missing()?;
        let found = readback::index(&search.url, INDICES, FILES, per_file).await?;
        found.none_missing()?;
        found.none_twice()?;
        pipeline.stop_all().await?;
        told.push(format!("{kind}: {total} lines whole"));
    }
    drop(kafka);
    Ok(told.join("; "))
}

/// Both rounds share one Kafka: each gets a topic and a group of its own.
fn distinct_names(pipeline: &Pipeline, kind: &str) -> Result<()> {
    for part in [Part::Agent, Part::Sinks] {
        let yaml = std::fs::read_to_string(pipeline.yaml(part))?;
        let yaml = yaml
            .replace(&format!("topic: {TOPIC}\n"), &format!("topic: {TOPIC}.{kind}\n"))
            .replace(&format!("topics: [{TOPIC}]"), &format!("topics: [{TOPIC}.{kind}]"))
            .replace(
                &format!("group: {}", crate::pipeline::GROUP),
                &format!("group: {}-{kind}", crate::pipeline::GROUP),
            );
        std::fs::write(pipeline.yaml(part), yaml)?;
    }
    Ok(())
}
