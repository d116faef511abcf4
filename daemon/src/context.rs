//! What a daemon is handed when it runs: alone from its `main`, or with the others inside `logmill up`.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Handed to every daemon's `run(config, context)`. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Metrics are registered here; one registry per process.
    pub metrics: prometheus::Registry,
    pub health: Health,
    /// Cancelled once: stop taking input, flush, commit, return.
    pub stop: CancellationToken,
}

impl Context {
    pub fn new() -> Self {
        Self { metrics: prometheus::Registry::new(), health: Health::default(), stop: CancellationToken::new() }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

/// What /health/ready answers: ready when every part that registered says so.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, Result<(), String>>>>);

impl Health {
    /// Sets the state of one part ("broker", "sink app-logs"): `Err` says in words why it is not ready.
    pub fn set(&self, part: &str, state: Result<(), String>) {
        self.0.lock().insert(part.to_owned(), state);
    }

    /// Every part with its state.
    pub fn parts(&self) -> BTreeMap<String, Result<(), String>> {
        self.0.lock().clone()
    }

    pub fn is_ready(&self) -> bool {
        let parts = self.0.lock();
        !parts.is_empty() && parts.values().all(Result::is_ok)
    }
}
