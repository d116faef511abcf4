//! `logmill up`: all parts in one process, idle and under load.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use logmill_e2e::{
    clock, generate, http,
    process::binary,
    sample::{self, PeakMemory},
};

use crate::{quiet::Quiet, report::Report};

const LINES: u64 = 300_000;
const IDLE: Duration = Duration::from_secs(20);

pub async fn run(report: &mut Report) -> Result<()> {
    report.section(
        "logmill up",
        &format!("Agent, broker, sinks and embedded index in one process: start, {LINES} JSON lines into the index, then {} s without input.", IDLE.as_secs()),
        &["ready after", "lines/s into the index", "peak MiB", "idle MiB", "idle CPU"],
    );
    let mut quiet = Quiet::new();
    let row = quiet.run(once).await?;
    report.row(&row);
    report.note(&quiet.told());
    Ok(())
}

async fn once() -> Result<Vec<String>> {
    let dir = tempfile::tempdir()?;
    let logs = dir.path().join("logs");
    std::fs::create_dir_all(&logs)?;
    let start = clock::now();
    let mut child = Command::new(binary("logmill")?)
        .args(["up", "--data-dir", "data", "--kafka", "127.0.0.1:0", "--index", "127.0.0.1:0", "--tail"])
        .arg(format!("{}/**/*.log", logs.display()))
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let measured = measure(&mut child, &logs, start).await;
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)?;
    let status = child.wait()?;
    let row = measured?;
    ensure!(status.success(), "up ended with {status}");
    Ok(row)
}

async fn measure(
    child: &mut std::process::Child,
    logs: &std::path::Path,
    start: clock::Instant,
) -> Result<Vec<String>> {
    let (mut index, mut ready) = (None, None);
    // Held to the end: `up` goes on printing.
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    for line in lines.by_ref() {
        let line = line?;
        if let Some(url) = line.strip_prefix("index: ") {
            index = Some(url.to_owned());
        }
        if line == "ready" {
            ready = Some(start.elapsed().as_secs_f64());
            break;
        }
    }
    let (index, ready, pid) = (index.context("no index line")?, ready.context("no ready line")?, child.id());
    let peak = PeakMemory::watch(pid);
    let mut out = Vec::new();
    for seq in 0..LINES {
        generate::line(&mut out, 0, seq, generate::Dates::Now, clock::epoch_ms());
    }
    let begin = clock::now();
    std::fs::write(logs.join("app.log"), out)?;
    clock::until("every line", Duration::from_secs(120), Duration::from_millis(50), || async {
        let url = format!("{index}/_count?allow_no_indices=true&ignore_unavailable=true");
        Ok((http::json("GET", &url, None).await?["count"].as_u64() == Some(LINES)).then_some(()))
    })
    .await?;
    let rate = LINES as f64 / begin.elapsed().as_secs_f64();
    // Merges and commits of the last lines are work, not idling.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, from) = (sample::cpu_seconds(pid)?, clock::now());
    tokio::time::sleep(IDLE).await;
    let idle = (sample::cpu_seconds(pid)? - before) / from.elapsed().as_secs_f64();
    Ok(vec![
        format!("{ready:.2} s"),
        format!("{rate:.0}"),
        format!("{:.0}", peak.mib()),
        format!("{:.0}", sample::rss_anon_kib(pid)? as f64 / 1024.0),
        format!("{:.2} % of a core", idle * 100.0),
    ])
}
