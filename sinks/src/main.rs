//! The `logmill-sinks` daemon: reads topics and delivers them. Called as `logmill-sinks reprocess` it does that once more for
//! records that are retained, beside the daemon.

mod command;

use std::process::ExitCode;

use logmill_config::sinks::SinksConfig;
use logmill_daemon::{Daemon, Extras, daemon_main_with};

fn main() -> ExitCode {
    logmill_allocator::keep(logmill_allocator::Keep::Longer);
    if std::env::args_os().nth(1).is_some_and(|first| first == "reprocess") {
        return command::main();
    }
    let daemon = Daemon {
        name: "logmill-sinks",
        about: "Reads Kafka topics and delivers each record to Elasticsearch, OpenSearch, the embedded index, a webhook or a file; \
                `logmill-sinks reprocess --help` tells how to do so once more",
        settings: |config: &SinksConfig| (config.metrics, config.shutdown_timeout),
        live: is_live,
    };
    let extras = Extras { pages: &["status", "status.json"], verify: logmill_sinks::mistakes, ..Extras::default() };
    daemon_main_with(daemon, extras, logmill_sinks::run)
}

/// What is changed within a sink restarts it; one more starts, one less stops.
fn is_live(key: &str) -> bool {
    key.starts_with("sinks.")
}
