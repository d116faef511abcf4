//! `logmill-index --config FILE`: the embedded index as a daemon of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    logmill_index::allocator::give_back_soon();
    logmill_daemon::daemon_main(
        "logmill-index",
        "The embedded index: a subset of Elasticsearch's REST API on Tantivy",
        logmill_config::index::load,
        |config| (config.metrics, config.shutdown_timeout),
        logmill_index::run,
    )
}
