//! `logmill generate DIR`: man pages and shell completions, for packages.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, CommandFactory};

use crate::cli::Cli;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Laid out below it as under /usr/share
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

#[allow(clippy::print_stdout)]
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let written = logmill_daemon::generate::write(Cli::command(), "1", &options.dir);
    println!("{}", written.with_context(|| format!("cannot write below {}", options.dir.display()))?);
    Ok(ExitCode::SUCCESS)
}
