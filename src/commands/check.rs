//! `logmill check FILE…`: validates configuration files, all mistakes at once.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use logmill_config::kind;

use crate::fault::Fault;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// agent, broker, sinks or index YAML; which one it is shows from its keys
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let (mut wrong, mut mistakes) = (0, 0);
    for path in &options.files {
        let file = path.display().to_string();
        match kind::check(path) {
            Ok((kind, warnings)) => {
                for warning in warnings {
                    eprintln!("warning: {}", warning.describe(&file));
                }
                println!("{file}: ok ({})", kind.name());
            }
            Err(errors) => {
                wrong += 1;
                mistakes += errors.problems.len();
                eprintln!("{errors}");
            }
        }
    }
    if wrong == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let noun = if mistakes == 1 { "mistake" } else { "mistakes" };
    Err(Fault::Config(format!("{mistakes} {noun} in {wrong} of {} files", options.files.len())).into())
}
