//! The machine's journal as an input: what programs write into it comes once by its id, over kills of the agent.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{SOON, TICK, active, killed};
use crate::{clock, machine::Machine};

const INPUT: &str =
    "\n  - name: journal\n    source: journal\n    topic: logs.journal\n    units: [e2e-journaled.service]\n";
const LINES: usize = 3000;
const KILLS: usize = 3;

pub(super) async fn run(machine: &Machine) -> Result<()> {
    let file = machine.root.join("etc/logmill/agent.yaml");
    let before = fs::read_to_string(&file)?;
    fs::write(&file, format!("{}{INPUT}", before.trim_end()))?;
    machine.sh("logmill topics create logs.journal --partitions 1 --if-not-exists")?;
    machine.sh("systemctl restart logmill-agent")?;
    active(machine, "agent").await?;
    // A unit whose output is one line after the other for some seconds.
    let script =
        format!("for n in $(seq 1 {LINES}); do echo journaled $n; [ $((n % 100)) = 0 ] && sleep 0.2; done; true");
    machine.sh(&format!("systemd-run --unit=e2e-journaled /bin/sh -c '{script}'"))?;
    for _ in 0..KILLS {
        killed(machine, "agent").await?;
    }
    clock::until("every entry of the journal in its topic", SOON, TICK, || async {
        let there = arrived(machine)?;
        let missing = (1..=LINES).filter(|n| !there.contains_key(&format!("journaled {n}"))).count();
        ensure!(missing == 0, "{missing} of {LINES} are missing");
        Ok(Some(()))
    })
    .await?;
    for (message, ids) in arrived(machine)? {
        ensure!(!message.starts_with("journaled ") || ids == 1, "\"{message}\" has {ids} ids");
    }
    fs::write(&file, before)?;
    machine.sh("systemctl restart logmill-agent")?;
    active(machine, "agent").await
}

/// How many ids each message came with.
fn arrived(machine: &Machine) -> Result<BTreeMap<String, usize>> {
    let text = machine.sh("logmill consume logs.journal --from-beginning --exit-at-end --format json")?;
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let record: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let value: Value = serde_json::from_str(record["value"].as_str().context("no value")?)?;
        ensure!(value["systemd"]["unit"] == "e2e-journaled.service", "{value}");
        let id = record["headers"][0]["value"].as_str().context("no id")?.to_owned();
        let known = ids.entry(value["message"].as_str().unwrap_or_default().to_owned()).or_default();
        if !known.contains(&id) {
            known.push(id);
        }
    }
    Ok(ids.into_iter().map(|(message, ids)| (message, ids.len())).collect())
}
