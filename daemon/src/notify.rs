//! What systemd is told (sd_notify(3)): ready, reloading, stopping, a line on how it stands, and that the daemon's loops turn.
//!
//! READY means: running, and every part said once how it is. It does not wait for a part to be well, since a sink whose
//! Elasticsearch is away is right to wait and must not be killed for it; /health/ready says that.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::{Throttle, context::Context};

/// A stalled daemon says so in its log this often until it is killed.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// Runs beside the daemon until its task is aborted. The watchdog is only told while the runtime turns and no loop stalls.
pub(crate) async fn supervise(context: Context) {
    context.health.wait_for(|parts| !parts.is_empty()).await;
    tell(&[NotifyState::Ready, NotifyState::Status("running")]);
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval(limit / 3);
    let complaints = Throttle::every(COMPLAINT_INTERVAL);
    loop {
        ticks.tick().await;
        match context.progress.stalled() {
            None => tell(&[NotifyState::Watchdog]),
            Some(words) if complaints.pass().is_some() => {
                tracing::error!("{words}; the watchdog is no longer told that all is well");
            }
            Some(_) => {}
        }
    }
}

/// Follow it with [`reloaded`].
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(e) => tracing::debug!("no monotonic time for sd_notify: {e}"),
    }
}

pub(crate) fn reloaded(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Without a service manager this does nothing; a failure is not worth stopping for.
fn tell(states: &[NotifyState]) {
    if let Err(e) = sd_notify::notify(states) {
        tracing::debug!("sd_notify: {e}");
    }
}
