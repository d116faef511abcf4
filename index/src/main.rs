//! `logmill-index --config FILE`: the embedded index as a daemon of its own.

use std::process::ExitCode;

use logmill_config::index::IndexConfig;
use logmill_daemon::{Daemon, daemon_main};

fn main() -> ExitCode {
    logmill_allocator::keep(logmill_allocator::Keep::Briefly);
    let daemon = Daemon {
        name: "logmill-index",
        about: "The embedded index: a subset of Elasticsearch's REST API on Tantivy",
        settings: |config: &IndexConfig| (config.metrics, config.shutdown_timeout),
        live: |_| false,
    };
    daemon_main(daemon, logmill_index::run)
}
