//! The crate's clock: deadlines, polling for a condition, durations for the report.

use std::{future::Future, time::Duration};

use anyhow::{Result, bail};

pub type Instant = std::time::Instant;

#[allow(clippy::disallowed_methods)]
pub fn now() -> Instant {
    Instant::now()
}

/// Holds up this thread, which must be one that may block.
#[allow(clippy::disallowed_methods)]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Milliseconds since the epoch.
#[allow(clippy::disallowed_methods)]
pub fn epoch_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A moment that nothing before has.
pub async fn next_epoch_ms() -> i64 {
    let before = epoch_ms();
    while epoch_ms() <= before + 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    epoch_ms()
}

/// Asks `probe` every `every` until it gives a value; fails after `deadline`, telling what was waited for and the last error.
pub async fn until<T, F, Fut>(what: &str, deadline: Duration, every: Duration, mut probe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let start = now();
    loop {
        let last = match probe().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => String::from("not yet"),
            Err(e) => format!("{e:#}"),
        };
        if start.elapsed() > deadline {
            bail!("waited {:.0} s for {what}: {last}", deadline.as_secs_f64());
        }
        tokio::time::sleep(every).await;
    }
}
