//! `_field_caps` and `_resolve/index`: what fields and indices there are.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{Call, Rest, names, reply::Reply, search::json_body};
use crate::{engine::matches, mapping::Kind};

pub(super) fn field_caps(rest: &Arc<Rest>, name: Option<&str>, call: &Call) -> Result<Reply, Reply> {
    let shards = names::expand(rest, name, call)?;
    let body = json_body(call)?.unwrap_or_default();
    let wanted: Vec<String> = match (&body["fields"], call.param("fields")) {
        (Value::Array(list), _) => list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        (Value::String(one), _) => vec![one.clone()],
        (_, Some(list)) => list.split(',').map(str::to_owned).collect(),
        _ => vec!["*".to_owned()],
    };
    // Field, then type, then the indices that have it so.
    let mut found: BTreeMap<String, BTreeMap<&str, (Kind, Vec<String>)>> = BTreeMap::new();
    let mut add = |path: String, type_name: &'static str, kind: Kind, index: &str| {
        if wanted.iter().any(|pattern| matches(pattern, &path)) {
            found
                .entry(path)
                .or_default()
                .entry(type_name)
                .or_insert_with(|| (kind, Vec::new()))
                .1
                .push(index.to_owned());
        }
    };
    for shard in &shards {
        let mapping = shard.mapping();
        for field in mapping.fields() {
            add(field.path.to_string(), field.type_name, field.kind, &shard.name);
            if field.kind == Kind::Text && field.keyword {
                add(format!("{}.keyword", field.path), "keyword", Kind::Keyword, &shard.name);
            }
        }
    }
    let mut fields: Map<String, Value> = Map::new();
    for (path, types) in found {
        let several = types.len() > 1;
        let types: Map<String, Value> = types
            .into_iter()
            .map(|(name, (kind, indices))| {
                let mut caps = json!({ "type": name, "metadata_field": false, "searchable": true, "aggregatable": kind != Kind::Text });
                if several {
                    caps["indices"] = json!(indices);
                }
                (name.to_owned(), caps)
            })
            .collect();
        fields.insert(path, Value::Object(types));
    }
    for (name, kind, aggregatable) in [("_id", "_id", false), ("_index", "_index", true), ("_source", "_source", false)]
    {
        if wanted.iter().any(|pattern| matches(pattern, name)) {
            fields.insert(name.to_owned(), json!({ kind: { "type": kind, "metadata_field": true, "searchable": name != "_source", "aggregatable": aggregatable } }));
        }
    }
    let indices: Vec<&str> = shards.iter().map(|shard| &*shard.name).collect();
    Ok(Reply::json(200, &json!({ "indices": indices, "fields": fields })))
}

pub(super) fn resolve_index(rest: &Arc<Rest>, name: &str, call: &Call) -> Result<Reply, Reply> {
    let indices: Vec<Value> = names::expand(rest, Some(name), call)?
        .iter()
        .map(|shard| json!({ "name": &*shard.name, "attributes": ["open"] }))
        .collect();
    Ok(Reply::json(200, &json!({ "indices": indices, "aliases": [], "data_streams": [] })))
}
