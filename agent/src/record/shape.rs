//! The parts of a record that are the same for all lines of a file, made once.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value, json};

use super::ecs;

/// Everything in a file's records that is not the line's own.
#[derive(Debug)]
pub(crate) struct Shape {
    /// `,"host":{…}` and so on for every object, up to and with `"offset":`, or the content of `log` without a place.
    pub(crate) before_offset: Vec<u8>,
    /// The same content as a tree, without `log.offset`, for lines that must be merged with it.
    pub(crate) tree: Map<String, Value>,
    /// Its lines have a path and an offset.
    pub(crate) placed: bool,
}

impl Shape {
    /// Without a path where the lines come from no file: they have no offset then.
    pub(crate) fn new(host: &str, path: Option<&Path>, fields: &BTreeMap<String, Value>) -> Self {
        let mut tree = Map::new();
        for (name, value) in fields {
            set(&mut tree, name, value.clone());
        }
        set(&mut tree, "host.name", json!(host));
        if let Some(path) = path {
            set(&mut tree, "log.file.path", json!(path.to_string_lossy()));
        }
        let mut before_offset = Vec::new();
        for (name, value) in tree.iter().filter(|(name, _)| *name != "log") {
            before_offset.extend_from_slice(format!(",{}:{value}", json!(name)).as_bytes());
        }
        before_offset.extend_from_slice(b",\"log\":{");
        for (name, value) in tree.get("log").and_then(Value::as_object).into_iter().flatten() {
            if !["offset", "flags", "iostream", "sample_rate"].contains(&name.as_str()) {
                before_offset.extend_from_slice(format!("{}:{value},", json!(name)).as_bytes());
            }
        }
        match path {
            Some(_) => before_offset.extend_from_slice(b"\"offset\":"),
            None if before_offset.ends_with(b",") => drop(before_offset.pop()),
            None => {}
        }
        Self { before_offset, tree, placed: path.is_some() }
    }

    /// Whether the file's own content has something under this top-level name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tree.contains_key(name)
    }
}

/// Puts a value at a dotted path, nested. What is in the way, and a scalar where ECS has an object, goes to labels.
pub(crate) fn set(tree: &mut Map<String, Value>, path: &str, value: Value) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    if rest.is_empty() && ecs::is_object(first.as_bytes()) && !value.is_object() {
        return label(tree, first, value);
    }
    let mut place = tree;
    let mut segments = path.split('.').peekable();
    while let Some(segment) = segments.next() {
        if segments.peek().is_none() {
            place.insert(segment.to_owned(), value);
            return;
        }
        let inner = place.entry(segment).or_insert_with(|| json!({}));
        if !inner.is_object() {
            *inner = json!({});
        }
        match inner {
            Value::Object(map) => place = map,
            _ => return,
        }
    }
}

/// Puts a scalar under `labels`, dots in its name made underscores (labels are flat in ECS).
pub(crate) fn label(tree: &mut Map<String, Value>, name: &str, value: Value) {
    let name = name.replace('.', "_");
    let labels = tree.entry("labels").or_insert_with(|| json!({}));
    if let Value::Object(labels) = labels {
        labels.insert(name, value);
    }
}
