//! Kafka's administration tools on our broker and on Apache Kafka in the same state: what they print has to be the same.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::peers::kafka_tool;

/// What one call printed, with everything that may differ from broker to broker taken out.
#[derive(PartialEq, Eq)]
struct Printed {
    call: String,
    code: i32,
    out: String,
}

/// Calls the same tools on both and compares; returns how many calls there were.
pub(super) async fn same(ours: &str, kafka: &str, dir: &Path) -> Result<usize> {
    let dirs = (dir.join("of-ours"), dir.join("of-kafka"));
    let (ours, theirs) = tokio::try_join!(transcript(ours, &dirs.0), transcript(kafka, &dirs.1))?;
    let mut differences = String::new();
    for (ours, theirs) in ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs) {
        differences.push_str(&format!(
            "{}\n--- ours ended with {}:\n{}\n--- Apache Kafka's with {}:\n{}\n",
            ours.call, ours.code, ours.out, theirs.code, theirs.out
        ));
    }
    ensure!(differences.is_empty(), "{differences}");
    ensure!(ours.len() == theirs.len(), "{} calls and {}", ours.len(), theirs.len());
    Ok(ours.len())
}

struct Desk<'a> {
    bootstrap: &'a str,
    printed: Vec<Printed>,
}

impl Desk<'_> {
    /// `tool --bootstrap-server … args`, with `input` on its standard input.
    async fn call_with(&mut self, tool: &str, args: &[&str], input: &str) -> Result<String> {
        let mut all = vec![tool, "--bootstrap-server", self.bootstrap];
        all.extend(args);
        let (code, out, err) = kafka_tool(&all, input).await?;
        // Stack traces and log lines are left out.
        let told = err.lines().filter(|line| line.starts_with("java.") || line.starts_with("Error"));
        let out = neutral(&out.lines().chain(told).collect::<Vec<_>>().join("\n"), self.bootstrap);
        self.printed.push(Printed { call: format!("{tool} {}", args.join(" ")), code, out: out.clone() });
        Ok(out)
    }

    async fn call(&mut self, tool: &str, args: &[&str]) -> Result<String> {
        self.call_with(tool, args, "").await
    }

    async fn delete_records(&mut self, dir: &Path, offset: i64) -> Result<()> {
        let file = dir.join("offsets.json");
        let to = format!(r#"{{"partitions":[{{"topic":"adm","partition":0,"offset":{offset}}}],"version":1}}"#);
        std::fs::write(&file, to)?;
        let path = file.to_str().context("a path that is not UTF-8")?;
        let args = ["delete-records", "--bootstrap-server", self.bootstrap, "--offset-json-file", path];
        let (code, out, _) = kafka_tool(&args, "").await?;
        self.printed.push(Printed { call: format!("delete-records {offset}"), code, out });
        Ok(())
    }
}

async fn transcript(bootstrap: &str, dir: &Path) -> Result<Vec<Printed>> {
    std::fs::create_dir_all(dir)?;
    let mut desk = Desk { bootstrap, printed: Vec::new() };
    desk.call("topics", &["--create", "--topic", "adm", "--partitions", "1", "--config", "segment.bytes=1048576"])
        .await?;
    let topic = ["--entity-type", "topics", "--entity-name", "adm"];
    let with =
        |more: &[&'static str]| -> Vec<&'static str> { topic.iter().copied().chain(more.iter().copied()).collect() };
    desk.call("configs", &with(&["--alter", "--add-config", "retention.ms=60000000,max.message.bytes=900000"])).await?;
    desk.call("configs", &with(&["--alter", "--add-config", "cleanup.policy=[delete,compact]"])).await?;
    desk.call("configs", &with(&["--describe"])).await?;
    desk.call("configs", &with(&["--alter", "--delete-config", "max.message.bytes,cleanup.policy"])).await?;
    for wrong in ["foo=1", "retention.ms=x", "segment.ms=0", "min.compaction.lag.ms=5,max.compaction.lag.ms=4"] {
        desk.call("configs", &[&topic[..], &["--alter", "--add-config", wrong]].concat()).await?;
    }
    desk.call("configs", &with(&["--describe", "--all"])).await?;

    for change in [
        &["--entity-default", "--alter", "--add-config", "log.segment.bytes=2097152,message.max.bytes=900000"][..],
        &["--entity-default", "--describe"],
        &[
            "--entity-name",
            "1",
            "--alter",
            "--add-config",
            "log.cleanup.policy=[delete,compact],message.max.bytes=800000",
        ],
        &["--entity-name", "1", "--alter", "--add-config", "broker.id=7"],
        &["--entity-name", "1", "--alter", "--add-config", "message.max.bytes=x"],
        &["--entity-name", "1", "--describe"],
        &["--entity-name", "1", "--alter", "--delete-config", "log.cleanup.policy,message.max.bytes"],
        &["--entity-default", "--alter", "--delete-config", "log.segment.bytes,message.max.bytes"],
    ] {
        desk.call("configs", &[&["--entity-type", "brokers"][..], change].concat()).await?;
    }

    let lines: String = (0..100).map(|n| format!("value {n}\n")).collect();
    desk.call_with("console-producer", &["--topic", "adm"], &lines).await?;
    desk.call("get-offsets", &["--topic", "adm"]).await?;
    desk.delete_records(dir, 30).await?;
    desk.delete_records(dir, 101).await?;
    desk.call("get-offsets", &["--topic", "adm", "--time", "earliest"]).await?;
    let consume = ["--topic", "adm", "--group", "g", "--from-beginning", "--max-messages", "70"];
    let out = desk.call("console-consumer", &consume).await?;
    ensure!(out.lines().count() == 70, "{} of 70 records are left", out.lines().count());
    let group = ["--group", "g"];
    desk.call("groups", &[&group[..], &["--describe"]].concat()).await?;
    for reset in [&["--to-offset", "40", "--execute"][..], &["--shift-by", "-7", "--dry-run"]] {
        desk.call("groups", &[&group[..], &["--topic", "adm", "--reset-offsets"], reset].concat()).await?;
    }
    desk.call("groups", &[&group[..], &["--delete-offsets", "--topic", "adm"]].concat()).await?;
    desk.call("groups", &[&group[..], &["--describe", "--offsets"]].concat()).await?;
    desk.call("groups", &["--delete", "--group", "g", "--group", "nope"]).await?;
    desk.delete_records(dir, -1).await?;
    desk.call("topics", &["--alter", "--topic", "adm", "--partitions", "3"]).await?;
    desk.call("topics", &["--describe", "--topic", "adm", "--exclude-internal"]).await?;
    desk.call("leader-election", &["--election-type", "preferred", "--topic", "adm", "--partition", "1"]).await?;
    desk.call("log-dirs", &["--describe", "--topic-list", "adm"]).await?;
    Ok(desk.printed)
}

/// Without ports, topic ids, sizes on disk and paths; in order what Kafka prints in that of its hash tables.
fn neutral(out: &str, bootstrap: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in out.lines().filter(|line| *line != OWN_LINE) {
        let mut line = blank(&line.replace(bootstrap, "HOST:PORT"), "TopicId: ", "\t");
        for of_a_cluster in OF_A_CLUSTER {
            line = line.replace(of_a_cluster, "");
        }
        if let Some((start, configs)) = line.split_once("Configs: ") {
            let mut configs: Vec<&str> = configs.split(',').collect();
            configs.sort_unstable();
            line = format!("{start}Configs: {}", configs.join(","));
        }
        lines.push(log_dirs(&line).unwrap_or(line));
    }
    lines.join("\n")
}

/// The names of the partitions in what `log-dirs` prints.
fn log_dirs(line: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    let partitions = json["brokers"][0]["logDirs"][0]["partitions"].as_array()?;
    let mut told: Vec<String> = partitions
        .iter()
        .map(|p| {
            format!("{} sized {} lag {} future {}", p["partition"], p["size"].is_u64(), p["offsetLag"], p["isFuture"])
        })
        .collect();
    told.sort();
    Some(told.join("\n"))
}

/// With the feature eligible.leader.replicas, which is about several nodes, this is a setting of Kafka's cluster, shown with every topic.
const OF_A_CLUSTER: [&str; 2] = ["DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas=1, ", "min.insync.replicas=1,"];

/// The same, with the settings of all brokers.
const OWN_LINE: &str =
    "  min.insync.replicas=1 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas=1}";

/// Replaces what stands between each `from` and the next `to`.
fn blank(line: &str, from: &str, to: &str) -> String {
    let mut parts = line.split(from);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(from);
        out.push('…');
        out.push_str(part.find(to).map_or("", |at| &part[at..]));
    }
    out
}
