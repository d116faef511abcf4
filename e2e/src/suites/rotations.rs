//! Every way a file can be rotated, while it is written: real logrotate, and a random rotator with kill -9 of agent and
//! broker by seed. Every line arrives, under one id, and where nothing is compressed at random in the order in which it
//! was written.
//!
//! The soak runs many seeds: `LOGMILL_ROTATION_SEEDS=500 logmill-e2e soak rotations`, from `LOGMILL_ROTATION_FIRST` on.
//! It goes on after a seed that failed, whose files stay; `steps.txt` among them says what was done when.

mod arrivals;
mod logrotate;
mod rotator;
mod schemes;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};

use super::Room;
use crate::{
    clock, http,
    pipeline::{Part, Pipeline, TOPIC},
    readback,
};
use arrivals::Arrivals;

/// Seeds of the soak, unless the environment says otherwise; the bounded form is logrotate alone.
const SEEDS: u64 = 200;
/// Steps of a seed's rotator.
const STEPS: usize = 500;

pub(super) async fn run(room: &Room) -> Result<String> {
    let by_logrotate = logrotate::run(&room.dir.join("logrotate"), if room.is_long() { 20 } else { 6 }).await?;
    let first = from_environment("LOGMILL_ROTATION_FIRST", 1)?;
    let count = from_environment("LOGMILL_ROTATION_SEEDS", if room.is_long() { SEEDS } else { 0 })?;
    let (mut lines, mut kills) = (0, 0);
    let mut failed = Vec::new();
    for seed in first..first + count {
        let dir = room.dir.join(format!("seed-{seed}"));
        match at_random(&dir, seed).await {
            Ok(done) => {
                (lines, kills) = (lines + done.0, kills + done.1);
                println!("seed {seed}: {} lines, {} kills", done.0, done.1);
                std::fs::remove_dir_all(&dir)?;
            }
            Err(error) => {
                println!("seed {seed}: FAILED: {error:#}");
                failed.push(seed);
            }
        }
    }
    ensure!(failed.is_empty(), "{} of {count} seeds failed: {failed:?}", failed.len());
    Ok(format!("{by_logrotate}; {count} seeds: {lines} lines, {kills} kills"))
}

fn from_environment(name: &str, otherwise: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is \"{text}\", expected a number")),
        Err(_) => Ok(otherwise),
    }
}

/// Agent and broker in a directory of their own, and who follows what arrives.
async fn stage(dir: &std::path::Path, files: &[bool]) -> Result<(Pipeline, Arc<Arrivals>)> {
    std::fs::create_dir_all(dir)?;
    let mut pipeline = Pipeline::new(dir)?;
    pipeline.start(Part::Broker).await?;
    pipeline.start(Part::Agent).await?;
    // Files found before the first start is on disk are not owed in full yet.
    let url = format!("http://127.0.0.1:{}/health/ready", pipeline.port(Part::Agent));
    clock::until("the agent to be ready", Duration::from_secs(15), Duration::from_millis(20), || async {
        http::text(&url).await.map(Some)
    })
    .await?;
    let arrivals = Arrivals::follow(&pipeline.brokers, TOPIC, files)?;
    Ok((pipeline, Arc::new(arrivals)))
}

/// One seed's rotator and kills; how many lines and kills there were.
async fn at_random(dir: &std::path::Path, seed: u64) -> Result<(u64, u64)> {
    let ordered: [bool; rotator::FILES] = std::array::from_fn(|file| !rotator::is_compressed(file));
    let (mut pipeline, arrivals) = stage(dir, &ordered).await?;
    let (logs, follower) = (pipeline.logs.clone(), Arc::clone(&arrivals));
    let rotator = std::thread::spawn(move || rotator::run(&logs, seed, STEPS, &follower));
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(31));
    let mut kills = 0;
    while !rotator.is_finished() {
        tokio::time::sleep(Duration::from_millis(rng.u64(100..1200))).await;
        let part = if rng.u8(0..3) < 2 { Part::Agent } else { Part::Broker };
        pipeline.kill(part)?;
        kills += 1;
        tokio::time::sleep(Duration::from_millis(rng.u64(0..400))).await;
        pipeline.start(part).await?;
    }
    let written = rotator.join().map_err(|_| anyhow::anyhow!("the rotator panicked"))??;
    let whole = |file: usize, end: u64| arrivals.missing(file, 0..end);
    settled(&pipeline, &written, whole).await?;
    finish(pipeline, &arrivals).await?;
    Ok((written.iter().sum(), kills))
}

/// Waits until nothing is missing of any file, and nothing is under way.
async fn settled(pipeline: &Pipeline, written: &[u64], missing: impl Fn(usize, u64) -> Vec<u64>) -> Result<()> {
    let every = Duration::from_millis(100);
    clock::until("every line in the topic", Duration::from_secs(90), every, || async {
        let mut faults = Vec::new();
        for (file, end) in written.iter().enumerate() {
            let missing = missing(file, *end);
            if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
                faults.push(format!("{} of {end} lines of file {file}, {first} to {last}", missing.len()));
            }
        }
        ensure!(faults.is_empty(), "missing: {}", faults.join("; "));
        Ok(Some(()))
    })
    .await?;
    clock::until("all acknowledged", Duration::from_secs(30), every, || async {
        let lines = pipeline.in_flight().await?;
        ensure!(lines == 0.0, "{lines} lines in flight");
        Ok(Some(()))
    })
    .await
}

/// Stops the agent and asks what arrived in all.
async fn finish(mut pipeline: Pipeline, arrivals: &Arrivals) -> Result<()> {
    pipeline.stop(Part::Agent).await?;
    let size = readback::topic_size(&pipeline.brokers, TOPIC)?;
    clock::until("the follower at the topic's end", Duration::from_secs(30), Duration::from_millis(20), || async {
        ensure!(arrivals.records() == size, "{} of {size} records", arrivals.records());
        Ok(Some(()))
    })
    .await?;
    arrivals.sound()?;
    pipeline.stop(Part::Broker).await
}
