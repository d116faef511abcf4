//! `/metrics` in Prometheus text, `/health/live` and `/health/ready`, over HTTP.

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus::{Encoder, TextEncoder};
use tokio::net::TcpListener;

use crate::{context::Context, process};

/// Serves until the returned task is aborted; it goes on while the daemon stops, so that the stop can be watched.
pub fn serve(listener: TcpListener, context: &Context) -> tokio::task::JoinHandle<()> {
    process::register(&context.metrics);
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/{page}", get(page))
        .with_state(context.clone());
    tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, app).await {
            tracing::error!("metrics and health are no longer served: {e}");
        }
    })
}

async fn metrics(State(context): State<Context>) -> impl IntoResponse {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&context.metrics.gather(), &mut text) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text),
        Err(e) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            format!("cannot encode the metrics: {e}\n").into_bytes(),
        ),
    }
}

async fn page(State(context): State<Context>, Path(name): Path<String>) -> (StatusCode, String) {
    match context.pages.answer(&name).await {
        Some(text) => (StatusCode::OK, text),
        None => (StatusCode::NOT_FOUND, format!("there is no /{name} here\n")),
    }
}

/// Whether its loops turn: who restarts what is not live restarts what nothing else can help.
async fn live(State(context): State<Context>) -> (StatusCode, String) {
    match context.progress.stalled() {
        None => (StatusCode::OK, "live\n".into()),
        Some(words) => (StatusCode::SERVICE_UNAVAILABLE, format!("not live: {words}\n")),
    }
}

/// One line per part: `ok broker`, or `not ready sink app-logs: why`.
async fn ready(State(context): State<Context>) -> (StatusCode, String) {
    if context.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: stopping\n".into());
    }
    let parts = context.health.parts();
    let mut text = String::new();
    for (part, state) in &parts {
        match state {
            Ok(()) => text.push_str(&format!("ok {part}\n")),
            Err(why) => text.push_str(&format!("not ready {part}: {why}\n")),
        }
    }
    if parts.is_empty() {
        text.push_str("not ready: starting\n");
    }
    let code = if context.health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;
    use crate::listen;

    async fn ask(address: std::net::SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    #[tokio::test]
    async fn health_follows_the_parts() {
        let context = Context::new();
        let listener = listen::bind("metrics", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = serve(listener, &context);

        assert_eq!(ask(address, "/health/live").await, (200, "live\n".into()));
        assert_eq!(ask(address, "/health/ready").await, (503, "not ready: starting\n".into()));
        context.health.set("broker", Ok(()));
        context.health.set("sink a", Err("elasticsearch does not answer".into()));
        let words = "ok broker\nnot ready sink a: elasticsearch does not answer\n";
        assert_eq!(ask(address, "/health/ready").await, (503, words.into()));
        context.health.set("sink a", Ok(()));
        assert_eq!(ask(address, "/health/ready").await, (200, "ok broker\nok sink a\n".into()));
        context.pages.add("status", || async { "fine\n".to_owned() });
        context.pages.add("status", || async { "so am I\n".to_owned() });
        assert_eq!(ask(address, "/status").await, (200, "fine\nso am I\n".into()));
        assert_eq!(ask(address, "/other").await, (404, "there is no /other here\n".into()));
        context.stop.cancel();
        assert_eq!(ask(address, "/health/ready").await, (503, "not ready: stopping\n".into()));
        task.abort();
    }

    #[tokio::test]
    async fn metrics_of_the_daemon_and_its_process() {
        let context = Context::new();
        let counter = prometheus::IntCounter::new("logmill_test_lines_total", "lines").unwrap();
        context.metrics.register(Box::new(counter.clone())).unwrap();
        counter.inc_by(3);
        let listener = listen::bind("metrics", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = serve(listener, &context);
        let (code, text) = ask(address, "/metrics").await;
        assert_eq!(code, 200);
        assert!(text.contains("\nlogmill_test_lines_total 3\n"), "{text}");
        for name in ["process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds "] {
            let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
            assert!(line.split(' ').nth(1).unwrap().parse::<f64>().unwrap() >= 0.0);
        }
        task.abort();
    }

    #[tokio::test]
    async fn a_port_in_use_is_said_so() {
        let first = listen::bind("metrics", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = first.local_addr().unwrap();
        let error = listen::bind("metrics", address).await.unwrap_err();
        let port = address.port();
        assert_eq!(
            error.to_string(),
            format!(
                "metrics: cannot listen on {address}: port {port} is in use by another process, stop it or choose another port"
            )
        );
    }
}
