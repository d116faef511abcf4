//! The slow way for JSON lines whose content meets the record's own objects: by a tree.

use serde_json::{Map, Value, json};

use super::{
    Flags, ecs,
    shape::{Shape, label},
};

/// The record of a line that is a JSON object. The agent's `log.*` and the configured fields win over the line's, the
/// line's `host.*` over the agent's.
pub(crate) fn record(
    line: Map<String, Value>,
    timestamp: &str,
    shape: &Shape,
    offset: u64,
    flags: Flags,
) -> Map<String, Value> {
    let mut record = Map::new();
    let mut moved = Vec::new();
    for (name, value) in line {
        if name == "@timestamp" {
            if value.as_str() != Some(timestamp) && super::timestamp_of(&value).is_none() {
                moved.push((name, value));
            }
            continue;
        }
        let first = name.split('.').next().unwrap_or_default();
        let belongs_inside = first.len() < name.len() && !first.is_empty() && ecs::is_object(first.as_bytes());
        if belongs_inside {
            nest(&mut record, &name, value, &mut moved);
        } else if ecs::is_object(name.as_bytes()) && !holds_objects(&value) {
            moved.push((name, value));
        } else if name == "message" && (value.is_object() || value.is_array()) {
            record.insert(name, Value::String(value.to_string()));
        } else {
            merge(&mut record, name, value, false);
        }
    }
    let host_of_line = record.get("host").and_then(|h| h.get("name")).filter(|n| n.is_string()).cloned();
    for (name, value) in &shape.tree {
        merge(&mut record, name.clone(), value.clone(), true);
    }
    if let (Some(name), Some(Value::Object(host))) = (host_of_line, record.get_mut("host")) {
        host.insert("name".into(), name);
    }
    if !shape.placed && flags != Flags::default() {
        record.entry("log").or_insert_with(|| json!({}));
    }
    if let Some(Value::Object(log)) = record.get_mut("log") {
        if shape.placed {
            log.insert("offset".into(), json!(offset));
        }
        let names = [("truncated", flags.truncated), ("split", flags.split)];
        let set: Vec<&str> = names.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        if !set.is_empty() {
            log.insert("flags".into(), json!(set));
        }
        if let Some(rate) = flags.sample_rate {
            log.insert("sample_rate".into(), json!(rate));
        }
        if let Some(stream) = flags.stream {
            log.insert("iostream".into(), json!(stream.name()));
        }
    }
    for (name, value) in moved {
        if !matches!(record.get("labels"), None | Some(Value::Object(_))) {
            record.remove("labels");
        }
        label(&mut record, &name, value);
    }
    record.insert("@timestamp".into(), json!(timestamp));
    record
}

/// Whether a value may stand where ECS has an object.
fn holds_objects(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.first().is_some_and(Value::is_object),
        _ => false,
    }
}

/// Puts a value under its dotted name's objects; where a scalar is in the way, the value is to be a label.
fn nest(tree: &mut Map<String, Value>, path: &str, value: Value, moved: &mut Vec<(String, Value)>) {
    match path.split_once('.') {
        None => merge(tree, path.to_owned(), value, true),
        Some((first, rest)) => match tree.entry(first).or_insert_with(|| json!({})) {
            Value::Object(inner) => nest(inner, rest, value, moved),
            _ => moved.push((path.to_owned(), value)),
        },
    }
}

/// Adds a member, going into objects that both have; `over` says who wins otherwise.
fn merge(tree: &mut Map<String, Value>, name: String, value: Value, over: bool) {
    match (tree.get_mut(&name), value) {
        (Some(Value::Object(there)), Value::Object(new)) => {
            for (name, value) in new {
                merge(there, name, value, over);
            }
        }
        (Some(there), value) => {
            if over {
                *there = value;
            }
        }
        (None, value) => drop(tree.insert(name, value)),
    }
}
