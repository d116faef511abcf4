//! The `logmill-sinks` daemon: reads topics and delivers them into Elasticsearch.

use std::process::ExitCode;

use logmill_config::sinks;
use logmill_daemon::{Daemon, daemon_main};

fn main() -> ExitCode {
    let daemon = Daemon {
        name: "logmill-sinks",
        about: "Reads Kafka topics and indexes each record in Elasticsearch, OpenSearch or the embedded index",
        load: sinks::load,
        settings: |config| (config.metrics, config.shutdown_timeout),
        live: |_| false,
    };
    daemon_main(daemon, logmill_sinks::run)
}
