//! The `logmill-agent` daemon.

use std::process::ExitCode;

use logmill_config::agent::AgentConfig;
use logmill_daemon::{Daemon, Extras, daemon_main_with};

fn main() -> ExitCode {
    logmill_allocator::keep(logmill_allocator::Keep::Briefly);
    let daemon = Daemon {
        name: "logmill-agent",
        about: "Tails files into Kafka topics without losing or doubling a line",
        settings: |config: &AgentConfig| (config.metrics, config.shutdown_timeout),
        live: is_live,
    };
    let extras = Extras {
        flags: &[("once", "Read all files to their end, wait until Kafka has acknowledged them, and exit")],
        pages: &["status", "status.json"],
        verify: logmill_agent::mistakes,
    };
    daemon_main_with(daemon, extras, logmill_agent::run)
}

/// The CPU cap, limits, and programs as a whole or in part.
fn is_live(key: &str) -> bool {
    const OF_INPUTS: [&str; 5] =
        [".limits", ".transform", ".transform.program", ".transform.file", ".transform.on_error"];
    key == "limits"
        || key == "max_cpu_percent"
        || key.starts_with("inputs.") && OF_INPUTS.iter().any(|live| key.ends_with(live))
}
