//! `_bulk`: lines of actions and documents in, one outcome per action out.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use super::{Call, Rest, failure, reply::Reply};
use crate::{
    clock,
    engine::{Bulk, Operation, OperationKind, Outcome, Verb},
};

#[derive(Deserialize, Default)]
struct Action<'a> {
    #[serde(borrow)]
    index: Option<Meta<'a>>,
    #[serde(borrow)]
    create: Option<Meta<'a>>,
    #[serde(borrow)]
    update: Option<Meta<'a>>,
    #[serde(borrow)]
    delete: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "_index")]
    index: Option<Cow<'a, str>>,
    /// A string, or a number that is taken for one.
    #[serde(borrow, rename = "_id")]
    id: Option<&'a RawValue>,
    version: Option<u64>,
    #[serde(borrow)]
    version_type: Option<Cow<'a, str>>,
    if_seq_no: Option<u64>,
}

pub(super) async fn bulk(rest: &Arc<Rest>, index: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    let started = clock::now();
    room(rest)?;
    let index = index.map(str::to_owned);
    let body: Bytes = call.body.clone();
    let bulk = rest
        .work(move |rest| -> Result<Bulk, Reply> { Ok(rest.engine.bulk(parse(&body, index.as_deref())?)) })
        .await??;
    finish(rest, &bulk, call.param("refresh")).await?;
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let errors = bulk.outcomes.iter().any(|outcome| outcome.result.is_err());
    Ok(Reply::json(200, &Answer { errors, took, items: &bulk.outcomes }))
}

/// Refuses writes on a full disk, as Elasticsearch's flood stage does.
pub(super) fn room(rest: &Rest) -> Result<(), Reply> {
    match rest.engine.lacks_space() {
        None => Ok(()),
        Some(reason) => Err(failure::error(429, "cluster_block_exception", &reason)),
    }
}

/// Waits until the outcomes may be told, counts them, and refreshes if asked to.
pub(super) async fn finish(rest: &Arc<Rest>, bulk: &Bulk, refresh: Option<&str>) -> Result<(), Reply> {
    rest.engine.wait_durable(bulk.end).await.map_err(|reason| failure::unavailable(&reason))?;
    rest.engine.count_outcomes(&bulk.outcomes);
    match refresh {
        None | Some("false") => return Ok(()),
        Some("wait_for") => {}
        Some(_) => rest.engine.refresh(&bulk.shards),
    }
    for shard in &bulk.shards {
        let written = rest.engine.written(shard);
        let visible = tokio::time::timeout(Duration::from_secs(60), rest.engine.wait_visible(shard, written)).await;
        visible
            .map_err(|_| failure::rejected("the refresh takes too long"))?
            .map_err(|reason| failure::unavailable(&reason))?;
    }
    Ok(())
}

fn illegal(reason: &str) -> Reply {
    failure::error(400, "illegal_argument_exception", reason)
}

/// Takes the body apart without copying documents.
fn parse<'a>(body: &'a [u8], default: Option<&'a str>) -> Result<Vec<Operation<'a>>, Reply> {
    if body.is_empty() {
        return Err(failure::error(400, "parse_exception", "request body is required"));
    }
    if body.last() != Some(&b'\n') {
        return Err(illegal("The bulk request must be terminated by a newline [\\n]"));
    }
    let mut operations = Vec::new();
    let mut lines = body.split(|byte| *byte == b'\n').enumerate();
    while let Some((number, line)) = lines.next() {
        if line.is_empty() || line == b"\r" {
            continue;
        }
        let number = number + 1;
        let (verb, meta) = action(line, number)?;
        let source = if verb == Verb::Delete {
            &[][..]
        } else {
            // The piece behind the last newline is no line.
            let line = lines.next().map(|(_, line)| line).filter(|line| !line.is_empty());
            line.ok_or_else(|| illegal(&format!("Validation Failed: {number}: no requests added;")))?
        };
        operations.push(operation(verb, meta, source.strip_suffix(b"\r").unwrap_or(source), default)?);
    }
    if operations.is_empty() {
        return Err(failure::error(
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: no requests added;",
        ));
    }
    Ok(operations)
}

fn action(line: &[u8], number: usize) -> Result<(Verb, Meta<'_>), Reply> {
    let malformed = |what: &str| illegal(&format!("Malformed action/metadata line [{number}], {what}"));
    let action: Action<'_> = serde_json::from_slice(line).map_err(|error| malformed(&error.to_string()))?;
    let found = [
        (Verb::Index, action.index),
        (Verb::Create, action.create),
        (Verb::Update, action.update),
        (Verb::Delete, action.delete),
    ];
    let mut found = found.into_iter().filter_map(|(verb, meta)| Some((verb, meta?)));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(malformed("expected field [create], [delete], [index] or [update]")),
    }
}

fn operation<'a>(
    verb: Verb,
    meta: Meta<'a>,
    source: &'a [u8],
    default: Option<&'a str>,
) -> Result<Operation<'a>, Reply> {
    let index = meta.index.or(default.map(Cow::Borrowed));
    let index = index.ok_or_else(|| {
        failure::error(400, "action_request_validation_exception", "Validation Failed: 1: index is missing;")
    })?;
    let id = match meta.id.map(RawValue::get) {
        None | Some("null") => None,
        Some(text) if text.starts_with('"') => {
            Some(serde_json::from_str::<Text<'a>>(text).map_err(|error| illegal(&error.to_string()))?.0)
        }
        Some(text) => Some(Cow::Borrowed(text)),
    };
    if id.is_none() && matches!(verb, Verb::Update | Verb::Delete) {
        return Err(failure::error(400, "action_request_validation_exception", "Validation Failed: 1: id is missing;"));
    }
    let kind = match (meta.version, meta.version_type.as_deref(), meta.if_seq_no) {
        (_, _, Some(seq_no)) => OperationKind::IfSeqNo(seq_no),
        (Some(version), Some(kind @ ("external" | "external_gte")), _) => {
            OperationKind::External { version, or_equal: kind == "external_gte" }
        }
        _ => OperationKind::Internal,
    };
    Ok(Operation { verb, index, id, source, kind })
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Serialize)]
struct Answer<'a> {
    errors: bool,
    took: u64,
    items: &'a [Outcome],
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.verb.name(), &Item(self))?;
        map.end()
    }
}

/// What one item says.
pub(super) struct Item<'a>(pub(super) &'a Outcome);

#[derive(Serialize)]
struct Copies {
    total: u8,
    successful: u8,
    failed: u8,
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outcome = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_index", &outcome.index)?;
        map.serialize_entry("_id", &outcome.id)?;
        match &outcome.result {
            Ok(done) => {
                map.serialize_entry("_version", &done.version)?;
                map.serialize_entry("result", done.result)?;
                map.serialize_entry("_shards", &Copies { total: 1, successful: 1, failed: 0 })?;
                map.serialize_entry("_seq_no", &done.seq_no)?;
                map.serialize_entry("_primary_term", &1)?;
                map.serialize_entry("status", &done.status)?;
            }
            Err(error) => {
                map.serialize_entry("status", &error.status)?;
                let mut json = failure::failure_json(error, &outcome.index);
                if let Some((kind, reason)) = &error.cause {
                    json["caused_by"] = serde_json::json!({ "type": kind, "reason": reason });
                }
                map.serialize_entry("error", &json)?;
            }
        }
        map.end()
    }
}
