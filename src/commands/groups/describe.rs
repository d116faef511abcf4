//! `logmill groups describe [GROUP…]`: a row per partition with a commit or a member.

use std::collections::BTreeMap;

use anyhow::bail;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    groups::GroupInfo,
};
use serde_json::json;

use super::assignment;
use crate::{
    commands::topics::Shown,
    output::{self, dash},
};

const HEADER: [&str; 9] =
    ["group", "topic", "partition", "current_offset", "log_end_offset", "lag", "consumer_id", "host", "client_id"];

/// One partition of one group.
#[derive(Debug, Default, Clone)]
struct Row {
    current_offset: Option<i64>,
    log_end_offset: Option<i64>,
    /// Consumer id, host, client id.
    member: Option<(String, String, String)>,
}

type Rows = BTreeMap<(String, i32), Row>;

pub(super) fn run(names: &[String], shown: &Shown) -> anyhow::Result<()> {
    let looker = shown.connection.consumer(None)?;
    let words = |what: &str, e| shown.connection.words(what, e);
    let timeout = shown.connection.timeout;
    let everything = looker.fetch_group_list(None, timeout).map_err(|e| words("cannot list the groups", e))?;
    let mut groups: Vec<&GroupInfo> = everything.groups().iter().collect();
    groups.sort_by_key(|g| g.name());
    if !names.is_empty() {
        for name in names {
            if !groups.iter().any(|g| g.name() == name) {
                bail!("group \"{name}\" does not exist");
            }
        }
        groups.retain(|g| names.iter().any(|n| n == g.name()));
    }
    let mut partitions = TopicPartitionList::new();
    for topic in shown.connection.metadata(&looker, None)?.topics() {
        for partition in topic.partitions() {
            partitions.add_partition(topic.name(), partition.id());
        }
    }
    let (mut table, mut list) = (Vec::new(), Vec::new());
    for group in groups {
        let rows = rows(group, &partitions, &looker, shown)?;
        for ((topic, partition), row) in rows {
            let lag = row.current_offset.zip(row.log_end_offset).map(|(at, end)| (end - at).max(0));
            let (consumer, host, client) = row.member.clone().unzip3();
            table.push(vec![
                group.name().to_owned(),
                topic.clone(),
                partition.to_string(),
                dash(row.current_offset),
                dash(row.log_end_offset),
                dash(lag),
                dash(consumer.as_ref()),
                dash(host.as_ref()),
                dash(client.as_ref()),
            ]);
            list.push(json!({
                "group": group.name(), "topic": topic, "partition": partition,
                "current_offset": row.current_offset, "log_end_offset": row.log_end_offset, "lag": lag,
                "consumer_id": consumer, "host": host, "client_id": client, "state": group.state(),
            }));
        }
    }
    output::print(shown.output, &HEADER, table, &list.into())?;
    Ok(())
}

/// Committed partitions and assigned ones, with their ends.
fn rows(
    group: &GroupInfo,
    partitions: &TopicPartitionList,
    looker: &BaseConsumer,
    shown: &Shown,
) -> anyhow::Result<Rows> {
    let mut rows = Rows::new();
    let timeout = shown.connection.timeout;
    let of_group = shown.connection.consumer(Some(group.name()))?;
    let committed = of_group
        .committed_offsets(partitions.clone(), timeout)
        .map_err(|e| shown.connection.words(&format!("cannot read the offsets of group \"{}\"", group.name()), e))?;
    for element in committed.elements() {
        if let Offset::Offset(offset) = element.offset() {
            let key = (element.topic().to_owned(), element.partition());
            rows.entry(key).or_default().current_offset = Some(offset);
        }
    }
    for member in group.members() {
        let who = (member.id().to_owned(), member.client_host().to_owned(), member.client_id().to_owned());
        for key in assignment::parse(member.assignment().unwrap_or_default()) {
            rows.entry(key).or_default().member = Some(who.clone());
        }
    }
    for ((topic, partition), row) in &mut rows {
        // A topic deleted since has no end any more.
        row.log_end_offset = looker.fetch_watermarks(topic, *partition, timeout).ok().map(|(_, high)| high);
    }
    Ok(rows)
}

/// `Option<(A, B, C)>` → three options.
trait Unzip3<A, B, C> {
    fn unzip3(self) -> (Option<A>, Option<B>, Option<C>);
}

impl<A, B, C> Unzip3<A, B, C> for Option<(A, B, C)> {
    fn unzip3(self) -> (Option<A>, Option<B>, Option<C>) {
        match self {
            Some((a, b, c)) => (Some(a), Some(b), Some(c)),
            None => (None, None, None),
        }
    }
}
