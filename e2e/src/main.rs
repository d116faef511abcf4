//! `logmill-e2e`: whole-pipeline tests and soaks, each a subcommand, against real processes and real peers.
//!
//! `run NAME…` runs suites in their bounded form, `ci` all of them, `soak NAME…` the long form, `list` names them.
//! The binaries under test are the ones beside this one (`cargo build --workspace` makes them).

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use logmill_e2e::{readback, suites};

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
    /// Checks that generated lines are whole in a topic and in indices: each there, none twice in the indices.
    Readback(Readback),
}

#[derive(clap::Args)]
struct Readback {
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    topic: String,
    #[arg(long)]
    index: String,
    #[arg(long)]
    indices: String,
    #[arg(long)]
    files: usize,
    /// Of each file.
    #[arg(long)]
    lines: u64,
}

impl Readback {
    async fn run(&self) -> anyhow::Result<()> {
        readback::topic(&self.brokers, &self.topic, self.files, self.lines)?.none_missing()?;
        let found = readback::index(&self.index, &self.indices, self.files, self.lines).await?;
        found.none_missing()?;
        found.none_twice()
    }
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
            for suite in suites::SOAKS {
                println!("{:<16} {} (a soak only)", suite.name, suite.about);
            }
            return ExitCode::SUCCESS;
        }
        Command::Readback(readback) => {
            let whole = readback.run().await;
            if let Err(e) = &whole {
                eprintln!("{e:#}");
            }
            return if whole.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Command::Ci => (suites::ALL.iter().map(|s| s.name.to_owned()).collect(), suites::Size::Bounded),
        Command::Run { names } => (names, suites::Size::Bounded),
        Command::Soak { names } => (names, suites::Size::Long),
    };
    suites::run(&names, size).await
}
