//! A `_bulk` endpoint that keeps what it is given and misbehaves as told, per document or per request.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// What the next request meets.
#[derive(Debug, Clone)]
pub(super) enum Trick {
    /// This status with an error of this type, nothing kept.
    Refuse(u16, &'static str),
    /// As `Refuse`, with Retry-After in seconds.
    RefuseFor(u16, u64),
    /// Everything is kept, and the answer broken off in the middle.
    BreakOff,
    /// Everything is kept, and the answer has an item too few.
    OneTooFew,
    /// No answer for this long.
    Hang(Duration),
}

#[derive(Default)]
pub(super) struct Endpoint {
    pub(super) tricks: VecDeque<Trick>,
    /// Documents by index and `_id`, in the order of the first write.
    pub(super) documents: BTreeMap<(String, String), Value>,
    /// What every request carried, as `_id`s.
    pub(super) requests: Vec<Vec<String>>,
    pub(super) authorization: Option<String>,
    /// Requests larger than this are 413.
    pub(super) max_body: Option<usize>,
    /// Every document is met with this until it is taken away.
    pub(super) all: Option<(u16, &'static str)>,
    /// How often each `_id` was refused by its own wish (`"retry": n` in the document).
    refused: BTreeMap<String, u64>,
}

#[derive(Clone, Default)]
pub(super) struct Server {
    pub(super) endpoint: Arc<Mutex<Endpoint>>,
    pub(super) url: String,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server { endpoint: Arc::default(), url };
        let router = Router::new().route("/_bulk", post(bulk)).with_state(server.clone());
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    pub(super) fn trick(&self, trick: Trick) {
        self.endpoint.lock().tricks.push_back(trick);
    }

    pub(super) fn count(&self) -> usize {
        self.endpoint.lock().documents.len()
    }

    pub(super) fn set_all(&self, all: Option<(u16, &'static str)>) {
        self.endpoint.lock().all = all;
    }
}

async fn bulk(State(server): State<Server>, headers: HeaderMap, body: String) -> Response {
    assert!(body.ends_with('\n'));
    let content_type = headers.get("content-type").unwrap();
    assert_eq!(content_type, "application/x-ndjson");
    let trick = {
        let mut endpoint = server.endpoint.lock();
        endpoint.authorization = headers.get("authorization").map(|v| v.to_str().unwrap().to_owned());
        if endpoint.max_body.is_some_and(|max| body.len() > max) {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        endpoint.tricks.pop_front()
    };
    match trick {
        Some(Trick::Refuse(status, kind)) => refused(status, kind),
        Some(Trick::RefuseFor(status, seconds)) => {
            let mut response = refused(status, "es_rejected_execution_exception");
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            response
        }
        Some(Trick::Hang(time)) => {
            tokio::time::sleep(time).await;
            refused(503, "late")
        }
        Some(Trick::BreakOff) => {
            let mut answer = take(&server, &body).to_string();
            let length = answer.len();
            answer.truncate(length / 2);
            let parts = [Ok(axum::body::Bytes::from(answer)), Err(std::io::Error::other("cut"))];
            Response::builder()
                .header("content-length", length)
                .body(Body::from_stream(futures::stream::iter(parts)))
                .unwrap()
        }
        Some(Trick::OneTooFew) => {
            let mut answer = take(&server, &body);
            answer["items"].as_array_mut().unwrap().pop();
            axum_json(&answer)
        }
        None => axum_json(&take(&server, &body)),
    }
}

fn axum_json(value: &Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

fn refused(status: u16, kind: &str) -> Response {
    let body = json!({"error": {"type": kind, "reason": "as told"}, "status": status}).to_string();
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], body).into_response()
}

fn take(server: &Server, body: &str) -> Value {
    let mut endpoint = server.endpoint.lock();
    let lines: Vec<&str> = body.lines().collect();
    let (mut items, mut errors, mut ids) = (Vec::new(), false, Vec::new());
    for pair in lines.chunks(2) {
        let action: Value = serde_json::from_str(pair[0]).unwrap();
        let document: Value = serde_json::from_str(pair[1]).unwrap();
        let (op, target) = action.as_object().unwrap().iter().next().unwrap();
        let (index, id) = (target["_index"].as_str().unwrap(), target["_id"].as_str().unwrap());
        ids.push(id.to_owned());
        let (status, kind) = endpoint.status(op, index, id, &document);
        let mut item = json!({"_index": index, "_id": id, "status": status});
        if status >= 300 {
            errors = true;
            item["error"] = json!({"type": kind, "reason": "as the document wishes"});
        }
        items.push(json!({ op.as_str(): item }));
    }
    endpoint.requests.push(ids);
    json!({"took": 1, "errors": errors, "items": items})
}

impl Endpoint {
    /// A document may wish for its fate: `"retry": n` (429, n times), `"bad": true`, `"blocked"` through `all`.
    fn status(&mut self, op: &str, index: &str, id: &str, document: &Value) -> (u16, &'static str) {
        if let Some(all) = self.all {
            return all;
        }
        if document["bad"] == json!(true) {
            return (400, "document_parsing_exception");
        }
        let times = self.refused.entry(id.to_owned()).or_default();
        if document["retry"].as_u64().is_some_and(|wish| *times < wish) {
            *times += 1;
            return (429, "es_rejected_execution_exception");
        }
        let key = (index.to_owned(), id.to_owned());
        if op == "create" && self.documents.contains_key(&key) {
            return (409, "version_conflict_engine_exception");
        }
        self.documents.insert(key, document.clone());
        (201, "")
    }
}
