//! The commands, one file each.

pub(crate) mod check;
pub(crate) mod configs;
pub(crate) mod consume;
pub(crate) mod dead_letters;
pub(crate) mod generate;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod ledger;
pub(crate) mod log;
pub(crate) mod produce;
pub(crate) mod sample;
pub(crate) mod schema;
pub(crate) mod topics;
pub(crate) mod up;

use std::process::ExitCode;

use crate::{cli::Command, fault};

pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(options) => up::run(options),
        Command::Sample(options) => sample::run(options),
        Command::Topics(options) => topics::run(options),
        Command::Produce(options) => produce::run(options),
        Command::Consume(options) => consume::run(options),
        Command::Groups(options) => groups::run(options),
        Command::Ledger(options) => ledger::run(options),
        Command::DeadLetters(options) => dead_letters::run(options),
        Command::Check(options) => check::run(options),
        Command::Health(options) => health::run(&options),
        Command::Generate(options) => generate::run(&options),
        Command::Configs(options) => configs::run(options),
        Command::Users(_) => not_yet("logmill users"),
        Command::Acls(_) => not_yet("logmill acls"),
        Command::Log(options) => log::run(options),
        Command::Schema(options) => schema::run(&options),
    }
}

/// A command or option that is planned, refused by name.
pub(crate) fn not_yet<T>(what: &str) -> anyhow::Result<T> {
    Err(fault::usage(format!("{what} is not supported yet")))
}
