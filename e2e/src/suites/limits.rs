//! What limits let pass in windows of ten seconds, that delays lose nothing and the ledger tells what drops and samples
//! left out; and what CPU time the agent takes under a cap.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use super::Room;
use crate::{
    clock, generate,
    generate::{Dates, Plan, Writer},
    pipeline::{Part, Pipeline},
    readback,
};

const WINDOW: Duration = Duration::from_secs(10);
/// Lines a second of the writers whose lines are dropped or sampled.
const WRITTEN: u64 = 4_000;
const SAMPLED_ABOVE: u64 = 500;
const ONE_IN: u64 = 4;
/// How far a window may be off.
const TOLERANCE: f64 = 0.02;

/// Lines that may pass in a second, when so many are written.
type Rate = fn(f64) -> f64;

/// Name, limits, and what may pass.
const INPUTS: [(&str, &str, Rate); 5] = [
    ("file", "per: file, lines_per_second: 2000", |_| 2_000.0),
    ("bytes", "per: input, bytes_per_second: 200000", |_| 1_000.0),
    ("field", "per: host, lines_per_second: 1500", |_| 1_500.0),
    ("drop", "per: input, lines_per_second: 1000, on_exceed: drop", |_| 1_000.0),
    ("sample", "per: input, lines_per_second: 500, on_exceed: sample, sample_one_in: 4", |written| {
        SAMPLED_ABOVE as f64 + (written - SAMPLED_ABOVE as f64) / ONE_IN as f64
    }),
];
const DELAYED: usize = 3;

pub(super) async fn run(room: &Room) -> Result<String> {
    let rates = rates(&room.dir.join("rates"), if room.is_long() { 12 } else { 1 }).await.context("rates")?;
    let cap = cpu_cap(&room.dir.join("cpu"), if room.is_long() { 6 } else { 1 }).await.context("CPU cap")?;
    Ok(format!("{rates}; {cap}"))
}

async fn rates(dir: &Path, windows: u32) -> Result<String> {
    std::fs::create_dir_all(dir)?;
    let mut pipeline = Pipeline::new(dir)?;
    let inputs: String = INPUTS
        .iter()
        .map(|(name, limit, _)| {
            let include = pipeline.logs.join(name);
            format!(
                "  - {{ name: {name}, include: [\"{}/*.log\"], topic: {name}, limits: [{{ {limit} }}] }}\n",
                include.display()
            )
        })
        .collect();
    configure(&pipeline, "", &inputs)?;
    let seconds = u64::from(windows) * WINDOW.as_secs() + 8;
    let mut written = [0; INPUTS.len()];
    for (at, (name, ..)) in INPUTS.iter().enumerate().take(DELAYED) {
        // Enough for as long as it is measured, and little more.
        written[at] = INPUTS[at].2(0.0) as u64 * seconds;
        let mut lines = Vec::new();
        (0..written[at]).for_each(|seq| generate::raw_line(&mut lines, at, seq, clock::epoch_ms()));
        std::fs::create_dir_all(pipeline.logs.join(name))?;
        std::fs::write(pipeline.logs.join(name).join("app.log"), lines)?;
    }
    pipeline.start(Part::Broker).await?;
    pipeline.start(Part::Agent).await?;
    let writers: Vec<Writer> = INPUTS[DELAYED..]
        .iter()
        .map(|(name, ..)| {
            Writer::start(Plan {
                dir: pipeline.logs.join(name),
                files: 1,
                lines_per_file: WRITTEN * seconds,
                rotate_every: 0,
                rate: WRITTEN,
                dates: Dates::Now,
            })
        })
        .collect();
    // The first second's burst is over.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let sizes =
        || INPUTS.iter().map(|(name, ..)| readback::topic_size(&pipeline.brokers, name)).collect::<Result<Vec<_>>>();
    // Asking takes its time: what was written and what passed are of the same moment for each.
    let look =
        |name: &str| anyhow::Ok((readback::topic_size(&pipeline.brokers, name)?, writers[0].lines(), clock::now()));
    let mut worst: f64 = 0.0;
    for window in 0..windows {
        let before = INPUTS.iter().map(|(name, ..)| look(name)).collect::<Result<Vec<_>>>()?;
        tokio::time::sleep(WINDOW).await;
        for ((name, limit, expected), (size, lines, start)) in INPUTS.iter().zip(before) {
            let (size_now, lines_now, now) = look(name)?;
            let a_second = |count: u64| count as f64 / now.duration_since(start).as_secs_f64();
            let (passed, expected) = (a_second(size_now - size), expected(a_second(lines_now - lines)));
            let off = (passed / expected - 1.0).abs();
            ensure!(off <= TOLERANCE, "window {window}, {name} ({limit}): {passed:.1} lines/s, expected {expected:.1}");
            worst = worst.max(off);
        }
    }
    for (at, writer) in writers.into_iter().enumerate() {
        written[DELAYED + at] = writer.join()?;
    }
    let all: u64 = written.iter().sum();
    clock::until("all lines to be finished", Duration::from_secs(60), Duration::from_millis(200), || async {
        let read = pipeline.metric(Part::Agent, "logmill_agent_lines_read_total", &[]).await?;
        let in_flight = pipeline.in_flight().await?;
        ensure!(read == all as f64 && in_flight == 0.0, "{read} of {all} lines read, {in_flight} in flight");
        Ok(Some(()))
    })
    .await?;
    let there = sizes()?;
    for (at, (name, ..)) in INPUTS.iter().enumerate().take(DELAYED) {
        ensure!(there[at] == written[at], "{name}: {} of {} lines after a delay", there[at], written[at]);
    }
    for (at, reason) in [(DELAYED, "limit"), (DELAYED + 1, "sample")] {
        let reasons = [&*format!("reason=\"{reason}\"")];
        let dropped = pipeline.metric(Part::Agent, "logmill_agent_lines_dropped_total", &reasons).await?;
        let missing = written[at] - there[at];
        ensure!(dropped == missing as f64, "{missing} lines are missing, the ledger has {dropped} under {reason}");
    }
    pipeline.stop_all().await?;
    Ok(format!(
        "{windows} windows of 10 s, {} limits, at most {:.2} % off, {all} lines accounted for",
        INPUTS.len(),
        worst * 100.0
    ))
}

/// As much work as there can be, under a cap; then without it.
async fn cpu_cap(dir: &Path, windows: u32) -> Result<String> {
    const PERCENT: f64 = 10.0;
    std::fs::create_dir_all(dir)?;
    let mut pipeline = Pipeline::new(dir)?;
    let inputs = format!("  - {{ name: app, include: [\"{}/*.log\"], topic: capped }}\n", pipeline.logs.display());
    configure(&pipeline, "max_cpu_percent: 10\n", &inputs)?;
    let total = 1_000_000 * u64::from(windows);
    let mut lines = Vec::new();
    (0..total).for_each(|seq| generate::line(&mut lines, 0, seq, Dates::Now, clock::epoch_ms()));
    std::fs::write(pipeline.logs.join("app.log"), lines)?;
    pipeline.start(Part::Broker).await?;
    pipeline.start(Part::Agent).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut told = Vec::new();
    for _ in 0..windows {
        let cpu = async || pipeline.metric(Part::Agent, "process_cpu_seconds_total", &[]).await;
        let (before, start) = (cpu().await?, clock::now());
        tokio::time::sleep(WINDOW).await;
        let used = (cpu().await? - before) / start.elapsed().as_secs_f64() * 100.0;
        ensure!(readback::topic_size(&pipeline.brokers, "capped")? < total, "there was too little to do");
        ensure!((used - PERCENT).abs() < PERCENT / 10.0, "{used:.1} % of a core under a cap of {PERCENT} %");
        told.push(format!("{used:.1} %"));
    }
    let waited = pipeline.metric(Part::Agent, "logmill_agent_cpu_wait_seconds_total", &[]).await?;
    ensure!(waited > 1.0, "reading waited for {waited} s");
    configure(&pipeline, "", &inputs)?;
    pipeline.process(Part::Agent)?.reload()?;
    let start = clock::now();
    clock::until("all lines", Duration::from_secs(120), Duration::from_millis(200), || async {
        let there = readback::topic_size(&pipeline.brokers, "capped")?;
        ensure!(there == total, "{there} of {total} lines");
        Ok(Some(()))
    })
    .await?;
    let took = start.elapsed().as_secs_f64();
    pipeline.stop_all().await?;
    Ok(format!("CPU cap of {PERCENT} %: {}, the rest in {took:.1} s without", told.join(", ")))
}

fn configure(pipeline: &Pipeline, keys: &str, inputs: &str) -> Result<()> {
    let (dir, brokers, port) = (pipeline.dir.display(), &pipeline.brokers, pipeline.port(Part::Agent));
    let head =
        format!("state_dir: {dir}/agent\nkafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{port}\"\n");
    Ok(std::fs::write(pipeline.yaml(Part::Agent), format!("{head}{keys}inputs:\n{inputs}"))?)
}
