//! `logmill-bench`: runs workloads on the release binaries beside this one and writes docs/benchmarks.md.
//!
//! Throughput is measured from outside, CPU and memory from /proc: a figure is what an operator would see.

mod pipeline;
mod report;
mod start;
mod up;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(name = "logmill-bench", version, about = "Measures the pipeline and writes docs/benchmarks.md")]
struct Cli {
    /// `all`, `start`, `pipeline` or `up`.
    #[arg(default_value = "all")]
    area: String,
    /// Lines of the file → broker workloads, in thousands.
    #[arg(long, default_value_t = 2000)]
    kilolines: u64,
    /// Where the report goes.
    #[arg(long, default_value = "docs/benchmarks.md")]
    output: PathBuf,
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
    match run(&cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("logmill-bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<()> {
    let wants = |area: &str| cli.area == "all" || cli.area == area;
    anyhow::ensure!(["all", "start", "pipeline", "up"].contains(&cli.area.as_str()), "unknown area {}", cli.area);
    let mut report = report::Report::new();
    if wants("start") {
        start::run(&mut report).await?;
    }
    if wants("pipeline") {
        pipeline::run(&mut report, cli.kilolines * 1000).await?;
    }
    if wants("up") {
        up::run(&mut report).await?;
    }
    report.write(&cli.output)?;
    println!("{}", report.text());
    Ok(())
}
