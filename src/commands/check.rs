//! `logmill check FILE…`: validates configuration files, all mistakes at once; and shows what an agent or sinks would do.

mod agent;
mod dry_run;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use logmill_config::{
    ConfigFile as _, Errors, Problem,
    agent::AgentConfig,
    kind::{self, Kind},
    sinks::SinksConfig,
};

use crate::{
    fault::{self, Fault},
    output::Output,
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// agent, broker, sinks or index YAML; which one it is shows from its keys
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show what the agent would read, or what sinks would make of the newest records of their topics, without sending
    /// anything
    #[arg(long)]
    dry_run: bool,
    /// How many records of each sink, or of each of the first files of an agent's input
    #[arg(long, value_name = "N", default_value_t = 10, requires = "dry_run", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    samples: u64,
    /// Only this sink
    #[arg(long, value_name = "NAME", requires = "dry_run")]
    sink: Option<String>,
    /// Show only what this configuration would do otherwise with the same records
    #[arg(long, value_name = "OTHER", requires = "dry_run")]
    diff: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Output::Table, requires = "dry_run")]
    output: Output,
}

/// What the file alone tells, and what only those can tell who run it.
fn checked(path: &Path) -> Result<(Kind, Vec<Problem>), Errors> {
    let (kind, mut warnings) = kind::check(path)?;
    match kind {
        Kind::Agent => {
            let config = AgentConfig::load_verified(path, logmill_agent::mistakes)?;
            warnings.extend(logmill_agent::warnings(&config));
        }
        Kind::Sinks => {
            let config = SinksConfig::load_verified(path, logmill_sinks::mistakes)?;
            warnings.extend(logmill_sinks::warnings(&config));
        }
        Kind::Broker | Kind::Index => {}
    }
    Ok((kind, warnings))
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    if options.dry_run {
        let [file] = options.files.as_slice() else {
            return Err(fault::usage("--dry-run looks at one file, the agent's or the sinks' YAML".to_owned()));
        };
        if matches!(kind::check(file), Ok((Kind::Agent, _))) {
            let events = usize::try_from(options.samples).unwrap_or(usize::MAX);
            agent::run(file, events, options.output)?;
            return Ok(ExitCode::SUCCESS);
        }
        let (samples, sink, diff, output) = (options.samples, options.sink, options.diff, options.output);
        dry_run::run(file, &dry_run::Wanted { samples, sink, diff, output })?;
        return Ok(ExitCode::SUCCESS);
    }
    let (mut wrong, mut mistakes) = (0, 0);
    for path in &options.files {
        let file = path.display().to_string();
        match checked(path) {
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
