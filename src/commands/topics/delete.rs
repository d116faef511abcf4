//! `logmill topics delete NAME…`

use clap::Args;

use crate::kafka::{Connection, block_on, deletion::told};

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

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let (admin, admin_options) = options.connection.admin()?;
    let names: Vec<&str> = options.names.iter().map(String::as_str).collect();
    let results = block_on(admin.delete_topics(&names, &admin_options))?
        .map_err(|e| options.connection.words("cannot delete", e))?;
    told("topic", results, options.if_exists)
}
