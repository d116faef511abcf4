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
mod connector;
mod consumer;
mod dead_letters;
mod destination;
mod dispatch;
mod document;
mod elastic;
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
mod reader;
mod retry_after;
mod sink;
mod track;
mod webhook;

#[cfg(test)]
mod tests;

use logmill_config::sinks::SinksConfig;
use logmill_daemon::context::Context;
use tokio::{runtime::Handle, time::timeout};

pub use error::SinksError;

/// Runs every sink of `config` until `context.stop` is cancelled, then finishes what is in flight within
/// `config.shutdown_timeout`, commits and returns. Needs a tokio runtime; each sink's polling has a thread of its own.
///
/// An unreachable Kafka or destination is waited for, without limit; each sink's state is a part of `context.health`
/// named `sink NAME`.
///
/// # Errors
/// Only at the start, and only what no waiting can mend: a property librdkafka refuses, a CA file that cannot be read, a
/// URL that is none.
pub async fn run(config: SinksConfig, context: Context) -> Result<(), SinksError> {
    let metrics = metrics::Metrics::register(&context.metrics)?;
    // All are made before any is started: a mistake in one is said at once.
    let mut sinks = Vec::with_capacity(config.sinks.len());
    for at in 0..config.sinks.len() {
        sinks.extend(sink::Prepared::new(&config, at, &metrics, &context)?);
    }
    let mut running = Vec::with_capacity(sinks.len());
    for sink in sinks {
        running.push(sink.start(Handle::current())?);
    }
    context.stop.cancelled().await;
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
