//! The order of hits, and the collector that keeps the first of them.
//!
//! Within a segment each sort value is one `u128` whose natural order is the wanted order (class, then the column's
//! value, inverted when descending); strings are compared by their dictionary's ordinals and looked up only for the hits that
//! are kept. Between segments and indices [`Key`]s are compared.

mod collector;
mod column;
mod key;

pub(super) use collector::{Kept, TopHits, compare};
pub(super) use key::Key;

use serde_json::Value;

use crate::query::QueryError;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sort {
    pub(crate) by: SortBy,
    pub(crate) descending: bool,
    pub(crate) missing: Missing,
    /// `unmapped_type` was given: an index without the field is no error.
    pub(crate) unmapped: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SortBy {
    Score,
    Doc,
    Field(String),
}

/// Where documents without a value go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    First,
    Last,
}

/// Sort values one request may have.
const MAX_SORTS: usize = 16;

impl Sort {
    pub(super) fn parse_all(json: &Value) -> Result<Vec<Self>, QueryError> {
        let sorts: Vec<Self> = match json {
            Value::Array(list) => {
                list.iter().map(Self::parse_one).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
            }
            one => Self::parse_one(one)?,
        };
        if sorts.len() > MAX_SORTS {
            return Err(QueryError::illegal(format!("at most {MAX_SORTS} sort fields are supported here")));
        }
        Ok(sorts)
    }

    fn new(name: &str, descending: Option<bool>) -> Self {
        let by = match name {
            "_score" => SortBy::Score,
            "_doc" | "_shard_doc" => SortBy::Doc,
            field => SortBy::Field(field.to_owned()),
        };
        Self { descending: descending.unwrap_or(by == SortBy::Score), by, missing: Missing::Last, unmapped: false }
    }

    /// `name` or `name:desc`.
    pub(super) fn parse_param(text: &str) -> Result<Self, QueryError> {
        match text.rsplit_once(':') {
            Some((name, direction)) if matches!(direction, "asc" | "desc") => {
                Ok(Self::new(name, Some(direction == "desc")))
            }
            Some((_, direction)) => Err(QueryError::illegal(format!("Unknown SortOrder [{direction}]"))),
            None => Ok(Self::new(text, None)),
        }
    }

    fn parse_one(json: &Value) -> Result<Vec<Self>, QueryError> {
        let direction = |value: &Value| match value.as_str().map(str::to_lowercase).as_deref() {
            Some("asc") => Ok(false),
            Some("desc") => Ok(true),
            _ => Err(QueryError::illegal(format!("Unknown SortOrder [{}]", value.as_str().unwrap_or_default()))),
        };
        match json {
            Value::String(name) => Ok(vec![Self::new(name, None)]),
            Value::Object(object) => object
                .iter()
                .map(|(name, options)| match options {
                    Value::Object(options) => {
                        let mut sort = Self::new(name, options.get("order").map(direction).transpose()?);
                        match options.get("missing") {
                            None => {}
                            Some(Value::String(missing)) if missing == "_last" => {}
                            Some(Value::String(missing)) if missing == "_first" => sort.missing = Missing::First,
                            Some(_) => {
                                return Err(QueryError::illegal("[missing] supports only [_first] and [_last] here"));
                            }
                        }
                        sort.unmapped = options.contains_key("unmapped_type")
                            || options.get("ignore_unmapped") == Some(&Value::Bool(true));
                        Ok(sort)
                    }
                    value => Ok(Self::new(name, Some(direction(value)?))),
                })
                .collect(),
            _ => Err(QueryError::illegal(
                "malformed sort format, within the sort array, an object, or an actual string are allowed",
            )),
        }
    }
}
