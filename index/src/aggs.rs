//! Aggregations: Elasticsearch's request read into a tree, run by Tantivy's collector, answered in Elasticsearch's shapes.
//!
//! Tantivy's request differs in names and units, so it is written anew (`rewrite.rs`): aggregations get private names
//! (no clash with `key` and `doc_count` in its answers), fields become columns, dates are plain millisecond numbers. Intervals of
//! uneven length (months, quarters, years) become ranges over the data's own bounds.

mod calendar;
mod request;
mod response;
mod rewrite;

pub(crate) use calendar::Bounds;
use request::{Kind, Metric};

pub(crate) use request::{Agg, parse};
pub(crate) use response::render;
pub(crate) use rewrite::{Resolve, rewrite, text_field, too_many};

/// `search.max_buckets`.
pub(crate) const MAX_BUCKETS: u32 = 65_536;
/// Aggregations in one request and levels of nesting.
pub(crate) const MAX_AGGS: usize = 1_000;
pub(crate) const MAX_DEPTH: usize = 16;
