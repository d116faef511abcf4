//! kill -9 of agent, broker and sinks in turn while lines are written, each landing with unacknowledged work.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Room, whole};
use crate::{
    clock,
    generate::{self, Dates, Plan, Writer},
    pipeline::{INDICES, Part, Pipeline, TOPIC},
    readback,
};

const FILES: usize = 20;

pub(super) async fn run(room: &Room) -> Result<String> {
    let (seconds, rate) = if room.is_long() { (600, 8_000) } else { (62, 4_000) };
    let per_file = seconds * rate / FILES as u64;
    let total = per_file * FILES as u64;
    let mut pipeline = Pipeline::new(&room.dir)?;
    pipeline.start_all().await?;
    let writer = Writer::start(Plan {
        dir: pipeline.logs.clone(),
        files: FILES,
        lines_per_file: per_file,
        rotate_every: per_file / 7,
        rate,
        dates: Dates::Odd,
    });
    let started = clock::now();
    let mut kills = 0;
    let turn = [Part::Agent, Part::Broker, Part::Sinks];
    while !writer.finished() {
        let part = turn[kills % turn.len()];
        kill_at_work(&mut pipeline, part, &writer).await?;
        kills += 1;
        if part == Part::Agent && kills % 2 == 1 && !writer.finished() {
            // A rotation that the agent does not see: the writer goes on into the renamed file until its own turn.
            generate::rotate(&pipeline.logs.join(generate::file_name(kills % FILES)))?;
        }
        let due = Duration::from_secs_f64(seconds as f64 / 15.0).mul_f64(kills as f64);
        tokio::time::sleep(Duration::from_millis(300)).await;
        pipeline.start(part).await?;
        if let Some(ahead) = due.checked_sub(started.elapsed()) {
            tokio::time::sleep(ahead).await;
        }
    }
    ensure!(writer.join()? == total, "the writer did not finish");
    ensure!(kills >= 12, "only {kills} kills");
    whole::settled(&pipeline, total, Duration::from_secs(seconds.max(120))).await?;

    let in_topic = readback::topic(&pipeline.brokers, TOPIC, FILES, per_file)?;
    in_topic.none_missing()?;
    in_topic.in_order()?;
    let in_index = readback::index(&pipeline.index_url, INDICES, FILES, per_file).await?;
    in_index.none_missing()?;
    in_index.none_twice()?;
    pipeline.ledger().await?;
    pipeline.stop_all().await?;
    Ok(format!("{total} lines, {kills} kills, {} repeats in the topic, none in the index", in_topic.repeats))
}

/// Freezes the process, sees that it has unacknowledged work, kills it.
async fn kill_at_work(pipeline: &mut Pipeline, part: Part, writer: &Writer) -> Result<()> {
    let every = Duration::from_millis(5);
    let deadline = Duration::from_secs(20);
    match part {
        Part::Agent => {
            pipeline.process(part)?.freeze()?;
            clock::until("lines the agent has not delivered", deadline, every, || async {
                let delivered = readback::topic_size(&pipeline.brokers, TOPIC)?;
                Ok((writer.lines() > delivered || writer.finished()).then_some(()))
            })
            .await?;
        }
        Part::Broker => {
            pipeline.process(part)?.freeze()?;
            clock::until("records the broker has not acknowledged", deadline, every, || async {
                Ok((pipeline.in_flight().await? > 0.0 || writer.finished()).then_some(()))
            })
            .await?;
        }
        _ => {
            pipeline.process(part)?.freeze()?;
            clock::until("records the sink has not committed", deadline, every, || async {
                Ok((whole::lag(pipeline)? > 0 || writer.finished()).then_some(()))
            })
            .await?;
        }
    }
    pipeline.kill(part)
}
