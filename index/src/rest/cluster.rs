//! What the whole index says of itself: `/`, health, and the little that clients ask of a cluster.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Call, Rest, names, reply::Reply};

/// The Elasticsearch version whose API this is a subset of; clients look at it.
const VERSION: &str = "8.19.0";

pub(super) fn root(rest: &Arc<Rest>) -> Reply {
    Reply::json(
        200,
        &json!({
            "name": "logmill", "cluster_name": "logmill", "cluster_uuid": rest.uuid,
            "version": {
                "number": VERSION, "build_flavor": "default", "build_type": "logmill", "build_hash": env!("CARGO_PKG_VERSION"),
                "build_date": "2025-01-01T00:00:00.000Z", "build_snapshot": false, "lucene_version": "9.12.1",
                "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0"
            },
            "tagline": "You Know, for Search"
        }),
    )
}

pub(super) fn acknowledged() -> Reply {
    Reply::json(200, &json!({ "acknowledged": true }))
}

/// Green while writes are accepted, red after the disk failed.
pub(super) fn health(rest: &Arc<Rest>, name: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    let shards = names::expand(rest, name, call)?.len();
    let status = if rest.engine.failed().is_some() { "red" } else { "green" };
    let rank = |status: &str| ["red", "yellow", "green"].iter().position(|known| *known == status).unwrap_or(0);
    let timed_out = call.param("wait_for_status").is_some_and(|wanted| rank(status) < rank(wanted));
    let body = json!({
        "cluster_name": "logmill", "status": status, "timed_out": timed_out, "number_of_nodes": 1, "number_of_data_nodes": 1,
        "active_primary_shards": shards, "active_shards": shards, "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0,
        "unassigned_primary_shards": 0, "delayed_unassigned_shards": 0, "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0,
        "task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": 100.0
    });
    Ok(Reply::json(if timed_out { 408 } else { 200 }, &body))
}

pub(super) fn settings() -> Reply {
    Reply::json(200, &json!({ "persistent": {}, "transient": {} }))
}

pub(super) fn nodes(rest: &Arc<Rest>) -> Reply {
    let node = json!({ rest.uuid.as_str(): { "name": "logmill", "version": VERSION, "roles": ["data", "ingest", "master"], "attributes": {} } });
    Reply::json(
        200,
        &json!({ "_nodes": { "total": 1, "successful": 1, "failed": 0 }, "cluster_name": "logmill", "nodes": node }),
    )
}

pub(super) fn license(path: &[&str]) -> Reply {
    let body: Value = if path.first() == Some(&"_license") {
        json!({ "license": { "status": "active", "type": "basic", "uid": "logmill" } })
    } else {
        json!({ "license": { "status": "active", "type": "basic", "mode": "basic" }, "features": {} })
    };
    Reply::json(200, &body)
}
