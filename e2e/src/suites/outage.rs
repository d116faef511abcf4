//! The broker is away while lines are written without pause: the agent's memory stays within its budget, nothing is lost, and
//! how fast it catches up.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Room;
use crate::{
    clock,
    generate::{Dates, Plan, Writer},
    pipeline::{Part, Pipeline, TOPIC},
    readback,
};

const FILES: usize = 10;
/// The budget of 16 MiB, and what an agent without work takes.
const MOST_KIB: u64 = 48 << 10;

pub(super) async fn run(room: &Room) -> Result<String> {
    let (away, rate): (u64, u64) = if room.is_long() { (180, 40_000) } else { (10, 10_000) };
    let per_file = rate * (away + 6) / FILES as u64;
    let mut pipeline = Pipeline::new(&room.dir)?;
    pipeline.start(Part::Broker).await?;
    pipeline.start(Part::Agent).await?;
    let writer = Writer::start(Plan {
        dir: pipeline.logs.clone(),
        files: FILES,
        lines_per_file: per_file,
        rotate_every: per_file / 3,
        rate,
        dates: Dates::Now,
    });
    let every = Duration::from_millis(200);
    clock::until("first records", Duration::from_secs(20), every, || async {
        Ok((readback::topic_size(&pipeline.brokers, TOPIC)? > rate).then_some(()))
    })
    .await?;
    pipeline.kill(Part::Broker)?;
    let start = clock::now();
    let mut peak = 0;
    while start.elapsed() < Duration::from_secs(away) {
        peak = peak.max(pipeline.process(Part::Agent)?.status_kib("RssAnon")?);
        tokio::time::sleep(every).await;
    }
    pipeline.start(Part::Broker).await?;
    let (before, back) = (readback::topic_size(&pipeline.brokers, TOPIC)?, clock::now());
    let caught_up = loop {
        peak = peak.max(pipeline.process(Part::Agent)?.status_kib("RssAnon")?);
        let there = readback::topic_size(&pipeline.brokers, TOPIC)?;
        // What is written while the last lines are under way.
        if writer.lines().saturating_sub(there) < rate / 2 {
            break there;
        }
        ensure!(back.elapsed() < Duration::from_secs(300), "{there} of {} lines after 300 s", writer.lines());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let took = back.elapsed().as_secs_f64();
    let total = writer.join()?;
    clock::until("every line in the topic", Duration::from_secs(60), every, || async {
        let in_flight = pipeline.in_flight().await?;
        let there = readback::topic_size(&pipeline.brokers, TOPIC)?;
        ensure!(there >= total && in_flight == 0.0, "{there} of {total} lines, {in_flight} in flight");
        Ok(Some(()))
    })
    .await?;
    let found = readback::topic(&pipeline.brokers, TOPIC, FILES, per_file)?;
    found.none_missing()?;
    found.in_order()?;
    ensure!(peak < MOST_KIB, "the agent took {peak} KiB");
    let lost = pipeline.metric(Part::Agent, "logmill_agent_lines_dropped_total", &[]).await?;
    ensure!(lost == 0.0, "{lost} lines dropped");
    pipeline.stop_all().await?;
    let caught = caught_up - before;
    Ok(format!(
        "{rate} lines/s, broker away for {away} s: {caught} lines caught up in {took:.1} s ({:.0} lines/s), agent at most {} MiB, {} repeats",
        caught as f64 / took,
        peak >> 10,
        found.repeats
    ))
}
