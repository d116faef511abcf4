//! Index templates: mappings that new indices begin with.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};

use super::{Call, Rest, cluster, failure, reply::Reply, search::json_body};
use crate::{engine::Template, mapping::Mapping};

pub(super) async fn templates(rest: &Arc<Rest>, path: &[&str], call: &Call) -> Result<Reply, Reply> {
    let composable = path.first() == Some(&"_index_template");
    let name = path.get(1).copied();
    match (&call.method, name) {
        (&Method::PUT | &Method::POST, Some(name)) => put(rest, name, path[0], call).await,
        (&Method::DELETE, Some(name)) => {
            let engine = rest.engine.clone();
            let key = name.to_owned();
            let removed = rest
                .work(move |_| engine.remove_template(&key))
                .await?
                .map_err(|reason| failure::unavailable(&reason))?;
            if removed { Ok(cluster::acknowledged()) } else { Err(missing(name)) }
        }
        (&Method::HEAD, Some(name)) => {
            Ok(Reply::empty(if rest.engine.templates().iter().any(|(known, _)| known == name) { 200 } else { 404 }))
        }
        (&Method::GET, name) => {
            let found: Vec<(String, Template)> = rest
                .engine
                .templates()
                .into_iter()
                .filter(|(known, _)| name.is_none_or(|name| crate::engine::matches(name, known)))
                .collect();
            if let Some(name) = name.filter(|name| found.is_empty() && !name.contains('*')) {
                return Err(missing(name));
            }
            Ok(if composable {
                let list: Vec<Value> = found
                    .into_iter()
                    .map(|(name, template)| json!({ "name": name, "index_template": template.body }))
                    .collect();
                Reply::json(200, &json!({ "index_templates": list }))
            } else {
                let all: serde_json::Map<String, Value> =
                    found.into_iter().map(|(name, template)| (name, template.body)).collect();
                Reply::json(200, &all)
            })
        }
        _ => Err(failure::error(405, "method_not_allowed", &format!("method [{}] is not allowed here", call.method))),
    }
}

fn missing(name: &str) -> Reply {
    failure::error(404, "resource_not_found_exception", &format!("index template matching [{name}] not found"))
}

async fn put(rest: &Arc<Rest>, name: &str, endpoint: &str, call: &Call) -> Result<Reply, Reply> {
    let body = json_body(call)?.unwrap_or_default();
    if endpoint == "_component_template" {
        return Err(failure::error(
            400,
            "illegal_argument_exception",
            "component templates are not supported here: give the mapping in the index template",
        ));
    }
    let patterns: Vec<String> = match &body["index_patterns"] {
        Value::Array(list) => list.iter().filter_map(|pattern| pattern.as_str().map(str::to_owned)).collect(),
        Value::String(one) => vec![one.clone()],
        _ => Vec::new(),
    };
    if patterns.is_empty() {
        return Err(failure::error(
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: index patterns are missing;",
        ));
    }
    let mapping = body.pointer("/template/mappings").or_else(|| body.get("mappings")).cloned();
    if let Some(mapping) = &mapping {
        Mapping::default().merge_json(mapping).map_err(|error| failure::error(400, error.kind, &error.reason))?;
    }
    let priority = body["priority"].as_i64().or_else(|| body["order"].as_i64()).unwrap_or(0);
    let engine = rest.engine.clone();
    let (name, template) = (name.to_owned(), Template { patterns, priority, mapping, body });
    let kept = rest
        .work(move |_| engine.put_template(&name, template))
        .await?
        .map_err(|reason| failure::unavailable(&reason))?;
    if kept {
        Ok(cluster::acknowledged())
    } else {
        Err(failure::error(400, "illegal_argument_exception", "too many index templates"))
    }
}
