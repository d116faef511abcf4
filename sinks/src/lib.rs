//! Consumer groups that deliver topics into Elasticsearch, over HTTP and into files: poll → decode → batch → connector → classify each item → commit.
//!
//! What holds: an offset is committed only when every record before it is finished (indexed, duplicate, filtered or
//! acknowledged by the dead-letter topic); memory is a byte budget held from poll to commit; one bad sink never stops another.
//!
//! Each sink is a thread that polls ([`reader`]) and a task that delivers ([`dispatch`]); they share the partitions' state
//! ([`partitions`], over the pure [`track`]) and the budget. What differs between destinations is behind [`connector`]:
//! [`elastic`], [`webhook`], [`file`].

mod alarms;
mod backoff;
mod batch;
mod budget;
mod burials;
mod clock;
mod concurrency;
mod condition;
mod connector;
mod consumer;
mod dead_letters;
mod decode;
mod destination;
mod dispatch;
mod document;
mod elastic;
mod enrich;
mod error;
mod event;
mod event_time;
mod file;
mod holding;
mod intake;
mod ledger;
mod metrics;
mod native;
mod pace;
mod partitions;
pub mod preview;
mod processors;
mod reader;
mod reload;
pub mod reprocess;
mod retry_after;
mod sink;
pub mod slice;
mod status;
mod track;
mod transform;
mod webhook;

#[cfg(test)]
mod tests;

use logmill_config::sinks::SinksConfig;
use logmill_daemon::context::Context;
use tokio::{runtime::Handle, time::timeout};

use self::{partitions::Counted, sink::Prepared, status::Board};

pub use error::SinksError;
pub use native::headers;
pub use transform::{mistakes, warnings};

/// Runs every sink of `config` until `context.stop` is cancelled, then finishes what is in flight within
/// `config.shutdown_timeout`, commits and returns. Needs a tokio runtime; each sink's polling has a thread of its own.
///
/// An unreachable Kafka or destination is waited for, without limit; each sink's state is a part of `context.health`
/// named `sink NAME`. A configuration handed to `context.reload` stops, starts and restarts those sinks that it leaves out, adds
/// and changes, and no other.
///
/// # Errors
/// Only at the start, and only what no waiting can mend: a property librdkafka refuses, a CA file that cannot be read, a
/// URL that is none.
pub async fn run(config: SinksConfig, context: Context) -> Result<(), SinksError> {
    let metrics = metrics::Metrics::register(&context.metrics)?;
    let mut reloads = context.reload.listen::<SinksConfig>();
    // All are made before any is started: a mistake in one is said at once.
    let mut sinks = Vec::with_capacity(config.sinks.len());
    for sink in &config.sinks {
        sinks.push(Prepared::new(&config, sink, &metrics, &context, Counted::default())?);
    }
    let mut running = Vec::with_capacity(sinks.len());
    let board = Board::default();
    for sink in sinks {
        let sink = sink.start(Handle::current())?;
        board.put(sink.shared());
        running.push(sink);
    }
    board.serve(&context.pages);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => break,
            newer = reloads.next() => {
                // What else is in it waits for the daemon's own restart.
                let newer = SinksConfig { sinks: newer.sinks.clone(), ..config.clone() };
                running = reload::reloaded(running, &newer, &metrics, &context, &board).await;
            }
        }
    }
    let all = async {
        for sink in &mut running {
            sink.ended().await;
        }
    };
    // A little less than the process is given.
    if timeout(config.shutdown_timeout.mul_f64(0.95), all).await.is_err() {
        tracing::warn!("not every sink stopped in time; what was not committed is delivered again, as duplicates");
    }
    Ok(())
}
