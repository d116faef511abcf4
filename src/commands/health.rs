//! `logmill health`: whether `logmill up`, or the daemon that serves its metrics at an address, is live or ready.

use std::{net::SocketAddr, process::ExitCode};

use clap::{Args, ValueEnum};
use logmill_daemon::probe;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where it serves its metrics (IP:PORT)
    #[arg(long, env = "LOGMILL_METRICS", value_name = "ADDR", default_value = "127.0.0.1:9600")]
    metrics: SocketAddr,
    /// live: its loops turn; ready: it serves, and what it needs answers
    #[arg(value_enum, default_value = "ready")]
    question: Question,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Question {
    Live,
    Ready,
}

#[allow(clippy::print_stdout)]
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let question = match options.question {
        Question::Live => "live",
        Question::Ready => "ready",
    };
    println!("{}", probe::health(options.metrics, question).map_err(anyhow::Error::msg)?);
    Ok(ExitCode::SUCCESS)
}
