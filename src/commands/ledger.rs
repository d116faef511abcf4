//! `logmill ledger`: adds up what every agent and sink counted; fails when it does not add up.
//!
//! agent: read = acknowledged + dropped + in flight; sinks: records taken = indexed + duplicate + filtered +
//! dead-lettered (+ expired, which were never taken).

mod metrics;
mod sums;

use std::{process::ExitCode, time::Duration};

use anyhow::bail;
use clap::Args;
use logmill_daemon::exit;
use serde_json::json;

use self::{metrics::Samples, sums::Sums};
use crate::{
    kafka::block_on,
    output::{self, Output},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// An agent's metrics, e.g. http://web-1:9601 (may be repeated)
    #[arg(long, value_name = "URL")]
    agent: Vec<String>,
    /// The sinks' metrics, e.g. http://index-1:9603 (may be repeated)
    #[arg(long, value_name = "URL")]
    sinks: Vec<String>,
    /// A table for people, or JSON for programs
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

/// `logmill up` serves the metrics of all parts on one port.
const UP: &str = "http://127.0.0.1:9600";
const AGENT: &str = "http://127.0.0.1:9601";
const SINKS: &str = "http://127.0.0.1:9603";

#[allow(clippy::print_stderr)]
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let sums = block_on(collect(&options))??;
    print(&sums, options.output)?;
    let faults = sums.faults();
    for fault in &faults {
        eprintln!("does not add up: {fault}");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

/// The counters of a running part are not read in one instant: what does not add up is read again before it is said.
async fn collect(options: &Options) -> anyhow::Result<Sums> {
    let mut sums = collect_once(options).await?;
    for _ in 0..4 {
        if sums.faults().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        sums = collect_once(options).await?;
    }
    Ok(sums)
}

async fn collect_once(options: &Options) -> anyhow::Result<Sums> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build()?;
    let mut samples = Samples::default();
    if options.agent.is_empty() && options.sinks.is_empty() {
        if let Ok(found) = metrics::fetch(&http, UP).await {
            samples.add(found);
        } else {
            let (agent, sinks) = (metrics::fetch(&http, AGENT).await, metrics::fetch(&http, SINKS).await);
            if agent.is_err() && sinks.is_err() {
                bail!(
                    "nothing answers on {UP} (logmill up), {AGENT} (agent) or {SINKS} (sinks), name them with --agent and --sinks"
                );
            }
            for found in [agent, sinks].into_iter().flatten() {
                samples.add(found);
            }
        }
    }
    for url in options.agent.iter().chain(&options.sinks) {
        samples.add(metrics::fetch(&http, url).await?);
    }
    Ok(Sums::of(&samples))
}

fn print(sums: &Sums, output: Output) -> std::io::Result<()> {
    let mut rows = Vec::new();
    let mut row =
        |part: &str, what: &str, count: u64| rows.push(vec![part.to_owned(), what.to_owned(), count.to_string()]);
    if let Some(agent) = &sums.agent {
        row("agent", "read", agent.read);
        row("agent", "acknowledged", agent.acknowledged);
        for (reason, count) in &agent.dropped {
            row("agent", &format!("dropped {reason}"), *count);
        }
        row("agent", "in flight", agent.in_flight());
    }
    for (sink, outcomes) in &sums.sinks {
        for (outcome, count) in outcomes {
            row(&format!("sink {sink}"), outcome, *count);
        }
    }
    let agent = sums.agent.as_ref().map(
        |a| json!({ "read": a.read, "acknowledged": a.acknowledged, "dropped": a.dropped, "in_flight": a.in_flight() }),
    );
    let faults = sums.faults();
    let json = json!({ "agent": agent, "sinks": sums.sinks, "adds_up": faults.is_empty(), "faults": faults });
    output::print(output, &["part", "what", "count"], rows, &json)
}
