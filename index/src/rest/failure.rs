//! Errors in Elasticsearch's shapes.

use serde_json::{Map, Value, json};

use super::reply::Reply;
use crate::{engine::Failure, query::QueryError, search::SearchError};

/// `{"error": {"root_cause": […], "type": …, "reason": …}, "status": …}`.
pub(super) fn error(status: u16, kind: &str, reason: &str) -> Reply {
    with(status, json!({ "type": kind, "reason": reason }), None)
}

fn with(status: u16, cause: Value, caused_by: Option<Value>) -> Reply {
    let mut error: Map<String, Value> = cause.as_object().cloned().unwrap_or_default();
    error.insert("root_cause".to_owned(), json!([cause]));
    if let Some(caused_by) = caused_by {
        error.insert("caused_by".to_owned(), caused_by);
    }
    Reply::json(status, &json!({ "error": error, "status": status }))
}

pub(super) fn rejected(reason: &str) -> Reply {
    error(429, "es_rejected_execution_exception", &format!("rejected execution: {reason}"))
}

pub(super) fn index_not_found(name: &str) -> Reply {
    with(
        404,
        json!({
            "type": "index_not_found_exception", "reason": format!("no such index [{name}]"),
            "resource.type": "index_or_alias", "resource.id": name, "index_uuid": "_na_", "index": name
        }),
        None,
    )
}

/// The disk failed: nothing is accepted any more.
pub(super) fn unavailable(reason: &str) -> Reply {
    error(503, "unavailable_shards_exception", reason)
}

pub(super) fn of_write(failure: &Failure, index: &str) -> Reply {
    with(
        failure.status,
        failure_json(failure, index),
        failure.cause.as_ref().map(|(kind, reason)| json!({ "type": kind, "reason": reason })),
    )
}

/// The `error` of a bulk item.
pub(super) fn failure_json(failure: &Failure, index: &str) -> Value {
    let mut out = json!({ "type": failure.kind, "reason": failure.reason });
    if let Some(uuid) = &failure.uuid {
        out["index_uuid"] = json!(uuid);
        out["shard"] = json!("0");
        out["index"] = json!(index);
    }
    if failure.kind == "index_not_found_exception" {
        out["index_uuid"] = json!("_na_");
        out["index"] = json!(index);
    }
    out
}

/// An error found while reading a request.
pub(super) fn of_query(failure: &QueryError) -> Reply {
    match failure.kind {
        "parsing_exception" => with(
            400,
            json!({ "type": failure.kind, "reason": failure.reason, "line": 1, "col": 1 }),
            named_object(&failure.reason),
        ),
        "query_shard_exception" => of_search(&SearchError::Query(failure.clone()), "_all"),
        kind => error(400, kind, &failure.reason),
    }
}

fn named_object(reason: &str) -> Option<Value> {
    let name = reason.strip_prefix("unknown query [")?.strip_suffix(']')?;
    Some(json!({ "type": "named_object_not_found_exception", "reason": format!("[1:1] unknown field [{name}]") }))
}

/// An error found while searching: Elasticsearch tells it from the shards.
pub(super) fn of_search(failure: &SearchError, index: &str) -> Reply {
    let (status, kind, reason) = match failure {
        SearchError::Query(failure) if failure.kind == "parsing_exception" => return of_query(failure),
        SearchError::Query(failure) => (400, failure.kind, failure.reason.clone()),
        SearchError::Tantivy(failure) => (500, "engine_exception", failure.to_string()),
    };
    let cause = json!({ "type": kind, "reason": reason });
    let error = json!({
        "root_cause": [cause], "type": "search_phase_execution_exception", "reason": "all shards failed", "phase": "query", "grouped": true,
        "failed_shards": [{ "shard": 0, "index": index, "node": "logmill", "reason": cause }],
        "caused_by": { "type": kind, "reason": cause["reason"], "caused_by": cause }
    });
    Reply::json(status, &json!({ "error": error, "status": status }))
}
