//! What a daemon is handed when it runs: alone from its `main`, or with the others inside `logmill up`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{pages::Pages, progress::Progress, reload::Reload};

/// Handed to every daemon's `run(config, context)`. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Metrics are registered here; one registry per process.
    pub metrics: prometheus::Registry,
    pub health: Health,
    /// Cancelled once: stop taking input, flush, commit, return.
    pub stop: CancellationToken,
    /// SIGHUP: changed configurations, for who can apply some of one live.
    pub reload: Reload,
    /// The loops whose turning the watchdog hangs on.
    pub progress: Progress,
    /// What is served beside metrics and health.
    pub pages: Pages,
    /// Options of its own that the daemon was called with.
    pub flags: BTreeSet<&'static str>,
}

impl Context {
    pub fn new() -> Self {
        Self {
            metrics: prometheus::Registry::new(),
            health: Health::default(),
            stop: CancellationToken::new(),
            reload: Reload::default(),
            progress: Progress::default(),
            pages: Pages::default(),
            flags: BTreeSet::new(),
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

/// What /health/ready answers: ready when every part that registered says so.
#[derive(Clone, Default)]
pub struct Health(Arc<Parts>);

#[derive(Default)]
struct Parts {
    states: Mutex<BTreeMap<String, Result<(), String>>>,
    /// Counts changes, so that a waiter misses none.
    changes: watch::Sender<u64>,
}

impl Health {
    /// Sets the state of one part ("broker", "sink app-logs"): `Err` says in words why it is not ready.
    pub fn set(&self, part: &str, state: Result<(), String>) {
        self.0.states.lock().insert(part.to_owned(), state);
        self.0.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Leaves out the parts that are `gone`.
    pub fn forget(&self, gone: impl Fn(&str) -> bool) {
        self.0.states.lock().retain(|part, _| !gone(part));
        self.0.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Every part with its state.
    pub fn parts(&self) -> BTreeMap<String, Result<(), String>> {
        self.0.states.lock().clone()
    }

    pub fn is_ready(&self) -> bool {
        let parts = self.0.states.lock();
        !parts.is_empty() && parts.values().all(Result::is_ok)
    }

    /// Waits until `holds` says so of the parts; looks again after every change.
    pub async fn wait_for(&self, holds: impl Fn(&BTreeMap<String, Result<(), String>>) -> bool) {
        let mut changes = self.0.changes.subscribe();
        while !holds(&self.0.states.lock()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits until every part is ready.
    pub async fn wait_ready(&self) {
        self.wait_for(|parts| !parts.is_empty() && parts.values().all(Result::is_ok)).await;
    }
}
