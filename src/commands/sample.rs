//! `logmill sample FILE`: writes logs as programs write them, to try the pipeline on.

mod line;
pub(crate) mod writer;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use logmill_daemon::clock;

/// What kind of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// An application's log: JSON objects, plain text between them
    App,
    /// A shop's click stream: JSON events of visitors
    Behavior,
    /// A web server's access log (combined format)
    Nginx,
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[arg(long, value_enum, default_value = "app")]
    kind: Kind,
    /// Lines per second; as fast as possible when not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How many lines; without end when not given but --rate is, else 1000
    #[arg(long)]
    count: Option<u64>,
    /// The same seed gives the same lines (their times begin at --time)
    #[arg(long)]
    seed: Option<u64>,
    /// Time of the first line, RFC 3339; now when not given
    #[arg(long)]
    time: Option<jiff::Timestamp>,
    /// Lines are appended to it; - is standard output
    file: PathBuf,
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let count = match (options.count, options.rate) {
        (Some(count), _) => Some(count),
        (None, Some(_)) => None,
        (None, None) => Some(1000),
    };
    let now_ms = i64::try_from(clock::unix_ms()).unwrap_or(i64::MAX);
    let plan = writer::Plan {
        kind: options.kind,
        seed: options.seed.unwrap_or_else(|| fastrand::u64(..)),
        first_ms: options.time.map_or(now_ms, |t| t.as_millisecond()),
        count,
        rate: options.rate,
        name: options.file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    if options.file.as_os_str() == "-" {
        writer::write(&plan, std::io::stdout().lock(), wait)?;
    } else {
        writer::write(&plan, writer::append_to(&options.file)?, wait)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Paces the lines.
#[allow(clippy::disallowed_methods, reason = "this command does nothing else, and on a thread of its own")]
fn wait(pause: Duration) -> bool {
    std::thread::sleep(pause);
    true
}
