//! The body of `_search` and the parameters that stand for parts of it.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    MAX_WINDOW, SourceFilter,
    sort::{Missing, Sort, SortBy},
};
use crate::{
    aggs::{self, Agg},
    query::{self, Query, QueryError},
};

/// How many hits are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Track {
    No,
    /// Counted all the same; told as `gte` above this.
    UpTo(u64),
    Exactly,
}

#[derive(Debug, Clone)]
pub(crate) struct SearchRequest {
    pub(crate) query: Query,
    pub(crate) from: usize,
    pub(crate) size: usize,
    pub(crate) sort: Vec<Sort>,
    pub(crate) after: Option<Vec<Value>>,
    pub(crate) source: SourceFilter,
    pub(crate) track: Track,
    pub(crate) aggs: Vec<Agg>,
    pub(crate) version: bool,
    pub(crate) seq_no: bool,
    pub(crate) min_score: Option<f64>,
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self {
            query: Query::All,
            from: 0,
            size: 10,
            sort: Vec::new(),
            after: None,
            source: SourceFilter::All,
            track: Track::UpTo(10_000),
            aggs: Vec::new(),
            version: false,
            seq_no: false,
            min_score: None,
        }
    }
}

impl SearchRequest {
    /// Reads body and URL parameters; parameters win, as in Elasticsearch.
    ///
    /// # Errors
    /// Unknown keys, values of the wrong form, a window that is too large.
    pub(crate) fn parse(body: Option<&Value>, params: &HashMap<String, String>) -> Result<Self, QueryError> {
        let mut request = Self::default();
        if let Some(body) = body {
            request.read_body(body)?;
        }
        request.read_params(params)?;
        request.check()?;
        Ok(request)
    }

    fn read_body(&mut self, body: &Value) -> Result<(), QueryError> {
        let body =
            body.as_object().ok_or_else(|| QueryError::parsing("Expected [START_OBJECT] but found another value"))?;
        for (key, value) in body {
            match key.as_str() {
                "query" => self.query = query::parse(value)?,
                "from" => self.from = count(key, value)?,
                "size" => self.size = count(key, value)?,
                "sort" => self.sort = Sort::parse_all(value)?,
                "search_after" => {
                    let after =
                        value.as_array().ok_or_else(|| QueryError::parsing("[search_after] must be an array"))?;
                    self.after = Some(after.clone());
                }
                "_source" => self.source = SourceFilter::parse(value)?,
                "track_total_hits" => self.track = track(value)?,
                "aggs" | "aggregations" => self.aggs = aggs::parse(value)?,
                "version" => self.version = value == true,
                "seq_no_primary_term" => self.seq_no = value == true,
                "min_score" => self.min_score = value.as_f64(),
                // Accepted and without effect here.
                "timeout"
                | "track_scores"
                | "explain"
                | "profile"
                | "highlight"
                | "script_fields"
                | "docvalue_fields"
                | "fields"
                | "stored_fields"
                | "stats"
                | "terminate_after"
                | "ext"
                | "batched_reduce_size"
                | "indices_boost" => {}
                other => {
                    let kind = match value {
                        Value::Object(_) => "START_OBJECT",
                        Value::Array(_) => "START_ARRAY",
                        Value::String(_) => "VALUE_STRING",
                        Value::Number(_) => "VALUE_NUMBER",
                        Value::Bool(true) => "VALUE_TRUE",
                        Value::Bool(false) => "VALUE_FALSE",
                        Value::Null => "VALUE_NULL",
                    };
                    return Err(QueryError::parsing(format!("Unknown key for a {kind} in [{other}].")));
                }
            }
        }
        Ok(())
    }

    fn read_params(&mut self, params: &HashMap<String, String>) -> Result<(), QueryError> {
        let number = |key: &str| {
            params
                .get(key)
                .map(|text| {
                    text.parse::<usize>().map_err(|_| {
                        QueryError::illegal(format!("Failed to parse int parameter [{key}] with value [{text}]"))
                    })
                })
                .transpose()
        };
        if let Some(text) = params.get("q") {
            let fields: Vec<String> = params.get("df").cloned().into_iter().collect();
            let and = params.get("default_operator").is_some_and(|operator| operator.eq_ignore_ascii_case("and"));
            self.query = query::parse_query_string(text, &fields, and)?;
        }
        self.from = number("from")?.unwrap_or(self.from);
        self.size = number("size")?.unwrap_or(self.size);
        if let Some(text) = params.get("sort") {
            self.sort = text.split(',').map(Sort::parse_param).collect::<Result<_, _>>()?;
        }
        if let Some(text) = params.get("track_total_hits") {
            self.track = track(
                &text
                    .parse::<bool>()
                    .map(Value::Bool)
                    .or_else(|_| text.parse::<i64>().map(Value::from))
                    .unwrap_or(Value::Null),
            )?;
        }
        for (key, set) in [("version", &mut self.version), ("seq_no_primary_term", &mut self.seq_no)] {
            if let Some(text) = params.get(key) {
                *set = text.is_empty() || text == "true";
            }
        }
        self.source.read_params(params);
        Ok(())
    }

    fn check(&self) -> Result<(), QueryError> {
        let window = self.from.saturating_add(self.size);
        if window > MAX_WINDOW {
            return Err(QueryError::illegal(format!(
                "Result window is too large, from + size must be less than or equal to: [{MAX_WINDOW}] but was [{window}]. See the scroll api for a more efficient way to request large data sets. This limit can be set by changing the [index.max_result_window] index level setting."
            )));
        }
        if let Some(after) = &self.after {
            if self.from > 0 {
                return Err(QueryError {
                    kind: "action_request_validation_exception",
                    reason: "Validation Failed: 1: `from` parameter must be set to 0 when `search_after` is used;"
                        .to_owned(),
                });
            }
            if self.sort.is_empty() {
                return Err(QueryError::illegal("Sort must contain at least one field."));
            }
            if after.len() != self.sort.len() {
                return Err(QueryError::illegal(format!(
                    "search_after has {} value(s) but sort has {}.",
                    after.len(),
                    self.sort.len()
                )));
            }
        }
        Ok(())
    }

    /// No order is asked for that needs more than walking the index.
    pub(crate) fn in_index_order(&self) -> bool {
        self.aggs.is_empty() && self.sort.iter().all(|sort| sort.by == SortBy::Doc)
    }

    /// What hits are ordered by: without a sort the score.
    pub(super) fn order(&self) -> Vec<Sort> {
        if self.sort.is_empty() {
            return vec![Sort { by: SortBy::Score, descending: true, missing: Missing::Last, unmapped: false }];
        }
        self.sort.clone()
    }
}

fn count(key: &str, value: &Value) -> Result<usize, QueryError> {
    let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    match number.map(usize::try_from) {
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => Err(QueryError::illegal(format!("[{key}] parameter cannot be negative but was [{value}]"))),
        None => Err(QueryError::parsing(format!("[{key}] must be a number, found [{value}]"))),
    }
}

fn track(value: &Value) -> Result<Track, QueryError> {
    match value {
        Value::Bool(true) => Ok(Track::Exactly),
        Value::Bool(false) => Ok(Track::No),
        value => match value.as_i64() {
            Some(-1) => Ok(Track::Exactly),
            Some(limit) if limit >= 0 => Ok(Track::UpTo(limit.unsigned_abs())),
            _ => Err(QueryError::illegal(format!(
                "[track_total_hits] parameter must be positive or equals to -1, got {value}"
            ))),
        },
    }
}
