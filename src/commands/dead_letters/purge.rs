//! `logmill dead-letters purge`: deletes letters from the beginning of a topic on.

use anyhow::bail;
use clap::Args;
use rdkafka::{Offset, TopicPartitionList};

use super::read;
use crate::{
    fault,
    kafka::{Connection, block_on},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The dead-letter topic
    topic: String,
    /// Every letter there is now
    #[arg(long, conflicts_with = "before")]
    all: bool,
    /// Those before this offset (with --partition where the topic has several)
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    before: Option<i64>,
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Delete them; without it the command only says what it would do
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    connection: Connection,
}

#[allow(clippy::print_stdout)]
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    if !options.all && options.before.is_none() {
        return Err(fault::usage("expected --all or --before OFFSET"));
    }
    let mut bounds = read::bounds(&options.connection, &options.topic)?;
    if let Some(only) = options.partition {
        bounds.retain(|partition, _| *partition == only);
    }
    if bounds.is_empty() || (options.before.is_some() && bounds.len() > 1) {
        return Err(fault::usage(format!("topic \"{}\": expected --partition, one of those it has", options.topic)));
    }
    for (start, end) in bounds.values_mut() {
        *end = options.before.unwrap_or(*end).clamp(*start, *end);
    }
    let letters: i64 = bounds.values().map(|(start, end)| end - start).sum();
    if letters == 0 {
        println!("nothing to purge in {}", options.topic);
    } else if options.execute {
        let ends =
            bounds.iter().filter(|(_, (start, end))| start < end).map(|(partition, (_, end))| (*partition, *end));
        delete(&options.connection, &options.topic, ends)?;
    } else {
        println!("would purge up to {letters} records of {}; --execute does it", options.topic);
    }
    Ok(())
}

/// Deletes what is before these offsets.
#[allow(clippy::print_stdout)]
pub(super) fn delete(
    connection: &Connection,
    topic: &str,
    ends: impl Iterator<Item = (i32, i64)>,
) -> anyhow::Result<()> {
    let mut list = TopicPartitionList::new();
    for (partition, end) in ends {
        list.add_partition_offset(topic, partition, Offset::Offset(end))?;
    }
    let (admin, options) = connection.admin()?;
    let deleted = block_on(admin.delete_records(&list, &options))?.map_err(|e| connection.words("cannot purge", e))?;
    for element in deleted.elements() {
        if let Err(e) = element.error() {
            bail!("cannot purge {topic} partition {}: {}", element.partition(), connection.words("refused", e));
        }
        if let Offset::Offset(start) = element.offset() {
            println!("purged {topic} partition {}: it begins at offset {start} now", element.partition());
        }
    }
    Ok(())
}
