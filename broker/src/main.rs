//! `logmill-broker --config FILE`: the broker as a daemon of its own.

use std::process::ExitCode;

use logmill_config::broker::BrokerConfig;
use logmill_daemon::{Daemon, daemon_main};

fn main() -> ExitCode {
    let daemon = Daemon {
        name: "logmill-broker",
        about: "A Kafka-protocol broker whose acks mean on disk",
        settings: |config: &BrokerConfig| (config.metrics, config.shutdown_timeout),
        live: |_| false,
    };
    daemon_main(daemon, logmill_broker::run)
}
