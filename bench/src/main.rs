//! `logmill-bench`: compiles the daemons, runs workloads on them and writes docs/benchmarks.md.
//!
//! Throughput is measured from outside, CPU and memory from /proc: a figure is what an operator would see.

mod agent;
mod broker;
mod ends;
mod index;
mod null_bulk;
mod pipeline;
mod plot;
mod quiet;
mod report;
mod search_node;
mod sinks;
mod start;
mod up;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;

#[derive(Parser)]
#[command(name = "logmill-bench", version, about = "Measures the pipeline and writes docs/benchmarks.md")]
struct Cli {
    /// `all`, `start`, `pipeline`, `up`, `broker`, `agent`, `sinks`, `elasticsearch` or `index`; the last five beside their peers.
    #[arg(default_value = "all")]
    area: String,
    /// Lines of the file → broker workloads, in thousands.
    #[arg(long, default_value_t = 2000)]
    kilolines: u64,
    /// How often each workload beside a peer is run; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
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

/// The binaries beside this one, of the tree as it stands.
fn build() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--workspace", "--bins"]).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build.status().context("running cargo, which compiles what is measured")?;
    ensure!(status.success(), "what is to be measured does not compile");
    Ok(())
}

async fn run(cli: &Cli) -> Result<()> {
    const AREAS: [&str; 9] = ["all", "start", "pipeline", "up", "broker", "agent", "sinks", "elasticsearch", "index"];
    let wants = |area: &str| cli.area == "all" || cli.area == area;
    ensure!(AREAS.contains(&cli.area.as_str()), "unknown area {}", cli.area);
    build()?;
    let mut report = report::Report::new(cli.output.clone());
    if wants("start") {
        start::run(&mut report).await?;
        report.write()?;
    }
    if wants("pipeline") {
        pipeline::run(&mut report, cli.kilolines * 1000).await?;
        report.write()?;
    }
    if wants("up") {
        up::run(&mut report).await?;
        report.write()?;
    }
    if wants("broker") {
        broker::run(&mut report, cli.rounds).await?;
    }
    if wants("agent") {
        agent::run(&mut report, cli.kilolines * 1000, cli.rounds).await?;
    }
    if wants("sinks") {
        sinks::null_endpoint(&mut report, cli.kilolines * 500, cli.rounds).await?;
    }
    if wants("elasticsearch") {
        sinks::real_node(&mut report, cli.kilolines * 1000, cli.rounds).await?;
    }
    if wants("index") {
        index::run(&mut report, cli.kilolines * 150).await?;
        report.write()?;
    }
    println!("{}", report.text());
    Ok(())
}
