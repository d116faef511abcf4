//! The embedded index: an Elasticsearch REST subset on Tantivy, durable before it answers.
//!
//! [`Index::start`] opens the data directory, replays the write-ahead log and listens; [`run`] does so until the
//! context is stopped.

mod aggs;
mod analysis;
mod clock;
mod date;
mod engine;
mod error;
mod mapping;
mod metrics;
mod query;
mod rest;
mod running;
pub mod scenarios;
mod schema;
mod search;
mod wal;

pub use error::IndexError;
pub use running::{Index, Running, Status};

use logmill_config::index::IndexConfig;
use logmill_daemon::context::Context;

/// Runs the index until `context.stop` is cancelled and everything is flushed.
///
/// # Errors
/// When it cannot start (port in use, directory locked or unreadable) or the disk fails while running.
pub async fn run(config: IndexConfig, context: Context) -> Result<(), IndexError> {
    Index::start(config, context).await?.wait().await
}
