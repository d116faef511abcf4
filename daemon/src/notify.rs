//! What systemd is told (sd_notify(3)): ready, stopping, and that the runtime still turns.
//!
//! READY means: running, and every part said once how it is. It does not wait for a part to be well, since a sink whose
//! Elasticsearch is away is right to wait and must not be killed for it; /health/ready says that.

use sd_notify::NotifyState;

use crate::context::Context;

/// Runs beside the daemon until its task is aborted.
pub(crate) async fn supervise(context: Context) {
    context.health.wait_for(|parts| !parts.is_empty()).await;
    tell(&[NotifyState::Ready]);
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval(limit / 3);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Without a service manager this does nothing; a failure is not worth stopping for.
fn tell(states: &[NotifyState]) {
    if let Err(e) = sd_notify::notify(states) {
        tracing::debug!("sd_notify: {e}");
    }
}
