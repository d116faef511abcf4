//! `logmill log`: looks into a broker's files without the broker.

mod dump;

use std::process::ExitCode;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print and verify segments, indexes, producer snapshots and checkpoints
    Dump(dump::Options),
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.action {
        Action::Dump(options) => dump::run(&options),
    }
}
