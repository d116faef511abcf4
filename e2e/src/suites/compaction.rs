//! A compacted topic as Kafka's own tools see it: only the newest value of each key, deleted keys gone, cleaned segments sound; groups' offsets too.

use std::{cell::Cell, collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, ensure};

use super::Room;
use crate::{
    clock,
    peers::kafka_tool,
    pipeline::{Part, Pipeline},
};

const RUNS: &str = "logmill_broker_log_cleaner_runs_total";
const KEYS: usize = 50;

async fn tool(args: &[&str], input: &str) -> Result<String> {
    let (code, out, err) = kafka_tool(args, input).await?;
    ensure!(code == 0, "{args:?} ended with {code}: {out}{err}");
    Ok(out)
}

pub(super) async fn run(room: &Room) -> Result<String> {
    let mut pipeline = Pipeline::new(&room.dir)?;
    let yaml = pipeline.yaml(Part::Broker);
    // Kafka's own tool refuses segments below 1 MiB.
    let more = "compaction: { interval: 200ms }\ntopics: { config: { segment.bytes: \"20000\" } }\n";
    let text = std::fs::read_to_string(&yaml)? + more;
    std::fs::write(&yaml, text)?;
    pipeline.start(Part::Broker).await?;
    let brokers = pipeline.brokers.clone();
    let bootstrap = ["--bootstrap-server", brokers.as_str()];
    let config =
        ["cleanup.policy=compact", "min.cleanable.dirty.ratio=0.01", "delete.retention.ms=0", "compression.type=lz4"];
    let mut create = vec!["topics", "--create", "--topic", "table", "--partitions", "1"];
    create.extend(bootstrap);
    for entry in config {
        create.extend(["--config", entry]);
    }
    tool(&create, "").await?;
    let mut produce = vec!["console-producer", "--topic", "table", "--property", "parse.key=true"];
    produce.extend(["--property", "key.separator=:", "--property", "null.marker=GONE", "--batch-size", "1000"]);
    produce.extend(bootstrap);
    let rounds = if room.is_long() { 2000 } else { 200 };
    let mut runs = 0.0;
    for part in 0..3 {
        let lines = (0..rounds * KEYS).map(|n| {
            let (round, key) = (n / KEYS, n % KEYS);
            let last = part == 0 && round + 1 == rounds && key % 10 == 0;
            let value = if last { "GONE".to_owned() } else { format!("part {part} round {round} {}", "x".repeat(40)) };
            // From the second part on some keys are not written any more.
            if part > 0 && key % 10 == 0 { String::new() } else { format!("k{key}:{value}\n") }
        });
        let lines: String = lines.collect();
        tool(&produce, &lines).await?;
        let ran = settled(&pipeline).await?;
        ensure!(ran > runs, "nothing was compacted after part {part}: {ran} runs");
        runs = ran;
    }
    let removed = pipeline.metric(Part::Broker, "logmill_broker_log_cleaner_records_removed_total", &[]).await?;
    ensure!(removed > 0.0, "compaction removed nothing");

    let mut consume = vec!["console-consumer", "--topic", "table", "--from-beginning", "--timeout-ms", "6000"];
    consume.extend(["--property", "print.key=true", "--property", "print.offset=true", "--group", "readers"]);
    consume.extend(bootstrap);
    let (_, out, _) = kafka_tool(&consume, "").await?;
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut count = 0;
    for line in out.lines().filter(|line| line.starts_with("Offset:")) {
        let mut cells = line.split('\t').skip(1);
        let (Some(key), Some(value)) = (cells.next(), cells.next()) else { continue };
        last.insert(key.to_owned(), value.to_owned());
        count += 1;
    }
    let expected = format!("part 2 round {} ", rounds - 1);
    for key in (0..KEYS).filter(|key| key % 10 != 0) {
        let value = last.get(&format!("k{key}"));
        ensure!(value.is_some_and(|value| value.starts_with(&expected)), "k{key} ends as {value:?}: {out:.2000}");
    }
    ensure!(!last.contains_key("k10"), "a deleted key is there: {:?}", last.get("k10"));
    ensure!(count < 3 * rounds * KEYS / 2, "{count} records of {} are left", 3 * rounds * KEYS);

    pipeline.kill(Part::Broker)?;
    pipeline.start(Part::Broker).await?;
    let mut groups = vec!["groups", "--describe", "--group", "readers"];
    groups.extend(bootstrap);
    let described = tool(&groups, "").await?;
    ensure!(described.lines().any(|line| line.contains("table")), "groups --describe printed {described}");
    pipeline.stop(Part::Broker).await?;
    let segments = check_segments(&room.dir.join("broker/table-0")).await?;
    Ok(format!(
        "{count} of {} records left, {removed} removed in {runs} runs, {segments} segments sound",
        3 * rounds * KEYS
    ))
}

/// Runs until now, once there are no more.
async fn settled(pipeline: &Pipeline) -> Result<f64> {
    let last = Cell::new(-1.0);
    clock::until("compaction to come to an end", Duration::from_secs(30), Duration::from_secs(1), || async {
        let runs = pipeline.metric(Part::Broker, RUNS, &[]).await?;
        Ok((last.replace(runs) == runs).then_some(runs))
    })
    .await
}

/// Kafka's dump-log over every segment and its indexes.
async fn check_segments(dir: &Path) -> Result<usize> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "log" || e == "index" || e == "timeindex") {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    files.sort();
    let all = files.join(",");
    let dump = tool(&["dump-log", "--deep-iteration", "--files", &all], "").await?;
    // That offsets do not follow one another is what compaction leaves.
    for complaint in ["isvalid: false", "Mismatches in", "Found timestamp mismatch", "not found"] {
        ensure!(!dump.contains(complaint), "dump-log found: {complaint} in {dump:.3000}");
    }
    ensure!(dump.contains("isvalid: true"), "dump-log printed {dump:.3000}");
    Ok(files.iter().filter(|file| file.ends_with(".log")).count())
}
