//! The daemons' own log: to stderr, for people on a terminal, plain or JSON lines elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

/// Sets up tracing once per process; later calls do nothing.
///
/// `LOGMILL_LOG` (else `RUST_LOG`) filters as `info,logmill_broker=debug`; the default is `info`.
/// `LOGMILL_LOG_FORMAT=json` writes one JSON object per line. A wrong filter is reported and the default used.
pub fn init() {
    init_with_default("info");
}

/// As [`init`] with another default filter.
pub fn init_with_default(default: &str) {
    let wanted = ["LOGMILL_LOG", "RUST_LOG"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let (filter, mistake) = match wanted.as_deref().map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(e)) => (EnvFilter::new(default), Some(e.to_string())),
        None => (EnvFilter::new(default), None),
    };
    let json = std::env::var("LOGMILL_LOG_FORMAT").is_ok_and(|format| format == "json");
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE)
        .with_ansi(terminal && !json);
    let set = if json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
    if let (Ok(()), Some(mistake)) = (set, mistake) {
        tracing::warn!("LOGMILL_LOG is not a filter ({mistake}), using \"{default}\"");
    }
}
