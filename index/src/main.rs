//! `logmill-index --config FILE`: the embedded index as a daemon of its own.

use std::process::ExitCode;

/// Writers come and go with their threads: glibc would keep the memory of each in an arena of its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    logmill_daemon::daemon_main(
        "logmill-index",
        "The embedded index: a subset of Elasticsearch's REST API on Tantivy",
        logmill_config::index::load,
        |config| (config.metrics, config.shutdown_timeout),
        logmill_index::run,
    )
}
