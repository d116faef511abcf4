//! The `logmill-agent` daemon.

use std::process::ExitCode;

use logmill_config::agent;
use logmill_daemon::{Daemon, daemon_main};

fn main() -> ExitCode {
    let daemon = Daemon {
        name: "logmill-agent",
        about: "Tails files into Kafka topics without losing or doubling a line",
        load: agent::load,
        settings: |config| (config.metrics, config.shutdown_timeout),
        live: |key| key.starts_with("inputs.") && key.ends_with(".limits"),
    };
    daemon_main(daemon, logmill_agent::run)
}
