//! A `_bulk` endpoint and a webhook that keep what they are given and misbehave as told, per document or per request.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Read,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// What the next request meets.
#[derive(Debug, Clone)]
pub(crate) enum Trick {
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
pub(crate) struct Endpoint {
    pub(crate) tricks: VecDeque<Trick>,
    /// Documents by index and `_id`, in the order of the first write.
    pub(crate) documents: BTreeMap<(String, String), Value>,
    /// What every request carried, as `_id`s.
    pub(crate) requests: Vec<Vec<String>>,
    pub(crate) authorization: Option<String>,
    /// What a webhook was sent, in the order in which it was taken: headers and body.
    pub(crate) taken: Vec<(HeaderMap, String, String)>,
    /// Requests larger than this are 413.
    pub(crate) max_body: Option<usize>,
    /// Every document is met with this until it is taken away.
    pub(crate) all: Option<(u16, &'static str)>,
    /// Of documents that came with one.
    versions: BTreeMap<(String, String), u64>,
    /// Requests whose body was compressed.
    pub(crate) compressed: usize,
    /// Index templates by name.
    pub(crate) templates: BTreeMap<String, Value>,
    /// How often each `_id` was refused by its own wish (`"retry": n` in the document).
    refused: BTreeMap<String, u64>,
}

#[derive(Clone, Default)]
pub(crate) struct Server {
    pub(crate) endpoint: Arc<Mutex<Endpoint>>,
    pub(crate) url: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server { endpoint: Arc::default(), url };
        let router = Router::new().route("/_bulk", post(bulk)).route("/hook/{*path}", post(hook));
        let router = router.route("/_index_template/{name}", get(template).put(put_template));
        let router = router.with_state(server.clone());
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    pub(crate) fn trick(&self, trick: Trick) {
        self.endpoint.lock().tricks.push_back(trick);
    }

    pub(crate) fn count(&self) -> usize {
        self.endpoint.lock().documents.len()
    }

    pub(crate) fn set_all(&self, all: Option<(u16, &'static str)>) {
        self.endpoint.lock().all = all;
    }
}

async fn bulk(State(server): State<Server>, headers: HeaderMap, body: axum::body::Bytes) -> Response {
    let mut text = String::new();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        server.endpoint.lock().compressed += 1;
    } else {
        text = String::from_utf8(body.to_vec()).unwrap();
    }
    let body = text;
    assert!(body.ends_with('\n'));
    let content_type = headers.get("content-type").unwrap();
    assert_eq!(content_type, "application/x-ndjson");
    answer(&server, &headers, &body, |server| axum_json(&take(server, &body)), || Ok(take(&server, &body))).await
}

async fn template(State(server): State<Server>, Path(name): Path<String>) -> Response {
    match server.endpoint.lock().templates.get(&name) {
        Some(body) => axum_json(&json!({"index_templates": [{"name": name, "index_template": body}]})),
        None => refused(404, "resource_not_found_exception"),
    }
}

async fn put_template(State(server): State<Server>, Path(name): Path<String>, body: String) -> Response {
    let mut endpoint = server.endpoint.lock();
    if let Some((status, kind)) = endpoint.all {
        return refused(status, kind);
    }
    endpoint.templates.insert(name, serde_json::from_str(&body).unwrap());
    axum_json(&json!({"acknowledged": true}))
}

/// A webhook that takes one event or an array of them: all or nothing.
async fn hook(State(server): State<Server>, uri: axum::http::Uri, headers: HeaderMap, body: String) -> Response {
    let take = |server: &Server| {
        let status = server.endpoint.lock().take_events(&headers, uri.to_string(), &body);
        StatusCode::from_u16(status).unwrap().into_response()
    };
    // An answer that is broken off has told its status: only that of a request whose events were kept may be.
    let kept = || {
        let status = take(&server).status();
        if status.is_success() { Ok(json!({"items": [1]})) } else { Err(status) }
    };
    answer(&server, &headers, &body, take, kept).await
}

async fn answer(
    server: &Server,
    headers: &HeaderMap,
    body: &str,
    usual: impl FnOnce(&Server) -> Response,
    kept: impl FnOnce() -> Result<Value, StatusCode>,
) -> Response {
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
            let mut answer = match kept() {
                Ok(answer) => answer.to_string(),
                Err(status) => return status.into_response(),
            };
            let length = answer.len();
            answer.truncate(length / 2);
            let parts = [Ok(axum::body::Bytes::from(answer)), Err(std::io::Error::other("cut"))];
            Response::builder()
                .header("content-length", length)
                .body(Body::from_stream(futures::stream::iter(parts)))
                .unwrap()
        }
        Some(Trick::OneTooFew) => {
            let mut answer = match kept() {
                Ok(answer) => answer,
                Err(status) => return status.into_response(),
            };
            answer["items"].as_array_mut().unwrap().pop();
            axum_json(&answer)
        }
        None => usual(server),
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
    let mut lines = lines.into_iter();
    while let Some(line) = lines.next() {
        let action: Value = serde_json::from_str(line).unwrap();
        let (op, target) = action.as_object().unwrap().iter().next().unwrap();
        let document: Value =
            if op == "delete" { Value::Null } else { serde_json::from_str(lines.next().unwrap()).unwrap() };
        let (index, id) = (target["_index"].as_str().unwrap(), target["_id"].as_str().unwrap());
        ids.push(id.to_owned());
        let (status, kind) = endpoint.status(op, index, id, target["version"].as_u64(), document);
        let mut item = json!({"_index": index, "_id": id, "status": status});
        if status >= 300 && !kind.is_empty() {
            errors = true;
            item["error"] = json!({"type": kind, "reason": "as the document wishes"});
        }
        items.push(json!({ op.as_str(): item }));
    }
    endpoint.requests.push(ids);
    json!({"took": 1, "errors": errors, "items": items})
}

impl Endpoint {
    /// The status for a webhook's request. Events are kept under their number `n`.
    fn take_events(&mut self, headers: &HeaderMap, uri: String, body: &str) -> u16 {
        let whole: Value = serde_json::from_str(body).unwrap();
        let events = whole.as_array().cloned().unwrap_or_else(|| vec![whole]);
        self.requests.push(events.iter().map(|event| event["n"].to_string()).collect());
        let mut status = 200;
        for event in &events {
            status = status.max(match self.fate(&event["n"].to_string(), event) {
                (400, _) => 422,
                (429, _) => 500,
                (other, _) => other,
            });
        }
        if status < 300 {
            for event in &events {
                self.documents.insert(("hook".to_owned(), event["n"].to_string()), event.clone());
            }
            self.taken.push((headers.clone(), uri, body.to_owned()));
        }
        status
    }

    /// A document may wish for its fate: `"retry": n` (429, n times), `"bad": true`, `"blocked"` through `all`.
    fn status(
        &mut self,
        op: &str,
        index: &str,
        id: &str,
        version: Option<u64>,
        document: Value,
    ) -> (u16, &'static str) {
        let fate = self.fate(id, &document);
        if fate.0 >= 300 {
            return fate;
        }
        let key = (index.to_owned(), id.to_owned());
        if let Some(version) = version {
            let known = self.versions.entry(key.clone()).or_default();
            if *known >= version {
                return (409, "version_conflict_engine_exception");
            }
            *known = version;
        }
        if op == "delete" {
            return (if self.documents.remove(&key).is_some() { 200 } else { 404 }, "");
        }
        if op == "create" && self.documents.contains_key(&key) {
            return (409, "version_conflict_engine_exception");
        }
        self.documents.insert(key, document);
        (201, "")
    }

    fn fate(&mut self, id: &str, document: &Value) -> (u16, &'static str) {
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
        (200, "")
    }
}
