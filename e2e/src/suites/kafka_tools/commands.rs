//! The `logmill` commands that administer topics, settings and groups, on our broker and on Apache Kafka alike.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::{binary, run_with_input};

struct Shell<'a> {
    brokers: &'a str,
    dir: &'a Path,
}

impl Shell<'_> {
    async fn run(&self, args: &[&str], input: &str) -> Result<(i32, String, String)> {
        let all = [args, &["--brokers", self.brokers]].concat();
        run_with_input(&binary("logmill")?, &all, self.dir, input, Duration::from_secs(30)).await
    }

    /// What it prints, when it ends well.
    async fn good(&self, args: &[&str]) -> Result<String> {
        let (code, out, err) = self.run(args, "").await?;
        ensure!(code == 0, "{args:?} on {} ended with {code}: {out}{err}", self.brokers);
        Ok(out)
    }

    /// Ends with 1 and says this.
    async fn refused(&self, args: &[&str], words: &str) -> Result<()> {
        let (code, out, err) = self.run(args, "").await?;
        let told = code == 1 && err.contains(words);
        ensure!(told, "{args:?} on {}: expected {words:?}, got {code}: {out}{err}", self.brokers);
        Ok(())
    }

    async fn json(&self, args: &[&str]) -> Result<Vec<Value>> {
        let out = self.good(&[args, &["--output", "json"]].concat()).await?;
        serde_json::from_str(&out).with_context(|| format!("{args:?} printed {out}"))
    }

    /// The offset a group has committed of the topic's first partition.
    async fn current(&self, group: &str) -> Result<Option<i64>> {
        let rows = self.json(&["groups", "describe", group]).await?;
        Ok(rows.iter().find(|row| row["partition"] == 0).and_then(|row| row["current_offset"].as_i64()))
    }
}

pub(super) async fn on(brokers: &str, dir: &Path) -> Result<()> {
    let shell = Shell { brokers, dir };
    shell.good(&["topics", "create", "cmd", "--partitions", "2", "--replication-factor", "1"]).await?;
    let lines: String = (0..50).map(|n| format!("line {n}\n")).collect();
    let (code, _, err) = shell.run(&["produce", "cmd", "--partition", "0"], &lines).await?;
    ensure!(code == 0, "produce: {err}");
    topics(&shell).await?;
    configs(&shell).await?;
    groups(&shell).await
}

async fn topics(shell: &Shell<'_>) -> Result<()> {
    let alter = |more: &[&'static str]| [&["topics", "alter", "cmd"], more].concat();
    shell.good(&alter(&["--partitions", "4", "--config", "retention.ms=50000000", "--dry-run"])).await?;
    let described =
        |rows: Vec<Value>| (rows[0]["partition_count"].as_i64(), rows[0]["configs"]["retention.ms"].clone());
    let rows = shell.json(&["topics", "describe", "cmd"]).await?;
    let size = |partition: usize| rows[0]["partitions"][partition]["size_bytes"].as_u64();
    ensure!(size(0) > Some(0) && size(1) == Some(0), "sizes are {:?} and {:?}", size(0), size(1));
    let before = described(rows);
    ensure!(before == (Some(2), Value::Null), "a dry run changed the topic: {before:?}");
    shell.good(&alter(&["--partitions", "3", "--config", "retention.ms=60000000"])).await?;
    crate::clock::until("the new partition", Duration::from_secs(10), Duration::from_millis(100), || async {
        let after = described(shell.json(&["topics", "describe", "cmd"]).await?);
        ensure!(after == (Some(3), Value::from("60000000")), "the topic is {after:?}");
        Ok(Some(()))
    })
    .await?;
    shell.refused(&alter(&["--partitions", "3"]), "3 would not be an increase").await?;
    shell.refused(&alter(&["--config", "retention.ms=x"]), "Invalid value x for configuration retention.ms").await?;
    shell.refused(&["topics", "alter", "nope", "--partitions", "3"], "topic \"nope\" does not exist").await
}

async fn configs(shell: &Shell<'_>) -> Result<()> {
    let alter = |more: &[&'static str]| [&["configs", "alter", "--topic", "cmd"], more].concat();
    shell.good(&alter(&["--append", "cleanup.policy=compact", "--delete", "retention.ms"])).await?;
    crate::clock::until("the settings", Duration::from_secs(10), Duration::from_millis(100), || async {
        let rows = shell.json(&["configs", "describe", "--topic", "cmd"]).await?;
        let own: Vec<_> = rows.iter().filter(|row| row["source"] == "DYNAMIC_TOPIC_CONFIG").collect();
        let as_set = own.len() == 1 && own[0]["config"] == "cleanup.policy" && own[0]["value"] == "delete,compact";
        ensure!(as_set, "the settings are {rows:?}");
        Ok(Some(()))
    })
    .await?;
    shell.good(&alter(&["--subtract", "cleanup.policy=compact"])).await?;
    shell.refused(&alter(&["--set", "foo=1"]), "Unknown topic config name: foo").await?;
    shell.refused(&["configs", "describe", "--topic", "nope"], "does not exist").await?;
    let all = shell.json(&["configs", "describe", "--broker", "1", "--all"]).await?;
    let named = |name: &str| all.iter().any(|row| row["config"] == name);
    ensure!(named("log.retention.ms") && named("num.partitions"), "the broker's settings are {all:?}");
    shell.refused(&["configs", "alter", "--broker", "1", "--set", "node.id=5"], "cannot alter broker 1").await
}

async fn groups(shell: &Shell<'_>) -> Result<()> {
    let consume = ["consume", "cmd", "--group", "cg", "--from-beginning", "--max", "50", "--exit-at-end"];
    let out = shell.good(&consume).await?;
    ensure!(out.lines().count() == 50, "{} of 50 lines", out.lines().count());
    let reset = |more: &[&'static str]| [&["groups", "reset-offsets", "cg"], more].concat();
    let planned = shell.json(&reset(&["--topic", "cmd:0", "--to-offset", "10"])).await?;
    ensure!(planned.len() == 1 && planned[0]["new_offset"] == 10 && planned[0]["committed"] == false, "{planned:?}");
    ensure!(shell.current("cg").await? == Some(50), "a dry run moved the group");
    for (target, expected) in [
        (&["--to-offset", "10"][..], 10),
        (&["--shift-by", "-3"], 7),
        (&["--to-latest"], 50),
        (&["--shift-by", "9"], 50),
        (&["--to-time", "0"], 0),
    ] {
        let done = shell.json(&[&reset(&["--topic", "cmd:0", "--execute"]), target].concat()).await?;
        let at = shell.current("cg").await?;
        ensure!(at == Some(expected) && done[0]["new_offset"] == expected, "{target:?}: {done:?}, and then {at:?}");
    }
    let all = shell.json(&reset(&["--all-topics", "--to-latest"])).await?;
    ensure!(all.iter().any(|row| row["partition"] == 0 && row["new_offset"] == 50), "{all:?}");
    shell.refused(&reset(&["--topic", "cmd:9", "--to-latest"]), "has no partition 9").await?;
    shell.good(&["groups", "delete", "cg"]).await?;
    shell.refused(&["groups", "delete", "cg"], "group \"cg\" does not exist").await?;
    shell.good(&["groups", "delete", "cg", "--if-exists"]).await?;
    shell.refused(&reset(&["--all-topics", "--to-latest"]), "group \"cg\" does not exist").await
}
