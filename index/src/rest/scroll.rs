//! Scrolling: searches held open between requests, a bounded number, each for the time its client asked for.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Call, Rest, failure, reply::Reply, search::json_body};
use crate::{
    clock,
    engine::{Shard, new_id},
    search::{Cursor, SearchRequest, SearchResponse},
};

/// Scrolls open at once, `search.max_open_scroll_context` being 500.
const MAX_OPEN: usize = 100;
/// `search.max_keep_alive`.
const MAX_KEEP: Duration = Duration::from_secs(24 * 3600);

#[derive(Default)]
pub(super) struct Scrolls(Mutex<HashMap<String, Held>>);

struct Held {
    cursor: Arc<Mutex<Cursor>>,
    until: Instant,
    keep: Duration,
}

fn keep_alive(text: &str) -> Result<Duration, Reply> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ms" => 0,
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => u64::MAX,
    };
    match number.parse::<u64>() {
        Ok(number) if seconds < u64::MAX => {
            let keep = Duration::from_secs(number.saturating_mul(seconds).max(1));
            if keep > MAX_KEEP {
                return Err(failure::error(
                    400,
                    "illegal_argument_exception",
                    &format!("Keep alive for request ({text}) is too large. It must be less than (1d)."),
                ));
            }
            Ok(keep)
        }
        _ => Err(failure::error(
            400,
            "illegal_argument_exception",
            &format!("failed to parse setting [scroll] with value [{text}] as a time value"),
        )),
    }
}

pub(super) async fn start(
    rest: &Arc<Rest>,
    shards: Vec<Arc<Shard>>,
    request: SearchRequest,
    keep: &str,
    index: String,
) -> Result<Reply, Reply> {
    let keep = keep_alive(keep)?;
    if !request.in_index_order() {
        return Err(failure::error(
            400,
            "illegal_argument_exception",
            "a scroll is in index order here: sort by [_doc], or page with search_after",
        ));
    }
    if request.size == 0 {
        return Err(failure::error(
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: [size] cannot be [0] in a scroll context;",
        ));
    }
    rest.work(move |rest| {
        let mut held = rest.scrolls.0.lock();
        let now = clock::now();
        held.retain(|_, held| held.until > now);
        if held.len() >= MAX_OPEN {
            return failure::rejected(&format!(
                "Trying to create too many scroll contexts. Must be less than or equal to: [{MAX_OPEN}]"
            ));
        }
        drop(held);
        let opened = Cursor::open(&rest.engine, &shards, request).and_then(|mut cursor| Ok((cursor.page()?, cursor)));
        match opened {
            Ok((page, cursor)) => {
                let id = new_id();
                let cursor = Arc::new(Mutex::new(cursor));
                rest.scrolls.0.lock().insert(id.clone(), Held { cursor, until: clock::now() + keep, keep });
                Reply::json(200, &SearchResponse { scroll_id: Some(id), ..page })
            }
            Err(error) => failure::of_search(&error, &index),
        }
    })
    .await
}

/// `GET|POST /_search/scroll` and `DELETE /_search/scroll`.
pub(super) async fn next_or_clear(rest: &Arc<Rest>, call: &Call) -> Result<Reply, Reply> {
    let body = json_body(call)?.unwrap_or_default();
    let given = body["scroll_id"].clone();
    let given = match (given, call.param("scroll_id").or(call.path.get(2).map(String::as_str))) {
        (Value::Null, Some(id)) => json!(id),
        (given, _) => given,
    };
    if call.method == Method::DELETE {
        let mut held = rest.scrolls.0.lock();
        let before = held.len();
        match &given {
            Value::String(id) if id != "_all" => drop(held.remove(id)),
            Value::Array(ids) => ids.iter().filter_map(Value::as_str).for_each(|id| drop(held.remove(id))),
            _ => held.clear(),
        }
        let freed = before - held.len();
        return Ok(Reply::json(if freed > 0 { 200 } else { 404 }, &json!({ "succeeded": true, "num_freed": freed })));
    }
    let id = given
        .as_str()
        .ok_or_else(|| {
            failure::error(400, "action_request_validation_exception", "Validation Failed: 1: scrollId is missing;")
        })?
        .to_owned();
    let keep = body["scroll"].as_str().or(call.param("scroll")).map(keep_alive).transpose()?;
    let cursor = {
        let mut scrolls = rest.scrolls.0.lock();
        let now = clock::now();
        scrolls.retain(|_, held| held.until > now);
        let held = scrolls.get_mut(&id).ok_or_else(|| {
            failure::error(404, "search_context_missing_exception", &format!("No search context found for id [{id}]"))
        })?;
        held.keep = keep.unwrap_or(held.keep);
        held.until = now + held.keep;
        held.cursor.clone()
    };
    rest.work(move |_| match cursor.lock().page() {
        Ok(page) => Reply::json(200, &SearchResponse { scroll_id: Some(id), ..page }),
        Err(error) => failure::of_search(&error, "_all"),
    })
    .await
}
