//! The answer of a search, and what part of `_source` it shows.

use std::collections::HashMap;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, value::RawValue};

use crate::{engine::matches, query::QueryError};

#[derive(Debug, Clone, Serialize)]
pub(crate) struct SearchResponse {
    #[serde(rename = "_scroll_id", skip_serializing_if = "Option::is_none")]
    pub(crate) scroll_id: Option<String>,
    pub(crate) took: u64,
    pub(crate) timed_out: bool,
    #[serde(rename = "_shards")]
    pub(crate) shards: Shards,
    pub(crate) hits: Hits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aggregations: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Shards {
    pub(crate) total: usize,
    pub(crate) successful: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) skipped: Option<usize>,
    pub(crate) failed: usize,
}

impl Shards {
    pub(crate) fn searched(total: usize) -> Self {
        Self { total, successful: total, skipped: Some(0), failed: 0 }
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Hits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<Total>,
    pub(crate) max_score: Option<f32>,
    pub(crate) hits: Vec<Hit>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Total {
    pub(crate) value: u64,
    pub(crate) relation: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) index: String,
    pub(crate) id: String,
    pub(crate) version: Option<u64>,
    pub(crate) seq_no: Option<u64>,
    pub(crate) score: Option<f32>,
    pub(crate) source: Option<Box<RawValue>>,
    pub(crate) sort: Option<Vec<Value>>,
}

impl Serialize for Hit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_index", &self.index)?;
        map.serialize_entry("_id", &self.id)?;
        if let Some(version) = self.version {
            map.serialize_entry("_version", &version)?;
        }
        if let Some(seq_no) = self.seq_no {
            map.serialize_entry("_seq_no", &seq_no)?;
            map.serialize_entry("_primary_term", &1)?;
        }
        map.serialize_entry("_score", &self.score)?;
        if let Some(source) = &self.source {
            map.serialize_entry("_source", source)?;
        }
        if let Some(sort) = &self.sort {
            map.serialize_entry("sort", sort)?;
        }
        map.end()
    }
}

/// Which part of `_source` is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum SourceFilter {
    #[default]
    All,
    None,
    /// Patterns of paths; an empty list of includes means all.
    Some {
        includes: Vec<String>,
        excludes: Vec<String>,
    },
}

impl SourceFilter {
    /// # Errors
    /// Neither a boolean, a string, a list nor an object of those.
    pub(crate) fn parse(json: &Value) -> Result<Self, QueryError> {
        let list = |value: Option<&Value>| -> Result<Vec<String>, QueryError> {
            match value {
                None | Some(Value::Null) => Ok(Vec::new()),
                Some(Value::String(text)) => Ok(text.split(',').map(str::to_owned).collect()),
                Some(Value::Array(list)) => {
                    Ok(list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
                }
                Some(_) => Err(QueryError::parsing("Expected one of [VALUE_BOOLEAN, START_OBJECT] for [_source]")),
            }
        };
        Ok(match json {
            Value::Bool(true) => Self::All,
            Value::Bool(false) => Self::None,
            Value::Object(object) => Self::Some {
                includes: list(object.get("includes").or_else(|| object.get("include")))?,
                excludes: list(object.get("excludes").or_else(|| object.get("exclude")))?,
            },
            other => Self::Some { includes: list(Some(other))?, excludes: Vec::new() },
        })
    }

    /// `_source`, `_source_includes` and `_source_excludes` of a URL.
    pub(crate) fn read_params(&mut self, params: &HashMap<String, String>) {
        let list = |key: &str| params.get(key).map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>());
        match params.get("_source").map(String::as_str) {
            None => {}
            Some("true") => *self = Self::All,
            Some("false") => *self = Self::None,
            Some(_) => *self = Self::Some { includes: list("_source").unwrap_or_default(), excludes: Vec::new() },
        }
        let (includes, excludes) = (list("_source_includes"), list("_source_excludes"));
        if includes.is_some() || excludes.is_some() {
            *self = Self::Some { includes: includes.unwrap_or_default(), excludes: excludes.unwrap_or_default() };
        }
    }

    /// The part of a source that is shown; `None` for nothing.
    pub(crate) fn apply(&self, source: Vec<u8>) -> Option<Box<RawValue>> {
        let raw = |bytes: Vec<u8>| RawValue::from_string(String::from_utf8(bytes).ok()?).ok();
        match self {
            Self::All => raw(source),
            Self::None => None,
            Self::Some { includes, excludes } => {
                let json: Value = serde_json::from_slice(&source).ok()?;
                let kept = filter("", &json, includes, excludes).unwrap_or_else(|| Value::Object(Map::new()));
                raw(kept.to_string().into_bytes())
            }
        }
    }
}

/// A pattern names a path, anything under it, or by `*` a part of it.
fn named(pattern: &str, path: &str) -> bool {
    matches(pattern, path) || path.match_indices('.').any(|(at, _)| matches(pattern, &path[..at]))
}

fn filter(path: &str, json: &Value, includes: &[String], excludes: &[String]) -> Option<Value> {
    match json {
        Value::Object(object) => {
            let mut out = Map::new();
            for (key, value) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if excludes.iter().any(|pattern| named(pattern, &path)) {
                    continue;
                }
                if let Some(value) = filter(&path, value, includes, excludes) {
                    out.insert(key.clone(), value);
                }
            }
            let wanted = includes.is_empty() || includes.iter().any(|pattern| named(pattern, path));
            (!out.is_empty() || (wanted && !path.is_empty())).then_some(Value::Object(out))
        }
        Value::Array(list) => {
            let kept: Vec<Value> = list.iter().filter_map(|item| filter(path, item, includes, excludes)).collect();
            (!kept.is_empty() || includes.is_empty() || includes.iter().any(|pattern| named(pattern, path)))
                .then_some(Value::Array(kept))
        }
        other => (includes.is_empty() || includes.iter().any(|pattern| named(pattern, path))).then(|| other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shows_part_of_the_source() {
        let source = json!({"a": {"b": 1, "c": 2}, "d": [{"e": 1, "f": 2}], "g": "x"});
        let shown = |filter: Value| {
            SourceFilter::parse(&filter)
                .unwrap()
                .apply(source.to_string().into_bytes())
                .map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap())
        };
        assert_eq!(shown(json!(true)), Some(source.clone()));
        assert_eq!(shown(json!(false)), None);
        assert_eq!(shown(json!(["a.b", "g"])), Some(json!({"a": {"b": 1}, "g": "x"})));
        assert_eq!(shown(json!("a")), Some(json!({"a": {"b": 1, "c": 2}})));
        assert_eq!(shown(json!({"excludes": ["a", "d.f"]})), Some(json!({"d": [{"e": 1}], "g": "x"})));
        assert_eq!(shown(json!("*.e")), Some(json!({"d": [{"e": 1}]})));
        assert_eq!(shown(json!("nothing")), Some(json!({})));
    }
}
