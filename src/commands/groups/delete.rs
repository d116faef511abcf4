//! `logmill groups delete GROUP…`

use clap::Args;

use crate::kafka::{Connection, block_on, deletion::told};

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

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let (admin, admin_options) = options.connection.admin()?;
    let groups: Vec<&str> = options.groups.iter().map(String::as_str).collect();
    let results = block_on(admin.delete_groups(&groups, &admin_options))?
        .map_err(|e| options.connection.words("cannot delete", e))?;
    told("group", results, options.if_exists)
}
