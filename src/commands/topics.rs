//! `logmill topics`: list, create, describe, alter, delete, check.

mod alter;
mod create;
mod delete;
mod describe;
mod list;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use logmill_daemon::exit;

use crate::{
    kafka::{Connection, is_unknown_topic},
    output::Output,
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every topic with its partitions
    List(Shown),
    /// Create a topic
    Create(create::Options),
    /// Partitions, leaders, replicas and settings of one topic or of all
    Describe {
        /// The topic; all when none is given
        name: Option<String>,
        #[command(flatten)]
        shown: Shown,
    },
    /// Delete topics and all their records
    Delete(delete::Options),
    /// Exit 0 when the topic exists, 1 when it does not
    Check {
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Add partitions to a topic, change its settings
    Alter(alter::Options),
}

/// Options of commands that print something.
#[derive(Debug, Args)]
pub(crate) struct Shown {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// A table for people, or JSON for programs
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Output,
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.action {
        Action::List(shown) => list::run(&shown)?,
        Action::Create(options) => create::run(&options)?,
        Action::Describe { name, shown } => describe::run(name.as_deref(), &shown)?,
        Action::Delete(options) => delete::run(&options)?,
        Action::Check { name, connection } => return check(&name, &connection),
        Action::Alter(options) => alter::run(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stderr)]
fn check(name: &str, connection: &Connection) -> anyhow::Result<ExitCode> {
    let consumer = connection.consumer(None)?;
    let metadata = connection.metadata(&consumer, Some(name))?;
    let exists = metadata
        .topics()
        .iter()
        .any(|t| t.name() == name && !t.error().is_some_and(is_unknown_topic) && !t.partitions().is_empty());
    if exists {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("topic \"{name}\" does not exist");
    Ok(ExitCode::from(exit::FAILED))
}
