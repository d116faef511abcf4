//! Which request goes where.

use std::sync::Arc;

use axum::http::Method;

use super::{
    Call, Rest, bulk, cat, cluster, document, failure, fields, indices, reply::Reply, scroll, search, templates,
};

pub(super) async fn route(rest: &Arc<Rest>, call: Call) -> Reply {
    let method = call.method.clone();
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    let read = method == Method::GET || method == Method::HEAD;
    let ask = read || method == Method::POST;
    let write = method == Method::POST || method == Method::PUT;
    let result = match path.as_slice() {
        [] if read => Ok(cluster::root(rest)),
        ["_bulk"] if write => bulk::bulk(rest, None, &call).await,
        [index, "_bulk"] if write => bulk::bulk(rest, Some(index), &call).await,
        ["_search"] if ask => search::search(rest, None, &call).await,
        ["_search", "scroll"] | ["_search", "scroll", _] => scroll::next_or_clear(rest, &call).await,
        ["_msearch"] if ask => search::msearch(rest, None, &call).await,
        [index, "_msearch"] if ask => search::msearch(rest, Some(index), &call).await,
        ["_count"] if ask => search::count(rest, None, &call).await,
        [index, "_search"] if ask => search::search(rest, Some(index), &call).await,
        [index, "_count"] if ask => search::count(rest, Some(index), &call).await,
        ["_refresh"] if ask => indices::refresh(rest, None, &call).await,
        [index, "_refresh"] if ask => indices::refresh(rest, Some(index), &call).await,
        ["_flush" | "_forcemerge"] if ask => indices::refresh(rest, None, &call).await,
        [index, "_flush" | "_forcemerge"] if ask => indices::refresh(rest, Some(index), &call).await,
        ["_mapping" | "_mappings"] if read => indices::mapping(rest, None, &call),
        [index, "_mapping" | "_mappings"] if read => indices::mapping(rest, Some(index), &call),
        [index, "_mapping" | "_mappings"] if write => indices::put_mapping(rest, index, &call).await,
        [index, "_settings"] if read => indices::settings(rest, index, &call),
        [_, "_settings"] if method == Method::PUT => Ok(cluster::acknowledged()),
        ["_field_caps"] if ask => fields::field_caps(rest, None, &call),
        [index, "_field_caps"] if ask => fields::field_caps(rest, Some(index), &call),
        ["_resolve", "index", index] if read => fields::resolve_index(rest, index, &call),
        ["_cluster", "health"] if read => cluster::health(rest, None, &call),
        ["_cluster", "health", index] if read => cluster::health(rest, Some(index), &call),
        ["_cluster", "settings"] => Ok(cluster::settings()),
        ["_nodes", ..] if read => Ok(cluster::nodes(rest)),
        ["_license" | "_xpack", ..] if read => Ok(cluster::license(&path)),
        ["_cat", what] if read => cat::cat(rest, what, None, &call),
        ["_cat", what, index] if read => cat::cat(rest, what, Some(index), &call),
        ["_index_template" | "_component_template" | "_template", ..] => templates::templates(rest, &path, &call).await,
        [index, "_doc" | "_create", id] => document::document(rest, index, path[1], Some(id), &call).await,
        [index, "_doc"] if method == Method::POST => document::document(rest, index, "_doc", None, &call).await,
        [index, "_source", id] if read => document::source(rest, index, id, &call).await,
        [index, "_update", id] if method == Method::POST => document::update(rest, index, id, &call).await,
        [index, "_mget"] if ask => document::mget(rest, Some(index), &call).await,
        ["_mget"] if ask => document::mget(rest, None, &call).await,
        [index] if !index.starts_with('_') || *index == "_all" => indices::index(rest, index, &call).await,
        _ => Err(unknown(&call)),
    };
    result.unwrap_or_else(|error| error)
}

fn unknown(call: &Call) -> Reply {
    let uri = format!("/{}", call.path.join("/"));
    failure::error(
        400,
        "illegal_argument_exception",
        &format!(
            "no handler found for uri [{uri}] and method [{}]: this index answers a part of Elasticsearch's API",
            call.method
        ),
    )
}
