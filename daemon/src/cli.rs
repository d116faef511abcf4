//! The command line every daemon has: `--config FILE`, `--check`, `--version`.

use std::{future::Future, net::SocketAddr, path::Path, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Arg, ArgAction, Command, value_parser};
use logmill_config::Errors;

use crate::{context::Context, exit, run::run_main};

/// A daemon's whole `main`: reads the command line, loads the configuration, runs.
///
/// `settings` picks from the configuration where metrics are served and how long a stop may take.
/// Exit codes: 0, 1 failed, 64 wrong usage, 78 wrong configuration.
pub fn daemon_main<C, F, R, E>(
    name: &'static str,
    about: &'static str,
    load: impl FnOnce(&Path) -> Result<C, Errors>,
    settings: impl FnOnce(&C) -> (SocketAddr, Duration),
    run: F,
) -> ExitCode
where
    F: FnOnce(C, Context) -> R,
    R: Future<Output = Result<(), E>>,
    E: Into<anyhow::Error>,
{
    let (path, check) = match arguments(name, about).try_get_matches() {
        Ok(matches) => {
            let path = matches.get_one::<PathBuf>("config").cloned().unwrap_or_default();
            (path, matches.get_flag("check"))
        }
        Err(e) => {
            // Help and version go to stdout with code 0; a broken pipe there is nobody's concern.
            drop(e.print());
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    match load(&path) {
        Err(errors) => said(&errors.to_string(), exit::CONFIG),
        Ok(_) if check => said(&format!("{}: ok", path.display()), 0),
        Ok(config) => {
            let (metrics, shutdown_timeout) = settings(&config);
            run_main(name, shutdown_timeout, metrics, |context| run(config, context))
        }
    }
}

fn arguments(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .arg(
            Arg::new("config")
                .long("config")
                .short('c')
                .value_name("FILE")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("Configuration file (YAML)"),
        )
        .arg(Arg::new("check").long("check").action(ArgAction::SetTrue).help("Check the configuration and exit"))
}

#[allow(clippy::print_stderr)]
fn said(message: &str, code: u8) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(code)
}
