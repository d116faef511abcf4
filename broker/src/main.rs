//! `logmill-broker --config FILE`: the broker as a daemon of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    logmill_daemon::daemon_main(
        "logmill-broker",
        "A Kafka-protocol broker whose acks mean on disk",
        logmill_config::broker::load,
        |config| (config.metrics, config.shutdown_timeout),
        logmill_broker::run,
    )
}
