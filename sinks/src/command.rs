//! `logmill-sinks reprocess`: the command line, the progress bar, the sum at the end.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use logmill_config::{ConfigFile, sinks::SinksConfig};
use logmill_daemon::{Context, exit, logs};
use logmill_sinks::reprocess::{self, Job, ReprocessError, Standing};

/// Runs retained records through the present configuration of one sink once more
///
/// Nothing is committed and no partition moves: the daemon may go on meanwhile. What is in the index already is counted
/// as a duplicate (op: create) or written again (op: index).
#[derive(Debug, Parser)]
#[command(name = "logmill-sinks reprocess", version = logmill_daemon::VERSION)]
struct Options {
    /// Configuration file (YAML)
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// The sink; may be left out where there is one
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// From this time on, by Kafka's timestamps: RFC 3339 or epoch milliseconds
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: i64,
    /// Up to this time [default: what is there now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<i64>,
    /// Into this index instead; %Y.%m.%d and {field} as in the configuration
    #[arg(long, value_name = "INDEX")]
    into: Option<String>,
}

fn time(text: &str) -> Result<i64, String> {
    let epoch = text.parse::<i64>().ok().filter(|millis| *millis >= 0);
    let rfc3339 = || text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond());
    epoch.or_else(rfc3339).ok_or_else(|| {
        format!("\"{text}\" is not a time, expected RFC 3339 such as 2026-01-31T12:00:00Z or epoch milliseconds")
    })
}

#[allow(clippy::print_stderr)]
pub(super) fn main() -> ExitCode {
    let arguments = std::env::args_os().enumerate().filter(|(at, _)| *at != 1).map(|(_, argument)| argument);
    let options = match Options::try_parse_from(arguments) {
        Ok(options) => options,
        Err(e) => {
            drop(e.print());
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    logs::init_with_default("warn");
    let config = match SinksConfig::load_verified(&options.config, logmill_sinks::mistakes) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(exit::CONFIG);
        }
    };
    let sink = match (&options.sink, config.sinks.as_slice()) {
        (Some(name), _) => name.clone(),
        (None, [only]) => only.name.clone(),
        (None, all) => {
            let names: Vec<_> = all.iter().map(|sink| sink.name.as_str()).collect();
            eprintln!("error: --sink is missing, expected one of: {}", names.join(", "));
            return ExitCode::from(exit::USAGE);
        }
    };
    let (from, to) = (options.from, options.to.unwrap_or(i64::MAX));
    if from >= to {
        eprintln!("error: --from is not before --to");
        return ExitCode::from(exit::USAGE);
    }
    let job = Job { sink, from, to, into: options.into };
    match run(&config, &job) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e:#}");
            let usage = matches!(
                e.downcast_ref::<ReprocessError>(),
                Some(ReprocessError::NoSink { .. } | ReprocessError::NoIndex(_) | ReprocessError::Index { .. })
            );
            ExitCode::from(if usage { exit::USAGE } else { exit::FAILED })
        }
    }
}

#[allow(clippy::print_stdout)]
fn run(config: &SinksConfig, job: &Job) -> anyhow::Result<ExitCode> {
    let runtime = logmill_daemon::runtime()?;
    let context = Context::new();
    let bar = ProgressBar::new(0);
    let style = "{bar:30} {pos} of {len} offsets, {per_sec}, {eta} left {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let ended = runtime.block_on(async {
        let stop = context.stop.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.cancel();
            }
        });
        let show = |standing: &Standing| {
            bar.set_length(standing.offsets);
            bar.set_position(standing.finished.min(standing.offsets));
            bar.set_message(standing.waits.clone().unwrap_or_default());
        };
        reprocess::run(config, job, &context, show).await
    });
    bar.finish_and_clear();
    runtime.shutdown_timeout(Duration::from_secs(1));
    let standing = ended?;
    let outcomes: Vec<_> = standing.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    let outcomes = if outcomes.is_empty() { "nothing".to_owned() } else { outcomes.join(" + ") };
    println!("{} records read = {outcomes}", standing.read);
    let sum: u64 = standing.outcomes.iter().map(|(_, count)| count).sum();
    if sum == standing.read {
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} records have no end: this is a mistake of logmill", standing.read.abs_diff(sum));
    Ok(ExitCode::from(exit::FAILED))
}
