//! A topic into files while the sinks are killed again and again: every event is there, every line is whole, files that were
//! set aside are compressed and unpack.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};

use super::Room;
use crate::{
    clock,
    pipeline::{Part, Pipeline},
    process,
};

const TOPIC: &str = "archive";

pub(super) async fn run(room: &Room) -> Result<String> {
    let (total, kills): (u64, u64) = if room.is_long() { (2_000_000, 100) } else { (60_000, 6) };
    let mut pipeline = Pipeline::new(&room.dir)?;
    let files = room.dir.join("files");
    std::fs::create_dir_all(&files)?;
    let (brokers, metrics) = (pipeline.brokers.clone(), pipeline.port(Part::Sinks));
    std::fs::write(
        pipeline.yaml(Part::Sinks),
        format!(
            "kafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{metrics}\"\nsinks:\n  - name: archive\n    topics: [{TOPIC}]\n    \
             instance_id: archive-1\n    file: {{ path: \"{}/a.ndjson\", max_bytes: 1MiB, compression: gzip, linger: 20ms }}\n",
            files.display()
        ),
    )?;
    pipeline.start(Part::Broker).await?;
    pipeline.start(Part::Sinks).await?;
    let writer = tokio::spawn(async move { produce(&brokers, total).await });
    for kill in 1..=kills {
        clock::until("more lines", Duration::from_secs(60), Duration::from_millis(5), || async {
            Ok((size(&files)? > kill * 10_000).then_some(()))
        })
        .await?;
        pipeline.kill(Part::Sinks)?;
        pipeline.start(Part::Sinks).await?;
    }
    writer.await??;
    clock::until("every event", Duration::from_secs(120), Duration::from_millis(200), || async {
        let count = pipeline.metric(Part::Sinks, "logmill_sinks_records_total", &["outcome=\"indexed\""]).await?;
        ensure!(count as u64 == total, "{count} of {total}");
        Ok(Some(()))
    })
    .await?;
    pipeline.stop_all().await?;
    let (mut seen, mut lines, mut packed) = (HashSet::new(), 0u64, 0);
    for path in listed(&files)? {
        if path.extension().is_some_and(|e| e == "gz") {
            packed += 1;
        }
        for line in text(&path, &room.dir).await?.lines() {
            let event: Value = serde_json::from_str(line).with_context(|| format!("{}: {line:?}", path.display()))?;
            seen.insert(event["n"].as_u64().context("no number")?);
            lines += 1;
        }
    }
    ensure!(seen.len() as u64 == total && seen.iter().all(|n| *n < total), "{} of {total} events", seen.len());
    ensure!(packed > 0, "nothing was set aside");
    Ok(format!("{total} events, {kills} kills, {} repeats, {packed} files set aside and compressed", lines - total))
}

async fn produce(brokers: &str, total: u64) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .create()?;
    for block in 0..total / 1000 {
        let mut sent = Vec::new();
        for n in block * 1000..(block + 1) * 1000 {
            let value =
                json!({ "n": n, "message": "an event that is as long as most of them are, in its file" }).to_string();
            let key = n.to_string();
            sent.push(producer.send_result(FutureRecord::to(TOPIC).key(&key).payload(&value)).map_err(|(e, _)| e)?);
        }
        for report in sent {
            report.await?.map_err(|(e, _)| e)?;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}

/// Every file but the lock.
fn listed(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e != "lock") {
            found.push(path);
        }
    }
    Ok(found)
}

fn size(dir: &Path) -> Result<u64> {
    // A file may be compressed and removed meanwhile.
    Ok(listed(dir)?.iter().filter_map(|path| path.metadata().ok()).map(|m| m.len()).sum())
}

async fn text(path: &Path, dir: &Path) -> Result<String> {
    if path.extension().is_none_or(|e| e != "gz") {
        return Ok(std::fs::read_to_string(path)?);
    }
    let name = path.to_string_lossy();
    let (code, out, err) = process::run(Path::new("gzip"), &["-dc", &name], dir, Duration::from_secs(60)).await?;
    ensure!(code == 0, "gzip -dc {name}: {err}");
    Ok(out)
}
