//! The coordinator's task: reads the groups back, then keeps time.

use std::{sync::Arc, time::Duration};

use logmill_protocol::ErrorCode;

use super::{Groups, SlotState};
use crate::coordinator::{group::Group, load::Loader};

/// Bytes read from a partition at a time.
const READ_BYTES: u64 = 4 << 20;
/// Between attempts to read a partition that could not be read.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Groups {
    /// Runs until the broker stops.
    pub(crate) async fn run(self: Arc<Self>) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = async { tokio::join!(self.load(), self.keep_time(), self.keep_retention()); } => {}
        }
    }

    async fn load(self: &Arc<Self>) {
        let begin = self.clock.monotonic();
        loop {
            let mut waiting: Vec<i32> = self.loading.read().iter().copied().collect();
            if waiting.is_empty() {
                break;
            }
            waiting.sort_unstable();
            let mut failed = false;
            for index in waiting {
                match self.load_partition(index).await {
                    Ok(()) => {
                        self.loading.write().remove(&index);
                    }
                    Err(error) => {
                        tracing::error!(
                            partition = index,
                            error,
                            "cannot read the committed offsets of a partition: its groups wait"
                        );
                        failed = true;
                    }
                }
            }
            if failed {
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
        let took = self.clock.monotonic().saturating_duration_since(begin);
        self.metrics.load_seconds.set(took.as_secs_f64());
        let groups = self.slots.read().len();
        tracing::info!(groups, milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "groups loaded");
    }

    async fn load_partition(self: &Arc<Self>, index: i32) -> Result<(), String> {
        let partition = self.store.open_partition(index).await.map_err(|e: ErrorCode| e.name().to_owned())?;
        let log = partition.log().await.map_err(|e| e.to_string())?;
        let mut next = log.log_start_offset();
        let mut loader = Loader::default();
        while let Some(bytes) = partition.read(next, READ_BYTES).await.map_err(|e| e.to_string())? {
            match loader.apply(&bytes).map_err(|e| format!("{e}, in what follows offset {next}"))? {
                Some(after) if after > next => next = after,
                _ => break,
            }
        }
        if loader.records > 0 {
            let (records, unreadable) = (loader.records, loader.unreadable);
            tracing::debug!(partition = index, records, unreadable, "partition of committed offsets read");
        }
        let now = self.now();
        for (name, loaded) in loader.finish() {
            let metadata = loaded.metadata(&name);
            let stored = metadata.is_some();
            let group = match metadata {
                Some(metadata) => Group::restore(metadata, self.limits, now),
                None => Group::new(self.limits, now),
            };
            let slot = self.slot(&name, Arc::clone(&partition), SlotState::new(group, loaded.offsets, stored));
            self.slots.write().insert(Arc::clone(&slot.name), Arc::clone(&slot));
            let _ = self.step(&slot, |_, _, _| ());
        }
        Ok(())
    }

    /// Sleeps until the earliest deadline of any group, and lets happen what is due.
    async fn keep_time(self: &Arc<Self>) {
        loop {
            match self.timers.first() {
                Some(at) => {
                    let Some(at) = self.started.checked_add(Duration::from_millis(at)) else {
                        // Further away than the clock can say.
                        self.timers.earlier().await;
                        continue;
                    };
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = self.timers.earlier() => continue,
                    }
                }
                None => {
                    self.timers.earlier().await;
                    continue;
                }
            }
            for (entered, name) in self.timers.take_due(self.now().mono_ms) {
                let slot = self.slots.read().get(&name).cloned();
                if let Some(slot) = slot {
                    let _ = self.step(&slot, |state, now, fx| {
                        if state.timer == Some(entered) {
                            state.timer = None;
                        }
                        state.group.advance(now, fx);
                    });
                }
            }
        }
    }

    async fn keep_retention(self: &Arc<Self>) {
        loop {
            tokio::time::sleep(self.settings.retention_check_interval).await;
            self.expire();
        }
    }
}
