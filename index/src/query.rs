//! Queries: Elasticsearch's JSON and Lucene's query strings, read into one tree that is compiled per index.

mod column;
mod compile;
mod dsl;
mod expand;
mod lucene;

#[cfg(test)]
mod tests;

use std::ops::Bound;

use serde_json::Value;

pub(crate) use compile::Compiler;
pub(crate) use dsl::parse;
pub(crate) use lucene::parse as parse_query_string;

/// Nesting allowed, `indices.query.bool.max_nested_depth` being 30.
pub(crate) const MAX_DEPTH: usize = 30;
/// Clauses and terms in one query, as `index.max_terms_count` and `max_clause_count`.
pub(crate) const MAX_CLAUSES: usize = 65_536;

/// A query as asked, before any mapping is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Query {
    All,
    None,
    Match {
        field: String,
        text: Value,
        and: bool,
    },
    Phrase {
        field: String,
        text: String,
        prefix: bool,
        slop: u32,
    },
    /// Over several fields (`*` and patterns too), the best of them.
    MultiMatch {
        fields: Vec<String>,
        text: String,
        and: bool,
        phrase: bool,
    },
    Term {
        field: String,
        value: Value,
        insensitive: bool,
    },
    Terms {
        field: String,
        values: Vec<Value>,
    },
    Range {
        field: String,
        from: Bound<Value>,
        to: Bound<Value>,
    },
    Exists {
        field: String,
    },
    Ids(Vec<String>),
    Prefix {
        field: String,
        value: String,
        insensitive: bool,
    },
    Wildcard {
        field: String,
        pattern: String,
        insensitive: bool,
    },
    Regexp {
        field: String,
        pattern: String,
    },
    Bool {
        must: Vec<Query>,
        should: Vec<Query>,
        filter: Vec<Query>,
        must_not: Vec<Query>,
        minimum: Option<usize>,
    },
    /// Every match scores the same.
    Constant(Box<Query>),
    Boost(Box<Query>, f32),
}

/// Why a query is refused: Elasticsearch's `type` and `reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryError {
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
}

impl QueryError {
    pub(crate) fn parsing(reason: impl Into<String>) -> Self {
        Self { kind: "parsing_exception", reason: reason.into() }
    }

    pub(crate) fn illegal(reason: impl Into<String>) -> Self {
        Self { kind: "illegal_argument_exception", reason: reason.into() }
    }

    /// Found only with the mapping at hand: Elasticsearch reports it from the shard.
    pub(crate) fn shard(reason: impl Into<String>) -> Self {
        Self { kind: "query_shard_exception", reason: reason.into() }
    }
}
