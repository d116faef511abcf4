//! README.md's quick start typed in as it stands, on the default ports of a network of its own.

use std::{fmt::Write as _, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use super::Room;
use crate::process::{self, binary};

/// How README.md starts everything; the binary beside ours stands for what cargo builds.
const START: &str = "cargo run --release -- up --sample";

pub(super) async fn run(room: &Room) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    let written: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    ensure!(written.contains(&START), "README.md does not say `{START}`");
    // Binaries where cargo would put them, configurations where the reader has copied them.
    let release = room.dir.join("target/release");
    std::fs::create_dir_all(&release)?;
    std::os::unix::fs::symlink(binary("logmill")?, release.join("logmill"))?;
    for name in ["agent", "broker", "sinks"] {
        std::fs::copy(root.join(format!("config/{name}.yaml")), room.dir.join(format!("{name}.yaml")))?;
    }
    let commands: Vec<&str> = written
        .iter()
        .map(|line| line.split(" #").next().unwrap_or(line).trim())
        .filter(|line| line.starts_with("target/release/logmill ") || line.starts_with("logmill "))
        .collect();
    ensure!(commands.len() >= 4, "README.md has only these commands: {commands:?}");
    let script = room.dir.join("quick-start");
    std::fs::write(&script, typed(&commands))?;
    let args = ["--net", "bash", "-e", &*script.to_string_lossy()];
    let (code, out, err) =
        process::run(Path::new("/usr/bin/unshare"), &args, &room.dir, Duration::from_secs(60)).await?;
    ensure!(code == 0, "the quick start failed:\n{out}\n{err}");
    let consumed = out.split("$ ").find(|part| part.starts_with("target/release/logmill consume"));
    let lines = consumed.context("nothing was consumed")?.lines().filter(|line| line.starts_with('{')).count();
    ensure!(lines == 3, "the consumer printed {lines} records:\n{out}");
    let found = out.rsplit("$ curl").next().unwrap_or_default();
    ensure!(found.contains("\"_source\""), "the query to paste finds nothing:\n{out}");
    // On the default ports, what it prints is what the page shows, the query included.
    let printed = std::fs::read_to_string(room.dir.join("up.out"))?;
    let shown = written
        .iter()
        .skip_while(|line| !line.starts_with("kafka: "))
        .take_while(|line| line.contains(": ") || **line == "ready");
    let shown: Vec<&str> = shown.copied().collect();
    ensure!(shown.len() >= 5, "README.md shows only {shown:?} of what `up` prints");
    for line in &shown {
        ensure!(printed.lines().any(|said| said == *line), "README.md shows `{line}`, but `up` prints:\n{printed}");
    }
    Ok(format!("{} commands of README.md and the query that `up` prints", commands.len()))
}

/// What a reader types, one command after the other; the first that fails ends it.
fn typed(commands: &[&str]) -> String {
    let mut script = String::from(
        "ip link set lo up\n\
         PATH=$PWD/target/release:$PATH\n\
         target/release/logmill up --sample >up.out 2>up.err &\n\
         trap 'kill %1; wait %1' EXIT\n\
         until grep -q '^try: ' up.out; do sleep 0.1; done\n\
         until target/release/logmill topics check logs.app >check.out 2>&1; do sleep 0.1; done\n\
         sleep 3\n",
    );
    for command in commands {
        let _ = writeln!(script, "echo '$ {command}'\n{command}");
    }
    script.push_str("query=$(sed -n 's/^try: //p' up.out)\necho \"$ $query\"\neval \"$query\"\n");
    script
}
