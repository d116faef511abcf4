//! `logmill up`: the whole pipeline in one process.

use std::process::ExitCode;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Options {}

pub(crate) fn run(_options: Options) -> anyhow::Result<ExitCode> {
    crate::commands::not_yet("logmill up")
}
