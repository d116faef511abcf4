//! kcat and Apache Kafka's own tools against our broker; Kafka's dump-log over our segments; administration compared with Apache Kafka's.

mod admin;
mod commands;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use super::Room;
use crate::{
    peers::{Kafka, kafka_tool},
    pipeline::{Part, Pipeline},
    ports,
    process::run_with_input,
};

async fn tool(args: &[&str], input: &str) -> Result<String> {
    let (code, out, err) = kafka_tool(args, input).await?;
    ensure!(code == 0, "{args:?} ended with {code}: {out}{err}");
    Ok(out)
}

pub(super) async fn run(room: &Room) -> Result<String> {
    let mut pipeline = Pipeline::new(&room.dir)?;
    pipeline.start(Part::Broker).await?;
    let brokers = pipeline.brokers.clone();
    let bootstrap = ["--bootstrap-server", brokers.as_str()];
    let with = |first: &[&'static str], rest: &[&'static str]| -> Vec<String> {
        first.iter().chain(&bootstrap).chain(rest).map(|s| (*s).to_owned()).collect()
    };
    let call = |args: Vec<String>, input: String| async move {
        tool(&args.iter().map(String::as_str).collect::<Vec<_>>(), &input).await
    };

    let out = call(
        with(&["topics"], &["--create", "--topic", "ref", "--partitions", "2", "--config", "retention.ms=60000000"]),
        String::new(),
    )
    .await?;
    ensure!(out.contains("Created topic ref."), "topics --create printed {out}");
    let (code, out, _) = {
        let args = with(&["topics"], &["--create", "--topic", "ref"]);
        kafka_tool(&args.iter().map(String::as_str).collect::<Vec<_>>(), "").await?
    };
    ensure!(code == 1 && out.contains("Topic 'ref' already exists."), "creating again: {code} {out}");
    let list = call(with(&["topics"], &["--list"]), String::new()).await?;
    ensure!(list.lines().any(|l| l == "ref"), "topics --list printed {list}");
    let described = call(with(&["topics"], &["--describe", "--topic", "ref"]), String::new()).await?;
    ensure!(
        described.contains("PartitionCount: 2\tReplicationFactor: 1")
            && described.contains("retention.ms=60000000")
            && described.contains("Topic: ref\tPartition: 1\tLeader: 1\tReplicas: 1\tIsr: 1"),
        "topics --describe printed {described}"
    );

    let lines: String = (0..500).map(|n| format!("k{}:value {n}\n", n % 10)).collect();
    let properties = ["--topic", "ref", "--property", "parse.key=true", "--property", "key.separator=:"];
    call(with(&["console-producer"], &properties), lines).await?;
    let consume =
        ["--topic", "ref", "--from-beginning", "--group", "g1", "--max-messages", "500", "--timeout-ms", "20000"];
    let out = call(with(&["console-consumer"], &consume), String::new()).await?;
    ensure!(
        out.lines().filter(|l| l.starts_with("value ")).count() == 500,
        "console-consumer gave {} lines",
        out.lines().count()
    );
    let groups = call(with(&["groups"], &["--describe", "--all-groups"]), String::new()).await?;
    let rows: Vec<&str> = groups.lines().filter(|l| l.starts_with("g1 ")).collect();
    ensure!(rows.len() == 2, "groups --describe printed {groups}");
    let mut end = 0;
    for row in rows {
        let cells: Vec<&str> = row.split_whitespace().collect();
        ensure!(cells[3] == cells[4] && cells[5] == "0", "the group is not at the end: {row}");
        end += cells[4].parse::<i64>()?;
    }
    ensure!(end == 500, "log ends add up to {end}");

    kcat(&room.dir, &brokers).await?;
    performance(&brokers).await?;
    let versions = call(with(&["broker-api-versions"], &[]), String::new()).await?;
    for served in ["Produce(0): 0 to 13", "DeleteRecords(21): 0 to 2", "OffsetDelete(47): 0 [usable: 0]"] {
        ensure!(versions.contains(served), "broker-api-versions printed {versions}");
    }
    let features = call(with(&["features"], &["describe"]), String::new()).await?;
    ensure!(
        features.contains("Feature: metadata.version") && features.contains("FinalizedVersionLevel: 4.1-IV1"),
        "features printed {features}"
    );
    let compared = {
        let kafka = Kafka::start(&room.dir.join("kafka"), ports::free()?)?;
        let theirs = format!("127.0.0.1:{}", kafka.port);
        for brokers in [&brokers, &theirs] {
            commands::on(brokers, &room.dir).await?;
        }
        admin::same(&brokers, &theirs, &room.dir).await?
    };

    let segment = room.dir.join("broker/ref-0/00000000000000000000.log");
    ensure!(segment.exists(), "{} is missing", segment.display());
    pipeline.stop(Part::Broker).await?;
    let path = segment.to_string_lossy();
    let dump = tool(&["dump-log", "--deep-iteration", "--print-data-log", "--files", &path], "").await?;
    ensure!(dump.contains("isvalid: true") && !dump.contains("isvalid: false"), "dump-log printed {dump}");
    for (suffix, complaint) in [("index", "Mismatches in"), ("timeindex", "Found timestamp mismatch")] {
        let path = segment.with_extension(suffix);
        if path.exists() {
            let dump = tool(&["dump-log", "--files", &path.to_string_lossy()], "").await?;
            ensure!(!dump.contains(complaint) && !dump.contains("not found"), "dump-log of {suffix}: {dump}");
        }
    }
    Ok(format!(
        "topics, console and perf tools, groups, dump-log, kcat; our commands on both; {compared} administrative calls as Apache Kafka's"
    ))
}

/// Kafka's load generators, small.
async fn performance(brokers: &str) -> Result<()> {
    let server = format!("bootstrap.servers={brokers}");
    let produce = ["--topic", "perf", "--num-records", "20000", "--record-size", "200", "--throughput", "-1"];
    let args = [&["producer-perf"], &produce[..], &["--producer-props", &server, "acks=all"]].concat();
    let out = tool(&args, "").await?;
    ensure!(out.contains("20000 records sent"), "producer-perf printed {out}");
    let consume = ["--topic", "perf", "--messages", "20000", "--timeout", "20000", "--hide-header"];
    let out = tool(&[&["consumer-perf", "--bootstrap-server", brokers], &consume[..]].concat(), "").await?;
    // start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, …
    let consumed = out.lines().last().and_then(|line| line.split(',').nth(4)).map(str::trim);
    ensure!(consumed.is_some_and(|n| n.parse::<u64>().is_ok_and(|n| n >= 20_000)), "consumer-perf printed {out}");
    Ok(())
}

async fn kcat(dir: &Path, brokers: &str) -> Result<()> {
    let kcat = Path::new("/usr/bin/kcat");
    ensure!(kcat.exists(), "kcat is not installed (Debian package kcat)");
    let call = |args: Vec<&'static str>, input: String| async move {
        let mut all = vec!["-b", brokers];
        all.extend(args.iter().copied());
        let (code, out, err) = run_with_input(kcat, &all, dir, &input, Duration::from_secs(30)).await?;
        ensure!(code == 0, "kcat {args:?} ended with {code}: {err}");
        anyhow::Ok(out)
    };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: String = (0..1000).map(|n| format!("{codec} {n}\n")).collect();
        let args: Vec<&'static str> =
            vec!["-P", "-t", "kcat", "-z", codec, "-X", "acks=all", "-X", "enable.idempotence=true"];
        call(args, lines).await.with_context(|| format!("codec {codec}"))?;
    }
    let out = call(vec!["-C", "-t", "kcat", "-o", "beginning", "-e", "-q"], String::new()).await?;
    ensure!(out.lines().count() == 5000, "kcat read {} of 5000 lines", out.lines().count());
    let listing = call(vec!["-L"], String::new()).await?;
    ensure!(listing.contains("topic \"kcat\""), "kcat -L printed {listing}");
    Ok(())
}
