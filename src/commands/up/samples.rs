//! `--sample`: logs to look at on a machine without any, written as programs would.

use std::{path::Path, time::Duration};

use logmill_daemon::clock;
use tokio_util::sync::CancellationToken;

use crate::commands::sample::{
    Kind,
    writer::{Plan, append_to, write},
};

const DIR: &str = "./logs";
/// Lines per second of each file.
const RATE: u32 = 20;
/// Of each file in one run, so that a forgotten one does not fill the disk: about 100 MB.
const MOST_LINES: u64 = 500_000;

/// The glob that covers them.
pub(super) fn pattern() -> String {
    format!("{DIR}/sample-*.log")
}

/// Writes until `stop`.
pub(super) fn start(stop: CancellationToken) {
    for (kind, name) in [(Kind::App, "app"), (Kind::Behavior, "behavior"), (Kind::Nginx, "nginx")] {
        let stop = stop.clone();
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let file = format!("sample-{name}.log");
            let now = clock::unix_ms();
            let plan = Plan {
                kind,
                seed: now,
                first_ms: i64::try_from(now).unwrap_or(0),
                count: Some(MOST_LINES),
                rate: Some(RATE),
                name: file.clone(),
            };
            let pause = |pause: Duration| {
                runtime.block_on(async {
                    tokio::select! {
                        () = stop.cancelled() => false,
                        () = tokio::time::sleep(pause) => true,
                    }
                })
            };
            let path = Path::new(DIR).join(file);
            let written = append_to(&path).and_then(|out| Ok(write(&plan, out, pause)?));
            if let Err(e) = written {
                tracing::warn!("no sample logs: {e:#}");
            }
        });
    }
}
