//! `logmill topics delete NAME…`

use anyhow::bail;
use clap::Args;
use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::{Connection, block_on, code_words};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[arg(required = true)]
    names: Vec<String>,
    /// A missing topic is fine
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    connection: Connection,
}

#[allow(clippy::print_stdout)]
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let (admin, admin_options) = options.connection.admin()?;
    let names: Vec<&str> = options.names.iter().map(String::as_str).collect();
    let results = block_on(admin.delete_topics(&names, &admin_options))?
        .map_err(|e| options.connection.words("cannot delete", e))?;
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(name) => println!("deleted topic {name}"),
            Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic))
                if options.if_exists => {}
            Err((name, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {
                failures.push(format!("topic \"{name}\" does not exist"));
            }
            Err((name, code)) => failures.push(format!("cannot delete topic \"{name}\": {}", code_words(code))),
        }
    }
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}
