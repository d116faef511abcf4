//! `logmill-e2e`: whole-pipeline tests and soaks, each a subcommand, against real processes and real peers.
//!
//! `run NAME…` runs suites in their bounded form, `ci` all of them, `soak NAME…` the long form, `list` names them.
//! The binaries under test are the ones beside this one (`cargo build --workspace` makes them).

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use logmill_e2e::suites;

#[derive(Parser)]
#[command(name = "logmill-e2e", version, about = "Whole-pipeline tests and soaks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Names and purposes of the suites.
    List,
    /// Every suite in its bounded form.
    Ci,
    /// Named suites in their bounded form.
    Run { names: Vec<String> },
    /// Named suites in their long form.
    Soak { names: Vec<String> },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 64 } else { 0 });
        }
    };
    let (names, size) = match cli.command {
        Command::List => {
            for suite in suites::ALL {
                println!("{:<16} {}", suite.name, suite.about);
            }
            return ExitCode::SUCCESS;
        }
        Command::Ci => (suites::ALL.iter().map(|s| s.name.to_owned()).collect(), suites::Size::Bounded),
        Command::Run { names } => (names, suites::Size::Bounded),
        Command::Soak { names } => (names, suites::Size::Long),
    };
    suites::run(&names, size).await
}
