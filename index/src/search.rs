//! Searching: the request, its run over the indices, the hits.
//!
//! Each index is searched by itself, with its own mapping and statistics (as a shard of Elasticsearch is); hits are
//! merged by their sort values, aggregations in Tantivy's intermediate form.

mod cursor;
mod execute;
mod hits;
mod request;
mod sort;

pub(crate) use cursor::Cursor;
pub(crate) use execute::{SearchError, count, search};
use hits::Hit;
pub(crate) use hits::{SearchResponse, Shards, SourceFilter};
pub(crate) use request::{SearchRequest, Track};

/// `index.max_result_window`.
pub(crate) const MAX_WINDOW: usize = 10_000;
