//! `logmill dead-letters`: what sinks could not deliver, grouped by error; sent again to the sink that refused it, or deleted.

mod letter;
mod list;
mod purge;
mod read;
mod replay;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::letter::Letter;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// How many letters there are, by sink, class and error
    List(list::Options),
    /// Letters in full
    Show(show::Options),
    /// Send letters back to their topics, for the sink that refused them
    Replay(replay::Options),
    /// Delete letters from the beginning of a dead-letter topic
    Purge(purge::Options),
}

/// Which letters: all of these must hold.
#[derive(Debug, Clone, Args)]
struct Select {
    /// Refused by this sink
    #[arg(long)]
    sink: Option<String>,
    /// Of this class: decode, transform, id, index_name, template, document, too_large
    #[arg(long)]
    class: Option<String>,
    /// Of this error, as `list` names it
    #[arg(long, value_name = "ERROR")]
    error: Option<String>,
    /// In this partition of the dead-letter topic
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// From this offset of the dead-letter topic on
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    from: Option<i64>,
    /// Up to this offset of the dead-letter topic, which is the last
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to: Option<i64>,
}

impl Select {
    fn wants(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.sink, &letter.sink) && is(&self.class, &letter.class) && is(&self.error, &letter.error_id())
    }

    /// Whether nothing narrows it down.
    fn is_all(&self) -> bool {
        let Self { sink, class, error, partition, from, to } = self;
        sink.is_none() && class.is_none() && error.is_none() && partition.is_none() && from.is_none() && to.is_none()
    }
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.action {
        Action::List(options) => list::run(&options)?,
        Action::Show(options) => show::run(&options)?,
        Action::Replay(options) => replay::run(&options)?,
        Action::Purge(options) => purge::run(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}
