//! How long the broker takes from exec to its first acknowledgement on an empty directory.

use anyhow::Result;
use logmill_e2e::sample;

use crate::{
    broker::server::{Kind, Server},
    quiet::Quiet,
    report::Report,
};

const ROUNDS: usize = 7;

pub async fn run(report: &mut Report) -> Result<()> {
    report.section(
        "Broker start to first ack",
        "The broker is executed on an empty directory while a producer is already trying to connect (backoff 1 ms); the time ends\n\
         with the delivery report of its first record, which includes making the topic.",
        &["median", "fastest", "slowest", "RssAnon after"],
    );
    let (mut times, mut memory, mut quiet) = (Vec::new(), 0.0f64, Quiet::new());
    for _ in 0..ROUNDS {
        let (server, ready) = quiet.run(async || Server::start(Kind::OURS_DISK).await).await?;
        times.push(ready.as_secs_f64() * 1000.0);
        memory = memory.max(sample::rss_anon_kib(server.pid()?)? as f64 / 1024.0);
    }
    times.sort_by(f64::total_cmp);
    let ms = |t: f64| format!("{t:.0} ms");
    report.row(&[ms(times[ROUNDS / 2]), ms(times[0]), ms(times[ROUNDS - 1]), format!("{memory:.0} MiB")]);
    report.note(&quiet.told());
    Ok(())
}
