//! The `logmill-agent` daemon.

use std::process::ExitCode;

use logmill_config::agent;

fn main() -> ExitCode {
    logmill_daemon::daemon_main(
        "logmill-agent",
        "Tails files into Kafka topics without losing or doubling a line",
        agent::load,
        |config| (config.metrics, config.shutdown_timeout),
        logmill_agent::run,
    )
}
