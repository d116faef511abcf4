//! The command line: which commands there are. Each command's own options stand in its file.

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    check, configs, consume, dead_letters, generate, groups, health, ledger, log, produce, sample, schema, topics, up,
};

/// Log pipeline: files → Kafka topics → Elasticsearch, whole or in parts.
#[derive(Debug, Parser)]
#[command(name = "logmill", version = logmill_daemon::VERSION, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole pipeline in this process: tail files, keep them in Kafka topics, index them
    Up(up::Options),
    /// Write sample logs
    Sample(sample::Options),
    /// List, create, describe, alter, delete or check topics
    Topics(topics::Options),
    /// Produce lines from standard input
    Produce(produce::Options),
    /// Print a topic's records
    Consume(consume::Options),
    /// List, describe, move or delete consumer groups
    Groups(groups::Options),
    /// Describe or alter the settings of topics and brokers
    Configs(configs::Options),
    /// Records that sinks could not deliver: list, show, replay or purge them
    DeadLetters(dead_letters::Options),
    /// Add up what was read, acknowledged, dropped and indexed
    Ledger(ledger::Options),
    /// Check configuration files, all mistakes at once
    Check(check::Options),
    /// Ask a daemon on this machine whether it is live or ready
    Health(health::Options),
    /// Write man pages and shell completions
    #[command(hide = true)]
    Generate(generate::Options),
    /// SCRAM users (not supported yet)
    #[command(hide = true)]
    Users(NotYet),
    /// Access control (not supported yet)
    #[command(hide = true)]
    Acls(NotYet),
    /// Look into a broker's files without the broker
    Log(log::Options),
    /// Print the JSON Schema of a configuration file, for editors
    Schema(schema::Options),
}

/// Takes whatever stands behind a command that is not built.
#[derive(Debug, Args)]
pub(crate) struct NotYet {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    #[allow(dead_code, reason = "only parsed, so that the command itself is what is refused")]
    rest: Vec<String>,
}
