//! `logmill groups reset-offsets GROUP (--topic NAME[:P,…]… | --all-topics) --to-…`: shows, and with `--execute` commits, where a group
//! without members goes on reading.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use clap::Args;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};
use serde_json::json;

use super::target::{Target, TargetOptions, clamped};
use crate::{
    commands::topics::Shown,
    kafka::Connection,
    output::{self, dash},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    group: String,
    /// A topic, or some of its partitions: NAME:0,2 (may be repeated)
    #[arg(long, value_name = "NAME[:P,…]", value_parser = topic, required_unless_present = "all_topics")]
    topic: Vec<(String, Vec<i32>)>,
    /// Every partition the group has committed
    #[arg(long, conflicts_with = "topic")]
    all_topics: bool,
    #[command(flatten)]
    target: TargetOptions,
    /// Only show what would be done (the default)
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
    /// Commit the new offsets
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    shown: Shown,
}

/// `NAME` or `NAME:0,2`
fn topic(text: &str) -> Result<(String, Vec<i32>), String> {
    let Some((name, partitions)) = text.split_once(':') else { return Ok((text.to_owned(), Vec::new())) };
    let wrong = || format!("\"{text}\" is not NAME or NAME:PARTITION,PARTITION…");
    let partition = |p: &str| p.parse::<i32>().ok().filter(|p| *p >= 0).ok_or_else(wrong);
    Ok((name.to_owned(), partitions.split(',').map(partition).collect::<Result<_, _>>()?))
}

/// One partition: where the group stands and where it will.
struct Row {
    topic: String,
    partition: i32,
    current: Option<i64>,
    new: i64,
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let (group, connection) = (options.group.as_str(), &options.shown.connection);
    check_without_members(group, options.all_topics, connection)?;
    let consumer = connection.consumer(Some(group))?;
    let committed = committed(&consumer, options)?;
    let mut rows = Vec::new();
    let target = options.target.target()?;
    let by_time = match target {
        Target::Time(ms) => offsets_at(&consumer, committed.keys(), ms, connection)?,
        _ => BTreeMap::new(),
    };
    for ((topic, partition), current) in &committed {
        let (low, high) = consumer
            .fetch_watermarks(topic, *partition, connection.timeout)
            .map_err(|e| connection.words(&format!("cannot read the ends of {topic}-{partition}"), e))?;
        let at_time = by_time.get(&(topic.clone(), *partition)).copied().flatten();
        if let Some(wanted) = target.offset(*current, low, high, at_time) {
            let new = clamped(wanted, low, high);
            rows.push(Row { topic: topic.clone(), partition: *partition, current: *current, new });
        }
    }
    if options.execute {
        commit(&consumer, &rows, connection)?;
    }
    print(options, &rows)
}

/// Members would go on from where they are, and commit that.
fn check_without_members(group: &str, must_exist: bool, connection: &Connection) -> anyhow::Result<()> {
    let looker = connection.consumer(None)?;
    let all =
        looker.fetch_group_list(None, connection.timeout).map_err(|e| connection.words("cannot list the groups", e))?;
    match all.groups().iter().find(|found| found.name() == group) {
        None if must_exist => bail!("group \"{group}\" does not exist"),
        Some(found) if !matches!(found.state(), "Empty" | "Dead") => {
            bail!("group \"{group}\" is in use ({}), stop its members first", found.state())
        }
        _ => Ok(()),
    }
}

/// The partitions asked for with what the group has committed of them.
fn committed(consumer: &BaseConsumer, options: &Options) -> anyhow::Result<BTreeMap<(String, i32), Option<i64>>> {
    let connection = &options.shown.connection;
    let mut wanted = TopicPartitionList::new();
    if options.all_topics {
        for topic in connection.metadata(consumer, None)?.topics() {
            for partition in topic.partitions() {
                wanted.add_partition(topic.name(), partition.id());
            }
        }
    }
    for (name, only) in &options.topic {
        let there = connection.partitions(consumer, name)?;
        if let Some(missing) = only.iter().find(|p| !there.contains(p)) {
            bail!("topic \"{name}\" has no partition {missing}, it has {}", there.len());
        }
        for partition in there.iter().filter(|p| only.is_empty() || only.contains(p)) {
            wanted.add_partition(name, *partition);
        }
    }
    let found = consumer
        .committed_offsets(wanted, connection.timeout)
        .map_err(|e| connection.words(&format!("cannot read the offsets of group \"{}\"", options.group), e))?;
    let mut all = BTreeMap::new();
    for element in found.elements() {
        let offset = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ if options.all_topics => continue,
            _ => None,
        };
        all.insert((element.topic().to_owned(), element.partition()), offset);
    }
    Ok(all)
}

/// The first offsets at or after a time; none where nothing is as young.
fn offsets_at<'a>(
    consumer: &BaseConsumer,
    partitions: impl Iterator<Item = &'a (String, i32)>,
    ms: i64,
    connection: &Connection,
) -> anyhow::Result<BTreeMap<(String, i32), Option<i64>>> {
    let mut times = TopicPartitionList::new();
    for (topic, partition) in partitions {
        times.add_partition_offset(topic, *partition, Offset::Offset(ms))?;
    }
    let found = consumer
        .offsets_for_times(times, connection.timeout)
        .map_err(|e| connection.words("cannot look up offsets by time", e))?;
    let offset = |offset: Offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
    Ok(found.elements().iter().map(|e| ((e.topic().to_owned(), e.partition()), offset(e.offset()))).collect())
}

/// Commits, and reads back whether it is so: of several partitions, librdkafka may tell only that some were committed.
fn commit(consumer: &BaseConsumer, rows: &[Row], connection: &Connection) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let (mut list, mut asked) = (TopicPartitionList::new(), TopicPartitionList::new());
    for row in rows {
        list.add_partition_offset(&row.topic, row.partition, Offset::Offset(row.new))?;
        asked.add_partition(&row.topic, row.partition);
    }
    consumer.commit(&list, CommitMode::Sync).map_err(|e| connection.words("cannot commit the new offsets", e))?;
    let found = consumer
        .committed_offsets(asked, connection.timeout)
        .map_err(|e| connection.words("cannot read the new offsets back", e))?;
    for row in rows {
        let now = found.find_partition(&row.topic, row.partition).map(|found| found.offset());
        if now != Some(Offset::Offset(row.new)) {
            let (topic, partition, new) = (&row.topic, row.partition, row.new);
            bail!("the offset {new} of {topic}-{partition} was not committed; other partitions may have been");
        }
    }
    Ok(())
}

#[allow(clippy::print_stderr)]
fn print(options: &Options, rows: &[Row]) -> anyhow::Result<()> {
    let header = ["group", "topic", "partition", "current_offset", "new_offset"];
    let group = &options.group;
    let cells = |row: &Row| {
        vec![group.clone(), row.topic.clone(), row.partition.to_string(), dash(row.current), row.new.to_string()]
    };
    let list: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "group": group, "topic": row.topic, "partition": row.partition,
                "current_offset": row.current, "new_offset": row.new, "committed": options.execute,
            })
        })
        .collect();
    output::print(options.shown.output, &header, rows.iter().map(cells).collect(), &list.into())
        .context("cannot print")?;
    if !options.execute {
        eprintln!("nothing is changed; --execute commits these offsets");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn topics_with_and_without_partitions() {
        assert_eq!(topic("a.b"), Ok(("a.b".to_owned(), vec![])));
        assert_eq!(topic("a:0,12"), Ok(("a".to_owned(), vec![0, 12])));
        for wrong in ["a:", "a:x", "a:-1", "a:1,"] {
            assert!(topic(wrong).is_err(), "{wrong}");
        }
    }
}
