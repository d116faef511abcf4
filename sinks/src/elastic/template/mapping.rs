//! Types of the Elastic Common Schema for the fields logs have in common. They are given to a field when it first comes,
//! so that an index whose documents have, say, a `host` that is text and no object takes those as well.

use serde_json::{Value, json};

const KEYWORDS: [&str; 33] = [
    "ecs.version",
    "event.action",
    "event.category",
    "event.dataset",
    "event.kind",
    "event.module",
    "event.outcome",
    "host.hostname",
    "host.name",
    "http.request.method",
    "http.version",
    "log.file.path",
    "log.level",
    "log.logger",
    "process.name",
    "service.environment",
    "service.name",
    "service.node.name",
    "service.type",
    "service.version",
    "source.address",
    "span.id",
    "tags",
    "trace.id",
    "transaction.id",
    "url.domain",
    "url.full",
    "url.original",
    "url.path",
    "url.query",
    "user.id",
    "user.name",
    "user_agent.original",
];
/// What is no number there is kept in the document and not indexed.
const NUMBERS: [&str; 4] = ["http.response.body.bytes", "http.response.status_code", "log.offset", "process.pid"];
/// The same for what is no address.
const ADDRESSES: [&str; 2] = ["host.ip", "source.ip"];

pub(super) fn ecs() -> Value {
    let types = KEYWORDS
        .map(|path| (path, json!({"type": "keyword", "ignore_above": 1024})))
        .into_iter()
        .chain(NUMBERS.map(|path| (path, json!({"type": "long", "ignore_malformed": true}))))
        .chain(ADDRESSES.map(|path| (path, json!({"type": "ip", "ignore_malformed": true}))))
        .chain([("error.message", json!({"type": "text"}))]);
    let dynamic: Vec<Value> = types
        .map(|(path, kind)| json!({ path: {"path_match": path, "match_mapping_type": "*", "mapping": kind} }))
        .collect();
    json!({
        "dynamic_templates": dynamic,
        "properties": {"@timestamp": {"type": "date"}, "message": {"type": "text"}}
    })
}
