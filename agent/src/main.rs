//! The `logmill-agent` daemon.

use std::process::ExitCode;

use logmill_config::agent::AgentConfig;
use logmill_daemon::{Daemon, Extras, daemon_main_with};

fn main() -> ExitCode {
    logmill_allocator::give_back_soon();
    let daemon = Daemon {
        name: "logmill-agent",
        about: "Tails files into Kafka topics without losing or doubling a line",
        settings: |config: &AgentConfig| (config.metrics, config.shutdown_timeout),
        live: |key| key == "limits" || key.starts_with("inputs.") && key.ends_with(".limits"),
    };
    let extras = Extras {
        flags: &[("once", "Read all files to their end, wait until Kafka has acknowledged them, and exit")],
        pages: &["status", "status.json"],
        ..Extras::default()
    };
    daemon_main_with(daemon, extras, logmill_agent::run)
}
