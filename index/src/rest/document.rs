//! One document: `_doc`, `_create`, `_source`, `_update`, `_mget`.

use std::{borrow::Cow, sync::Arc};

use axum::http::Method;
use serde_json::{Map, Value, json, value::RawValue};

use super::{Call, Rest, bulk, failure, names, reply::Reply, search::json_body};
use crate::{
    engine::{Operation, OperationKind, StoredDocument, Verb},
    search::SourceFilter,
};

pub(super) async fn document(
    rest: &Arc<Rest>,
    index: &str,
    endpoint: &str,
    id: Option<&str>,
    call: &Call,
) -> Result<Reply, Reply> {
    let create = endpoint == "_create" || call.param("op_type") == Some("create");
    match (&call.method, id) {
        (&Method::GET | &Method::HEAD, Some(id)) if endpoint == "_doc" => get(rest, index, id, call).await,
        (&Method::DELETE, Some(_)) if endpoint == "_doc" => write(rest, index, Verb::Delete, id, call).await,
        (&Method::PUT | &Method::POST, _) => {
            write(rest, index, if create { Verb::Create } else { Verb::Index }, id, call).await
        }
        _ => Err(failure::error(405, "method_not_allowed", &format!("method [{}] is not allowed here", call.method))),
    }
}

pub(super) async fn update(rest: &Arc<Rest>, index: &str, id: &str, call: &Call) -> Result<Reply, Reply> {
    write(rest, index, Verb::Update, Some(id), call).await
}

fn number(call: &Call, name: &str) -> Result<Option<u64>, Reply> {
    let bad = |text: &str| {
        failure::error(
            400,
            "illegal_argument_exception",
            &format!("Failed to parse long parameter [{name}] with value [{text}]"),
        )
    };
    call.param(name).map(|text| text.parse().map_err(|_| bad(text))).transpose()
}

async fn write(rest: &Arc<Rest>, index: &str, verb: Verb, id: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    if verb != Verb::Delete && call.body.is_empty() {
        return Err(failure::error(400, "parse_exception", "request body is required"));
    }
    if verb != Verb::Delete {
        bulk::room(rest)?;
    }
    let kind = match (number(call, "if_seq_no")?, number(call, "version")?, call.param("version_type")) {
        (Some(seq_no), ..) => OperationKind::IfSeqNo(seq_no),
        (_, Some(version), Some(kind @ ("external" | "external_gte"))) => {
            OperationKind::External { version, or_equal: kind == "external_gte" }
        }
        _ => OperationKind::Internal,
    };
    let (index, id, body) = (index.to_owned(), id.map(str::to_owned), call.body.clone());
    let bulk = rest
        .work(move |rest| {
            rest.engine.bulk(vec![Operation { verb, index: index.into(), id: id.map(Cow::Owned), source: &body, kind }])
        })
        .await?;
    bulk::finish(rest, &bulk, call.param("refresh")).await?;
    let Some(outcome) = bulk.outcomes.first() else { return Err(failure::error(500, "exception", "no outcome")) };
    match &outcome.result {
        Ok(done) => {
            let mut json = json!(bulk::Item(outcome));
            if let Some(object) = json.as_object_mut() {
                object.remove("status");
            }
            Ok(Reply::json(done.status, &json))
        }
        Err(error) => Ok(failure::of_write(error, &outcome.index)),
    }
}

async fn find(rest: &Arc<Rest>, index: &str, id: &str, call: &Call) -> Result<(String, Option<StoredDocument>), Reply> {
    let shard =
        names::expand(rest, Some(index), call)?.into_iter().next().ok_or_else(|| failure::index_not_found(index))?;
    let id = id.to_owned();
    let name = shard.name.to_string();
    let found = rest.work(move |rest| rest.engine.document(&shard, &id)).await?;
    Ok((name.clone(), found.map_err(|error| failure::of_write(&error, &name))?))
}

async fn get(rest: &Arc<Rest>, index: &str, id: &str, call: &Call) -> Result<Reply, Reply> {
    let (name, found) = find(rest, index, id, call).await?;
    let mut filter = SourceFilter::All;
    filter.read_params(&call.params);
    let status = if found.is_some() { 200 } else { 404 };
    Ok(Reply::json(status, &rendered(&name, id, found, &filter)))
}

fn rendered(index: &str, id: &str, found: Option<StoredDocument>, filter: &SourceFilter) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("_index".to_owned(), json!(index));
    out.insert("_id".to_owned(), json!(id));
    let Some(found) = found else {
        out.insert("found".to_owned(), json!(false));
        return out;
    };
    out.insert("_version".to_owned(), json!(found.version));
    out.insert("_seq_no".to_owned(), json!(found.seq_no));
    out.insert("_primary_term".to_owned(), json!(1));
    out.insert("found".to_owned(), json!(true));
    if let Some(source) = filter.apply(found.source) {
        out.insert("_source".to_owned(), serde_json::from_str(source.get()).unwrap_or(Value::Null));
    }
    out
}

pub(super) async fn source(rest: &Arc<Rest>, index: &str, id: &str, call: &Call) -> Result<Reply, Reply> {
    let (name, found) = find(rest, index, id, call).await?;
    let mut filter = SourceFilter::All;
    filter.read_params(&call.params);
    match found.and_then(|found| filter.apply(found.source)) {
        Some(source) => Ok(Reply::json(200, &source as &Box<RawValue>)),
        None => {
            Err(failure::error(404, "resource_not_found_exception", &format!("Document not found [{name}]/[{id}]")))
        }
    }
}

/// Documents in one `_mget`.
const MAX_DOCUMENTS: usize = 10_000;

pub(super) async fn mget(rest: &Arc<Rest>, index: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    let body = json_body(call)?.unwrap_or_default();
    let wanted: Vec<(Option<String>, String)> = match (&body["docs"], &body["ids"]) {
        (Value::Array(docs), _) => docs
            .iter()
            .filter_map(|doc| Some((doc["_index"].as_str().map(str::to_owned), doc["_id"].as_str()?.to_owned())))
            .collect(),
        (_, Value::Array(ids)) => ids.iter().filter_map(|id| Some((None, id.as_str()?.to_owned()))).collect(),
        _ => Vec::new(),
    };
    if wanted.is_empty() || wanted.len() > MAX_DOCUMENTS {
        return Err(failure::error(
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: no documents to get;",
        ));
    }
    let mut docs = Vec::with_capacity(wanted.len());
    for (own, id) in wanted {
        let name = own.or_else(|| index.map(str::to_owned));
        let name = name.ok_or_else(|| {
            failure::error(
                400,
                "action_request_validation_exception",
                "Validation Failed: 1: index is missing for doc 0;",
            )
        })?;
        docs.push(match find(rest, &name, &id, call).await {
            Ok((name, found)) => Value::Object(rendered(&name, &id, found, &SourceFilter::All)),
            Err(reply) => json!({ "_index": name, "_id": id, "error": reply.value()["error"] }),
        });
    }
    Ok(Reply::json(200, &json!({ "docs": docs })))
}
