//! The `logmill-sinks` daemon: reads topics and delivers them into Elasticsearch.

use std::process::ExitCode;

use logmill_config::sinks;

fn main() -> ExitCode {
    logmill_daemon::daemon_main(
        "logmill-sinks",
        "Reads Kafka topics and indexes each record in Elasticsearch, OpenSearch or the embedded index",
        sinks::load,
        |config| (config.metrics, config.shutdown_timeout),
        logmill_sinks::run,
    )
}
