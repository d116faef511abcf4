//! Client libraries of other languages on our broker: each writes what librdkafka reads back, reads what librdkafka wrote, and does what applications do
//! (e2e/clients).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};

use super::Room;
use crate::{
    peers::client_stack,
    pipeline::{Part, Pipeline},
    rows::{self, CODECS, Isolation, Row},
};

const PER_CODEC: usize = 20;
const SHARED: &str = "shared";

pub(super) async fn run(room: &Room) -> Result<String> {
    let rounds = if room.is_long() { 50 } else { 1 };
    let mut pipeline = Pipeline::new(&room.dir)?;
    pipeline.start(Part::Broker).await?;
    let brokers = pipeline.brokers.clone();
    write_shared(&brokers).await?;
    let names = client_stack(&["list"], Duration::from_secs(5)).await?;
    let one = |name: String| {
        let brokers = brokers.clone();
        async move {
            let rounds_text = rounds.to_string();
            let deadline = Duration::from_secs(90 + 60 * rounds);
            let topic = format!("of-{name}");
            let told = client_stack(&["run", &name, &brokers, &topic, &rounds_text], deadline).await?;
            same(&brokers, &topic, rounds).with_context(|| format!("what {name} wrote, read by librdkafka"))?;
            anyhow::Ok(told.trim().to_owned())
        }
    };
    // Side by side: most of their time they wait for rebalances.
    let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
    ensure!(names.len() >= 7, "only {names:?} are listed");
    let done: Vec<Result<String>> = stream::iter(names.into_iter().map(one)).buffered(3).collect().await;
    let (mut told, mut failed) = (Vec::new(), Vec::new());
    for one in done {
        match one {
            Ok(line) => told.push(line),
            Err(e) => failed.push(format!("{e:#}")),
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    pipeline.stop(Part::Broker).await?;
    Ok(told.join("; "))
}

/// The records of one round, the codec of each.
fn table() -> Vec<(&'static str, Row)> {
    let mut rows = Vec::new();
    for codec in CODECS {
        for n in 0..PER_CODEC {
            let headers = vec![("codec".to_owned(), codec.as_bytes().to_vec()), ("empty".to_owned(), Vec::new())];
            let (key, value) = (Some(format!("k{n}").into()), Some(format!("{codec} {n}").into()));
            rows.push((codec, Row { key, value, headers }));
        }
    }
    let none = Some(Vec::new());
    for (key, value) in [(None, None), (none.clone(), none.clone()), (None, none.clone()), (none, None)] {
        rows.push(("none", Row { key, value, headers: Vec::new() }));
    }
    rows
}

async fn write_shared(brokers: &str) -> Result<()> {
    rows::create_topic(brokers, SHARED, 1, &[]).await?;
    // A producer has one codec; the last rows have the first one's again.
    for batch in table().chunk_by(|(a, _), (b, _)| a == b) {
        let Some((codec, _)) = batch.first() else { continue };
        rows::write(brokers, SHARED, codec, batch.iter().map(|(_, row)| row)).await?;
    }
    same(brokers, SHARED, 1).context("what librdkafka wrote, read by librdkafka")
}

/// The topic has the table, once for each round.
fn same(brokers: &str, topic: &str, rounds: u64) -> Result<()> {
    let found = rows::read(brokers, topic, Isolation::Committed)?;
    let expected: Vec<Row> = (0..rounds).flat_map(|_| table()).map(|(_, row)| row).collect();
    ensure!(found.len() == expected.len(), "{} records of {}", found.len(), expected.len());
    for (have, want) in found.iter().zip(&expected) {
        ensure!(have.row == *want, "{have:?} instead of {want:?}");
    }
    Ok(())
}
