//! The `logmill` command: `up` runs the whole pipeline in one process, the others look into Kafka and its groups.
//!
//! Exit codes: 0 fine, 1 failed, 64 wrong usage, 78 wrong configuration.

mod cli;
mod commands;
mod fault;
mod kafka;
mod output;

use std::process::ExitCode;

use clap::Parser;
use logmill_daemon::exit;

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    logmill_allocator::keep(logmill_allocator::Keep::Briefly);
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version go to stdout with code 0; a broken pipe there is nobody's concern.
            drop(e.print());
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    match commands::run(cli.command) {
        Ok(code) => code,
        Err(e) => {
            let code = fault::exit_code(&e);
            // Whoever reads our output has enough (`logmill consume … | head`).
            if code == 0 {
                return ExitCode::SUCCESS;
            }
            eprintln!("error: {e:#}");
            ExitCode::from(code)
        }
    }
}
