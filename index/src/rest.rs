//! The REST interface: HTTP in, Elasticsearch's answers out.
//!
//! Requests are bounded before they are read (bytes in flight over all connections) and run on blocking threads, a few at
//! a time. Every answer carries `X-Elastic-Product` and the media type the client asked for, as the official clients
//! demand.

mod body;
mod bulk;
mod cat;
mod cluster;
mod document;
mod failure;
mod fields;
mod indices;
mod names;
mod reply;
mod route;
mod scroll;
mod search;
mod templates;

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::Method,
    response::Response,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use reply::{Reply, Style};

/// Request bodies in memory over all connections; a single one may be as large as the configuration allows.
const BODY_BUDGET: u64 = 64 * 1024 * 1024;
/// Requests that work at the same time.
const WORKERS: usize = 4;
/// How long a request waits for room before it is rejected with 429.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every handler needs.
pub(crate) struct Rest {
    engine: Arc<Engine>,
    /// KiB of request bodies.
    bodies: Arc<Semaphore>,
    budget: u32,
    workers: Arc<Semaphore>,
    scrolls: scroll::Scrolls,
    uuid: String,
}

/// A request, read and taken apart.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The path's parts, decoded.
    pub(crate) path: Vec<String>,
    pub(crate) params: HashMap<String, String>,
    pub(crate) body: bytes::Bytes,
}

impl Call {
    /// A boolean parameter: given without value means true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.params.get(name).is_some_and(|value| value.is_empty() || value == "true")
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }
}

impl Rest {
    pub(crate) fn new(engine: Arc<Engine>) -> Arc<Self> {
        let budget = u32::try_from(BODY_BUDGET.max(engine.options.max_body_bytes) / 1024).unwrap_or(u32::MAX).max(1);
        Arc::new(Self {
            engine,
            bodies: Arc::new(Semaphore::new(budget as usize)),
            budget,
            workers: Arc::new(Semaphore::new(WORKERS)),
            scrolls: scroll::Scrolls::default(),
            uuid: crate::engine::new_id(),
        })
    }

    /// Serves until stopped; requests under way are finished.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        let router = Router::new().fallback(handle).with_state(self);
        axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await
    }

    /// Runs blocking work, a few at a time.
    async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Reply> {
        let permit = tokio::time::timeout(PATIENCE, self.workers.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(failure::rejected("too many requests are waiting")) };
        let rest = self.clone();
        tokio::task::spawn_blocking(move || {
            let result = work(&rest);
            drop(permit);
            result
        })
        .await
        .map_err(|error| failure::error(500, "exception", &format!("request failed: {error}")))
    }
}

async fn handle(State(rest): State<Arc<Rest>>, request: Request) -> Response {
    let style = Style::of(&request);
    let head = request.method() == Method::HEAD;
    let reply = match body::read(&rest, request).await {
        Ok((call, room)) => {
            let reply = route::route(&rest, call).await;
            drop(room);
            reply
        }
        Err(reply) => reply,
    };
    rest.engine.metrics.requests.with_label_values(&[reply.class()]).inc();
    reply.into_response(&style, head)
}
