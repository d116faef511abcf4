//! `logmill configs`: the settings of a topic or of a broker, described and altered.

mod alter;
mod describe;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::kafka::alter_configs::Resource;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Settings with their values and where these come from
    Describe(describe::Options),
    /// Change settings, all of those named or none
    Alter(alter::Options),
}

/// What the settings belong to.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// Settings of this topic
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Settings of the broker with this id
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i32).range(0..))]
    broker: Option<i32>,
}

impl Of {
    fn resource(&self) -> Resource {
        match (&self.topic, self.broker) {
            (Some(name), _) => Resource::Topic(name.clone()),
            (None, id) => Resource::Broker(id.unwrap_or_default()),
        }
    }
}

/// `topic "a"` or `broker 1`, for messages.
pub(crate) fn name(resource: &Resource) -> String {
    match resource {
        Resource::Topic(name) => format!("topic \"{name}\""),
        Resource::Broker(id) => format!("broker {id}"),
    }
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.action {
        Action::Describe(options) => describe::run(&options)?,
        Action::Alter(options) => alter::run(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}
