//! Indices: making, removing, showing them; mappings; refresh.

use std::{sync::Arc, time::Duration};

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::{Call, Rest, failure, names, reply::Reply, search::json_body};
use crate::{
    engine::{CreateError, Failure, Shard},
    search::Shards,
};

pub(super) async fn index(rest: &Arc<Rest>, name: &str, call: &Call) -> Result<Reply, Reply> {
    match call.method {
        Method::PUT => create(rest, name, call).await,
        Method::DELETE => delete(rest, name, call).await,
        Method::HEAD => {
            let found = names::expand(rest, Some(name), call).is_ok_and(|found| !found.is_empty());
            Ok(Reply::empty(if found { 200 } else { 404 }))
        }
        Method::GET => {
            let shards = names::expand(rest, Some(name), call)?;
            let all: Map<String, Value> = shards
                .iter()
                .map(|shard| (shard.name.to_string(), json!({ "aliases": {}, "mappings": shard.mapping().to_json(), "settings": settings_json(shard) })))
                .collect();
            Ok(Reply::json(200, &all))
        }
        _ => Err(failure::error(
            405,
            "method_not_allowed",
            &format!(
                "Incorrect HTTP method for uri [/{name}] and method [{}], allowed: [GET, HEAD, DELETE, PUT]",
                call.method
            ),
        )),
    }
}

fn settings_json(shard: &Shard) -> Value {
    json!({ "index": {
        "creation_date": shard.created.to_string(), "number_of_shards": "1", "number_of_replicas": "0", "uuid": shard.uuid,
        "provided_name": &*shard.name, "version": { "created": "8521000" }
    } })
}

pub(super) fn settings(rest: &Arc<Rest>, name: &str, call: &Call) -> Result<Reply, Reply> {
    let all: Map<String, Value> = names::expand(rest, Some(name), call)?
        .iter()
        .map(|shard| (shard.name.to_string(), json!({ "settings": settings_json(shard) })))
        .collect();
    Ok(Reply::json(200, &all))
}

async fn create(rest: &Arc<Rest>, name: &str, call: &Call) -> Result<Reply, Reply> {
    let body = json_body(call)?.unwrap_or_else(|| json!({}));
    let object =
        body.as_object().ok_or_else(|| failure::error(400, "parse_exception", "request body must be an object"))?;
    if let Some(unknown) = object.keys().find(|key| !matches!(key.as_str(), "settings" | "mappings" | "aliases")) {
        return Err(failure::error(400, "parse_exception", &format!("unknown key [{unknown}] for create index")));
    }
    match rest.engine.create_index(name, body.get("mappings")) {
        Ok((shard, end)) => {
            rest.engine.wait_durable(end).await.map_err(|reason| failure::unavailable(&reason))?;
            Ok(Reply::json(200, &json!({ "acknowledged": true, "shards_acknowledged": true, "index": &*shard.name })))
        }
        Err(CreateError::Exists(shard)) => {
            let cause = json!({
                "type": "resource_already_exists_exception", "reason": format!("index [{}/{}] already exists", shard.name, shard.uuid),
                "index_uuid": shard.uuid, "index": &*shard.name
            });
            let mut error = cause.clone();
            error["root_cause"] = json!([cause]);
            Err(Reply::json(400, &json!({ "error": error, "status": 400 })))
        }
        Err(error) => Err(failure::of_write(&Failure::from(error), name)),
    }
}

async fn delete(rest: &Arc<Rest>, name: &str, call: &Call) -> Result<Reply, Reply> {
    if name == "_all" || name.contains('*') {
        return Err(failure::error(
            400,
            "illegal_argument_exception",
            "Wildcard expressions or all indices are not allowed",
        ));
    }
    for shard in names::expand(rest, Some(name), call)? {
        let end = rest.engine.delete_index(&shard).map_err(|reason| failure::unavailable(&reason))?;
        rest.engine.wait_durable(end).await.map_err(|reason| failure::unavailable(&reason))?;
    }
    Ok(super::cluster::acknowledged())
}

pub(super) fn mapping(rest: &Arc<Rest>, name: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    let shards = names::expand(rest, name, call)?;
    let all: Map<String, Value> =
        shards.iter().map(|shard| (shard.name.to_string(), json!({ "mappings": shard.mapping().to_json() }))).collect();
    Ok(Reply::json(200, &all))
}

pub(super) async fn put_mapping(rest: &Arc<Rest>, name: &str, call: &Call) -> Result<Reply, Reply> {
    let body = json_body(call)?.ok_or_else(|| {
        failure::error(400, "action_request_validation_exception", "Validation Failed: 1: mapping source is empty;")
    })?;
    for shard in names::expand(rest, Some(name), call)? {
        let end = rest
            .engine
            .put_mapping(&shard, &body)
            .map_err(|error| failure::error(400, error.kind, &error.reason))?
            .map_err(|reason| failure::unavailable(&reason))?;
        rest.engine.wait_durable(end).await.map_err(|reason| failure::unavailable(&reason))?;
    }
    Ok(super::cluster::acknowledged())
}

/// `_refresh`; `_flush` and `_forcemerge` do the same, since every commit here is durable.
pub(super) async fn refresh(rest: &Arc<Rest>, name: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    let shards = names::expand(rest, name, call)?;
    let end = rest.engine.wal.next_position();
    rest.engine.wait_durable(end).await.map_err(|reason| failure::unavailable(&reason))?;
    let dirty: Vec<(Arc<Shard>, u64)> = shards
        .iter()
        .map(|shard| (shard.clone(), rest.engine.written(shard)))
        .filter(|(_, written)| *written > 0)
        .collect();
    rest.engine.refresh(&dirty.iter().map(|(shard, _)| shard.clone()).collect::<Vec<_>>());
    for (shard, written) in dirty {
        let visible = tokio::time::timeout(Duration::from_secs(300), rest.engine.wait_visible(&shard, written)).await;
        visible
            .map_err(|_| failure::rejected("the refresh takes too long"))?
            .map_err(|reason| failure::unavailable(&reason))?;
    }
    Ok(Reply::json(200, &json!({ "_shards": Shards { skipped: None, ..Shards::searched(shards.len()) } })))
}
