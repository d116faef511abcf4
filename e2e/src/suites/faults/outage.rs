//! Ten minutes without a search node at full intake: memory stays under its bound, and everything is there afterwards.

use std::{cell::Cell, time::Duration};

use anyhow::{Result, ensure};

use super::{
    super::Room,
    embedded_index,
    stage::{Documents, Stage},
};
use crate::{clock, proxy::Weather};

const OUTAGE: Duration = Duration::from_secs(600);
/// Documents each second: as many as the index takes on two cores that it shares with everything else.
const INTAKE: u64 = 40_000;
/// Of a process with a buffer of 48 MiB.
const MOST_KIB: u64 = 128 << 10;

pub(super) async fn run(room: &Room) -> Result<String> {
    let (url, start_index) = embedded_index(room)?;
    let _index = start_index()?;
    let mut stage = Stage::new(room, "outage", &url).await?;
    stage.make_index(21).await?;
    stage.start(0).await?;
    stage.produce(Documents { from: 0, to: INTAKE, day: 21 }).await?;
    stage.some_are_done(INTAKE / 2).await?;
    stage.proxy.set(Weather::Away);
    let (start, mut next, mut most) = (clock::now(), INTAKE, 0);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while start.elapsed() < OUTAGE {
        ticks.tick().await;
        stage.produce(Documents { from: next, to: next + INTAKE, day: 21 }).await?;
        next += INTAKE;
        most = most.max(stage.process(0)?.status_kib("RssAnon")?);
        ensure!(most < MOST_KIB, "{most} KiB of memory after {:?} of outage", start.elapsed());
    }
    let (intake, most) = (next / start.elapsed().as_secs(), Cell::new(most));
    stage.alarm("unavailable").await?;
    stage.calm();
    let (start, backlog) = (clock::now(), next - stage.done().await?);
    // As long as it takes for all that came meanwhile.
    clock::until("the backlog", Duration::from_secs(3600), Duration::from_secs(1), || async {
        let done = stage.done().await?;
        most.set(most.get().max(stage.process(0)?.status_kib("RssAnon")?));
        ensure!(done >= next - next / 400, "{done} of {next}");
        Ok(Some(()))
    })
    .await?;
    let most = most.get();
    ensure!(most < MOST_KIB, "{most} KiB of memory while catching up");
    let caught_up = backlog / start.elapsed().as_secs().max(1);
    let told = stage.whole().await?;
    stage.stop().await?;
    Ok(format!(
        "{told}; {intake} documents/s through {} s of outage, caught up at {caught_up}/s; at most {} MiB",
        OUTAGE.as_secs(),
        most >> 10
    ))
}
