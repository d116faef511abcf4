//! `logmill groups delete GROUP…`

use anyhow::bail;
use clap::Args;
use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::{Connection, block_on, code_words};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[arg(required = true)]
    groups: Vec<String>,
    /// A missing group is fine
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    connection: Connection,
}

#[allow(clippy::print_stdout)]
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let (admin, admin_options) = options.connection.admin()?;
    let groups: Vec<&str> = options.groups.iter().map(String::as_str).collect();
    let results = block_on(admin.delete_groups(&groups, &admin_options))?
        .map_err(|e| options.connection.words("cannot delete", e))?;
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(group) => println!("deleted group {group}"),
            Err((_, RDKafkaErrorCode::GroupIdNotFound)) if options.if_exists => {}
            Err((group, RDKafkaErrorCode::GroupIdNotFound)) => {
                failures.push(format!("group \"{group}\" does not exist"));
            }
            Err((group, RDKafkaErrorCode::NonEmptyGroup)) => {
                failures.push(format!("group \"{group}\" has members, stop them first"));
            }
            Err((group, code)) => failures.push(format!("cannot delete group \"{group}\": {}", code_words(code))),
        }
    }
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}
