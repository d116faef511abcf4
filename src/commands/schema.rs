//! `logmill schema KIND`: JSON Schema of a configuration file, for editors.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use logmill_config::{describe, kind};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Whose file
    #[arg(value_enum)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Agent,
    Broker,
    Sinks,
    Index,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let kind = match options.kind {
        Kind::Agent => kind::Kind::Agent,
        Kind::Broker => kind::Kind::Broker,
        Kind::Sinks => kind::Kind::Sinks,
        Kind::Index => kind::Kind::Index,
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string_pretty(&describe::schema(kind))?)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
