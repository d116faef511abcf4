//! `logmill topics alter NAME [--partitions N] [--config K=V]… [--delete-config K]… [--dry-run]`

use anyhow::{Context as _, bail};
use clap::Args;
use rdkafka::admin::NewPartitions;

use crate::{
    fault,
    kafka::{
        Connection,
        alter_configs::{Edit, Resource, alter_configs},
        block_on, code_words, key_value,
    },
};

#[derive(Debug, Args)]
pub(super) struct Options {
    name: String,
    /// As many partitions from now on: more than there are. Keys may fall into other partitions than before
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    partitions: Option<i32>,
    /// A topic setting by Kafka's own name, e.g. retention.ms=60000 (may be repeated)
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    config: Vec<(String, String)>,
    /// A setting that gets its default again (may be repeated)
    #[arg(long, value_name = "KEY")]
    delete_config: Vec<String>,
    /// Only ask the broker whether it would
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

#[allow(clippy::print_stdout)]
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let (name, connection) = (options.name.as_str(), &options.connection);
    let mut edits: Vec<Edit> = options.config.iter().cloned().map(|(key, value)| Edit::Set(key, value)).collect();
    edits.extend(options.delete_config.iter().cloned().map(Edit::Delete));
    if edits.is_empty() && options.partitions.is_none() {
        return Err(fault::usage("expected at least one of --partitions, --config, --delete-config"));
    }
    let has = connection.partitions(&connection.consumer(None)?, name)?.len();
    let wanted = options.partitions.and_then(|wanted| usize::try_from(wanted).ok());
    if let Some(wanted) = wanted.filter(|wanted| *wanted <= has) {
        bail!("topic \"{name}\" has {has} partition(s), {wanted} would not be an increase");
    }
    let (admin, admin_options) = connection.admin()?;
    if !edits.is_empty() {
        alter_configs(&admin, &Resource::Topic(name.to_owned()), &edits, options.dry_run, connection.timeout)
            .with_context(|| format!("cannot alter topic \"{name}\""))?;
    }
    if let Some(wanted) = wanted {
        let admin_options = admin_options.validate_only(options.dry_run);
        let results = block_on(admin.create_partitions([&NewPartitions::new(name, wanted)], &admin_options))?
            .map_err(|e| connection.words(&format!("cannot add partitions to topic \"{name}\""), e))?;
        for result in results {
            result.map_err(|(_, code)| {
                anyhow::anyhow!("cannot add partitions to topic \"{name}\": {}", code_words(code))
            })?;
        }
    }
    println!("{} topic {name}", if options.dry_run { "would alter" } else { "altered" });
    Ok(())
}
