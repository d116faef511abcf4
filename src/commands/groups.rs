//! `logmill groups`: list, describe, reset-offsets, delete.

mod assignment;
mod delete;
mod describe;
mod reset;
mod target;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use rdkafka::consumer::Consumer;
use serde_json::json;

use crate::{commands::topics::Shown, output};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every group with its state
    List(Shown),
    /// Committed offsets, ends, lag and members
    Describe {
        /// The groups; all when none is given
        groups: Vec<String>,
        /// Every group
        #[arg(long, conflicts_with = "groups")]
        all: bool,
        #[command(flatten)]
        shown: Shown,
    },
    /// Show, or with --execute change, where a group without members goes on reading
    ResetOffsets(reset::Options),
    /// Delete groups without members and what they have committed
    Delete(delete::Options),
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.action {
        Action::List(shown) => list(&shown)?,
        Action::Describe { groups, all: _, shown } => describe::run(&groups, &shown)?,
        Action::ResetOffsets(options) => reset::run(&options)?,
        Action::Delete(options) => delete::run(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(shown: &Shown) -> anyhow::Result<()> {
    let consumer = shown.connection.consumer(None)?;
    let found = consumer
        .fetch_group_list(None, shown.connection.timeout)
        .map_err(|e| shown.connection.words("cannot list the groups", e))?;
    let mut groups: Vec<_> = found.groups().iter().collect();
    groups.sort_by_key(|g| g.name());
    let (mut rows, mut list) = (Vec::new(), Vec::new());
    for group in groups {
        let (members, protocol) = (group.members().len(), group.protocol_type());
        rows.push(vec![group.name().into(), group.state().into(), protocol.into(), members.to_string()]);
        list.push(json!({
            "group": group.name(), "state": group.state(), "protocol_type": protocol, "members": members,
        }));
    }
    output::print(shown.output, &["group", "state", "protocol_type", "members"], rows, &list.into())?;
    Ok(())
}
