//! `_search`, `_msearch`, `_count`.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};

use super::{Call, Rest, failure, names, reply::Reply, scroll};
use crate::{
    clock, query,
    search::{self, SearchRequest, Shards},
};

/// Searches in one `_msearch`.
const MAX_SEARCHES: usize = 1_000;

/// The body as JSON, if there is one (or a `source` parameter).
pub(super) fn json_body(call: &Call) -> Result<Option<Value>, Reply> {
    let bytes = match (call.body.is_empty(), call.param("source")) {
        (false, _) => &call.body[..],
        (true, Some(source)) => source.as_bytes(),
        (true, None) => return Ok(None),
    };
    serde_json::from_slice(bytes).map(Some).map_err(|error| {
        failure::error(
            400,
            "x_content_parse_exception",
            &format!("[{}:{}] cannot parse the body: {error}", error.line(), error.column()),
        )
    })
}

pub(super) async fn search(rest: &Arc<Rest>, index: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    let body = json_body(call)?;
    let request = SearchRequest::parse(body.as_ref(), &call.params).map_err(|error| failure::of_query(&error))?;
    let shards = names::expand(rest, index, call)?;
    let expression = index.unwrap_or("_all").to_owned();
    if let Some(keep) = call.param("scroll") {
        return scroll::start(rest, shards, request, keep, expression).await;
    }
    let whole_total = call.flag("rest_total_hits_as_int");
    rest.work(move |rest| match search::search(&rest.engine, &shards, &request) {
        Ok(response) if whole_total => {
            let mut json = json!(response);
            json["hits"]["total"] = json["hits"]["total"]["value"].clone();
            Reply::json(200, &json)
        }
        Ok(response) => Reply::json(200, &response),
        Err(error) => failure::of_search(&error, &expression),
    })
    .await
}

pub(super) async fn msearch(rest: &Arc<Rest>, index: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    let started = clock::now();
    let mut lines = call.body.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace));
    let parse = |line: &[u8]| -> Result<Value, Reply> {
        serde_json::from_slice(line)
            .map_err(|error| failure::error(400, "x_content_parse_exception", &format!("cannot parse a line: {error}")))
    };
    let mut searches = Vec::new();
    while let Some(header) = lines.next() {
        let body = lines
            .next()
            .ok_or_else(|| failure::error(400, "illegal_argument_exception", "the last header has no body"))?;
        searches.push((parse(header)?, parse(body)?));
        if searches.len() > MAX_SEARCHES {
            return Err(failure::error(
                400,
                "illegal_argument_exception",
                &format!("at most {MAX_SEARCHES} searches in one request"),
            ));
        }
    }
    if searches.is_empty() {
        return Err(failure::error(
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: no requests added;",
        ));
    }
    // A search that does not parse fails the whole request, as in Elasticsearch.
    let searches = searches
        .into_iter()
        .map(|(header, body)| {
            Ok((header, SearchRequest::parse(Some(&body), &HashMap::new()).map_err(|error| failure::of_query(&error))?))
        })
        .collect::<Result<Vec<(Value, SearchRequest)>, Reply>>()?;
    let index = index.map(str::to_owned);
    let responses = rest
        .work(move |rest| {
            searches
                .into_iter()
                .map(|(header, request)| one(rest, index.as_deref(), &header, &request))
                .collect::<Vec<Value>>()
        })
        .await?;
    Ok(Reply::json(
        200,
        &json!({ "took": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX), "responses": responses }),
    ))
}

fn one(rest: &Rest, index: Option<&str>, header: &Value, request: &SearchRequest) -> Value {
    let given = match &header["index"] {
        Value::String(name) => Some(name.clone()),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
        _ => index.map(str::to_owned),
    };
    let lenient = header["ignore_unavailable"] == true;
    let reply =
        names::expand_with(rest, given.as_deref(), lenient, header["allow_no_indices"] != false).and_then(|shards| {
            search::search(&rest.engine, &shards, request)
                .map_err(|error| failure::of_search(&error, given.as_deref().unwrap_or("_all")))
        });
    match reply {
        Ok(response) => {
            let mut json = json!(response);
            json["status"] = json!(200);
            json
        }
        Err(reply) => reply.value(),
    }
}

pub(super) async fn count(rest: &Arc<Rest>, index: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    let query = match json_body(call)? {
        Some(body) => {
            if let Some(other) = body.as_object().and_then(|body| body.keys().find(|key| *key != "query")) {
                return Err(failure::error(400, "parsing_exception", &format!("request does not support [{other}]")));
            }
            body.get("query").map(query::parse).transpose()
        }
        None => call.param("q").map(|text| query::parse_query_string(text, &[], false)).transpose(),
    };
    let query = query.map_err(|error| failure::of_query(&error))?.unwrap_or(query::Query::All);
    let shards = names::expand(rest, index, call)?;
    let expression = index.unwrap_or("_all").to_owned();
    rest.work(move |rest| match search::count(&rest.engine, &shards, &query) {
        Ok(count) => Reply::json(200, &json!({ "count": count, "_shards": Shards::searched(shards.len()) })),
        Err(error) => failure::of_search(&error, &expression),
    })
    .await
}
