//! Requests as a receiver sees them, and what is made of its answers.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use logmill_config::{
    ConfigFile,
    sinks::{Output, SinksConfig},
};

use super::*;
use crate::{
    batch::BatchBuilder,
    event::Record,
    intake::{Headers, Intake, Preparer},
    tests::{Server, Trick},
};

fn configured(url: &str, more: &str) -> sinks::Webhook {
    let text = format!("sinks: [{{ name: a, topics: [t], webhook: {{ url: '{url}', timeout: 1s, {more} }} }}]");
    let config = SinksConfig::parse_with("s", &text, &|_| None).unwrap_or_else(|e| panic!("{e}"));
    let Output::Webhook(webhook) = config.sinks[0].output.clone() else { panic!() };
    webhook
}

fn webhook(url: &str, more: &str) -> Webhook {
    Webhook::new("a", &configured(url, more)).unwrap()
}

/// A batch of `values` as the reader would make it, and what was refused.
fn batch(webhook: &Webhook, values: &[&str]) -> (Batch, Vec<String>) {
    let mut preparer = Preparer::new("a", None, webhook.encoder());
    let (mut builder, mut refused) = (BatchBuilder::default(), Vec::new());
    let mut headers = Headers::default();
    for (n, value) in values.iter().enumerate() {
        headers.clear();
        headers.add(b"logmill-id", Some(&(n as u128).to_be_bytes()));
        let (offset, key) = (n as i64, Some(&b"k/\"1"[..]));
        let record = Record { topic: "t", partition: 2, offset, timestamp: 5, key, value: Some(value.as_bytes()) };
        if let Intake::Rejected(rejected) = preparer.record(record, &headers, 1, &mut builder) {
            assert_eq!(rejected.class, Class::Template);
            refused.push(rejected.reason);
        }
    }
    (builder.finish(), refused)
}

const DONE: Outcomes = Outcomes::All(Outcome::Done { duplicate: false });

async fn taken(server: &Server, webhook: &Webhook, values: &[&str]) -> (HeaderMap, String, String) {
    let (batch, refused) = batch(webhook, values);
    assert_eq!(refused, Vec::<String>::new());
    assert_eq!(webhook.deliver(&batch).await.outcomes, DONE);
    server.endpoint.lock().taken.pop().unwrap()
}

#[tokio::test]
async fn templates_fill_url_headers_and_body() {
    let server = Server::start().await;
    let webhook = webhook(
        &format!("{}/hook/{{user.id}}/{{_key}}?n={{n}}", server.url),
        r#"headers: { x-user: "u {user.name}", x-fixed: yes }, auth: { bearer: abc },
           body: '{"n": {n}, "to": "{user.name}", "id": "{_id}", "at": "{_topic}-{_partition}-{_offset}", "all": {_source}}'"#,
    );
    let event = r#"{"n":7,"user":{"id":"a/b ü?","name":"\"Q\"\\x"}}"#;
    let (headers, uri, body) = taken(&server, &webhook, &[event]).await;
    assert_eq!(uri, "/hook/a%2Fb%20%C3%BC%3F/k%2F%221?n=7");
    let header = |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    assert_eq!((header("x-user").as_str(), header("x-fixed").as_str()), ("u \"Q\"\\x", "yes"));
    assert_eq!((header("content-type").as_str(), header("authorization").as_str()), ("application/json", "Bearer abc"));
    assert_eq!(header("idempotency-key"), "AAAAAAAAAAAAAAAAAAAAAA");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["to"], "\"Q\"\\x");
    assert_eq!((&body["n"], &body["at"]), (&7.into(), &"t-2-0".into()));
    assert_eq!(body["all"]["user"]["id"], "a/b ü?");
}

#[tokio::test]
async fn events_that_fit_no_template_are_refused() {
    let webhook = webhook("http://localhost/{id}", r#"headers: { x: "{h}" }, body: '{"n": {n}}'"#);
    let (batch, refused) = batch(
        &webhook,
        &[
            r#"{"id":"a","h":"b","n":1}"#,
            r#"{"h":"b","n":1}"#,
            r#"{"id":{"x":1},"h":"b","n":1}"#,
            r#"{"id":"a","h":"b\r\nHost: evil","n":1}"#,
            r#"{"id":"a","h":"b","n":"no number"}"#,
        ],
    );
    assert_eq!(batch.items.len(), 1);
    assert_eq!(
        refused,
        [
            "webhook.url needs id: no text, number or boolean in the event",
            "webhook.url needs id: no text, number or boolean in the event",
            "webhook.headers.x would hold a control character",
            "webhook.body would not be JSON: expected ident at line 1 column 8",
        ]
    );
}

#[tokio::test]
async fn batches_are_arrays_or_lines_with_an_identity_of_their_own() {
    let server = Server::start().await;
    let url = format!("{}/hook/x", server.url);
    let array = webhook(&url, "batch: 10");
    let (headers, _, body) = taken(&server, &array, &[r#"{"n":1}"#, "{\n\"n\":2}"]).await;
    assert_eq!(body, r#"[{"n":1},{ "n":2}]"#);
    let id = headers["idempotency-key"].clone();
    assert!(id.to_str().unwrap().starts_with("batch-"), "{id:?}");
    let (again, _, _) = taken(&server, &array, &[r#"{"n":1}"#, r#"{"n":2}"#]).await;
    assert_eq!(again["idempotency-key"], id, "the same events, the same identity");
    let (_, _, one) = taken(&server, &array, &[r#"{"n":1}"#]).await;
    assert_eq!(one, r#"[{"n":1}]"#, "an array also of one");
    let lines = webhook(&url, "batch: 10, format: ndjson, body: '{\"n\":{n}}'");
    let (batch, _) = batch(&lines, &[r#"{"n":1,"x":2}"#, r#"{"n":2}"#]);
    assert_eq!(lines.body(&batch), "{\"n\":1}\n{\"n\":2}\n");
    assert_eq!(lines.config.content_type, "application/x-ndjson");
}

#[tokio::test]
async fn every_try_is_signed_and_carries_the_same_identity() {
    let server = Server::start().await;
    let webhook = webhook(
        &format!("{}/hook/x", server.url),
        "sign: { secret: s3cret }, idempotency_header: x-request-id, auth: { user: u, password: p }",
    );
    let (batch, _) = batch(&webhook, &[r#"{"n":1,"retry":1}"#]);
    let first = webhook.deliver(&batch).await.outcomes;
    assert!(matches!(&first, Outcomes::Each(each) if matches!(each[..], [Outcome::Retry { .. }])), "{first:?}");
    assert_eq!(webhook.deliver(&batch).await.outcomes, DONE);
    let (headers, _, body) = server.endpoint.lock().taken.pop().unwrap();
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap();
    let at = header("webhook-timestamp").parse().unwrap();
    let secret = sinks::Sign { scheme: sinks::Scheme::StandardWebhooks, secret: b"s3cret".to_vec() };
    let expected: BTreeMap<_, _> =
        sign::headers(&secret, header("x-request-id"), at, body.as_bytes()).into_iter().collect();
    assert_eq!(header("webhook-signature"), expected["webhook-signature"]);
    assert_eq!(header("webhook-id"), header("x-request-id"));
    assert_eq!(header("authorization"), "Basic dTpw");
}

#[tokio::test]
async fn answers_have_their_outcomes() {
    let server = Server::start().await;
    let webhook = webhook(&format!("{}/hook/x", server.url), "batch: 5, statuses: { done: [409], pause: [410] }");
    let (two, _) = batch(&webhook, &[r#"{"n":1}"#, r#"{"n":2}"#]);
    let all = |outcomes: &Outcomes| match outcomes {
        Outcomes::All(outcome) => outcome.clone(),
        Outcomes::Each(each) => {
            assert!(each.len() == 2 && each[0] == each[1]);
            each[0].clone()
        }
        Outcomes::Split { class, reason } => Outcome::Reject { class: *class, reason: reason.clone() },
    };
    for (status, kind) in [
        (408, "retry"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
        (401, "pause"),
        (403, "pause"),
        (302, "pause"),
        (410, "pause"),
        (400, "reject"),
        (404, "reject"),
        (413, "reject"),
        (409, "done"),
    ] {
        server.trick(Trick::Refuse(status, "x"));
        let found = all(&webhook.deliver(&two).await.outcomes);
        let found = match found {
            Outcome::Done { .. } => "done",
            Outcome::Retry { reason } => {
                assert!(reason.starts_with(&format!("status {status}: {{")), "{reason}");
                "retry"
            }
            Outcome::Reject { .. } => "reject",
            Outcome::Pause { .. } => "pause",
        };
        assert_eq!(found, kind, "{status}");
    }
    server.trick(Trick::RefuseFor(429, 7));
    assert_eq!(webhook.deliver(&two).await.retry_after, Some(Duration::from_secs(7)));
    server.trick(Trick::Hang(Duration::from_secs(60)));
    assert!(matches!(all(&webhook.deliver(&two).await.outcomes), Outcome::Retry { .. }));
}

#[tokio::test]
async fn nobody_there_is_a_retry_of_all() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let webhook = webhook(&format!("http://{closed}/x"), "");
    let (one, _) = batch(&webhook, &["{}"]);
    let Outcomes::All(Outcome::Retry { reason }) = webhook.deliver(&one).await.outcomes else { panic!() };
    assert!(reason.to_lowercase().contains("connect"), "{reason}");
}

#[test]
fn mistakes_in_the_settings_are_said() {
    for (more, expected) in [
        ("tls: { ca_file: /nowhere/ca.pem }", "webhook: tls.ca_file: cannot read /nowhere/ca.pem"),
        ("tls: { cert_file: /nowhere/a, key_file: /nowhere/b }", "webhook: tls.cert_file: cannot read /nowhere/a"),
    ] {
        let error = Webhook::new("a", &configured("http://localhost", more)).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
