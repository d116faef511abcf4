//! Ten minutes without a search node at full intake: memory stays under its bound, and everything is there afterwards.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    super::Room,
    embedded_index,
    stage::{Documents, Stage},
};
use crate::{clock, proxy::Weather};

const OUTAGE: Duration = Duration::from_secs(600);
/// Documents at a time, with a pause between.
const STEP: u64 = 4_000;
/// Of a process with a buffer of 48 MiB.
const MOST_KIB: u64 = 128 << 10;

pub(super) async fn run(room: &Room) -> Result<String> {
    let (url, start_index) = embedded_index(room)?;
    let _index = start_index()?;
    let mut stage = Stage::new(room, "outage", &url).await?;
    stage.make_index(21).await?;
    stage.start(0).await?;
    stage.produce(Documents { from: 0, to: STEP, day: 21 }).await?;
    stage.some_are_done(STEP / 2).await?;
    stage.proxy.set(Weather::Away);
    let (start, mut next, mut most) = (clock::now(), STEP, 0);
    while start.elapsed() < OUTAGE {
        stage.produce(Documents { from: next, to: next + STEP, day: 21 }).await?;
        next += STEP;
        most = most.max(stage.process(0)?.status_kib("RssAnon")?);
        ensure!(most < MOST_KIB, "{most} KiB of memory after {:?} of outage", start.elapsed());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    stage.alarm("unavailable").await?;
    stage.calm();
    // As long as it takes for all that came meanwhile.
    clock::until("the backlog", Duration::from_secs(900), Duration::from_secs(1), || async {
        let done = stage.done().await?;
        ensure!(done >= next - next / 400, "{done} of {next}");
        Ok(Some(()))
    })
    .await?;
    let told = stage.whole().await?;
    stage.stop().await?;
    Ok(format!("{told}; at most {} MiB through {} s of outage", most >> 10, OUTAGE.as_secs()))
}
