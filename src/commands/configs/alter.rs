//! `logmill configs alter (--topic NAME | --broker ID) [--set K=V]… [--delete K]… [--append K=V]… [--subtract K=V]… [--dry-run]`

use anyhow::Context as _;
use clap::Args;

use super::Of;
use crate::{
    fault,
    kafka::{
        Connection,
        alter_configs::{Edit, alter_configs},
        key_value,
    },
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    of: Of,
    /// Give a setting a value (may be repeated, as the others)
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Let a setting have its default again
    #[arg(long, value_name = "KEY")]
    delete: Vec<String>,
    /// Add items to a comma-separated value
    #[arg(long, value_name = "KEY=ITEM,…", value_parser = key_value)]
    append: Vec<(String, String)>,
    /// Take items out of a comma-separated value
    #[arg(long, value_name = "KEY=ITEM,…", value_parser = key_value)]
    subtract: Vec<(String, String)>,
    /// Only ask the broker whether it would
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

#[allow(clippy::print_stdout)]
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let pair =
        |make: fn(String, String) -> Edit| move |(name, value): &(String, String)| make(name.clone(), value.clone());
    let mut edits: Vec<Edit> = options.set.iter().map(pair(Edit::Set)).collect();
    edits.extend(options.delete.iter().cloned().map(Edit::Delete));
    edits.extend(options.append.iter().map(pair(Edit::Append)));
    edits.extend(options.subtract.iter().map(pair(Edit::Subtract)));
    if edits.is_empty() {
        return Err(fault::usage("expected at least one of --set, --delete, --append, --subtract"));
    }
    let resource = options.of.resource();
    let what = super::name(&resource);
    let (admin, _) = options.connection.admin()?;
    alter_configs(&admin, &resource, &edits, options.dry_run, options.connection.timeout)
        .with_context(|| format!("cannot alter {what}"))?;
    println!("{} {what}", if options.dry_run { "would alter" } else { "altered" });
    Ok(())
}
