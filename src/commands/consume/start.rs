//! Where `consume` starts, and where each partition ended when it did.

use std::collections::BTreeMap;

use anyhow::Context as _;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use super::Options;

/// `--offset`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Beginning,
    End,
    Stored,
    At(i64),
    /// The last so many of each partition.
    Last(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

/// Parses `--offset`.
pub(super) fn parse(text: &str) -> Result<Start, String> {
    let wrong = || format!("\"{text}\" is not beginning, end, stored, N, -N or @TIME");
    match text {
        "beginning" => return Ok(Start::Beginning),
        "end" => return Ok(Start::End),
        "stored" => return Ok(Start::Stored),
        _ => {}
    }
    if let Some(time) = text.strip_prefix('@') {
        return parse_time(time).map(Start::Time);
    }
    if let Some(last) = text.strip_prefix('-') {
        return last.parse().ok().filter(|n| *n >= 0).map(Start::Last).ok_or_else(wrong);
    }
    text.parse().ok().filter(|n| *n >= 0).map(Start::At).ok_or_else(wrong)
}

/// A time on the command line, as milliseconds since 1970.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    let epoch = text.parse::<i64>().ok().filter(|ms| *ms >= 0);
    let rfc3339 = || text.parse::<jiff::Timestamp>().ok().map(|t| t.as_millisecond());
    epoch.or_else(rfc3339).ok_or_else(|| {
        format!("\"{text}\" is not a time, expected RFC 3339 such as 2026-01-31T12:00:00Z or epoch milliseconds")
    })
}

/// What is left until the ends that the partitions had at the start.
#[derive(Debug, Default)]
pub(super) struct Ends(BTreeMap<i32, i64>);

impl Ends {
    pub(super) fn passed(&mut self, partition: i32, next: i64) {
        if self.0.get(&partition).is_some_and(|end| next >= *end) {
            self.0.remove(&partition);
        }
    }

    pub(super) fn ended(&mut self, partition: i32) {
        self.0.remove(&partition);
    }

    pub(super) fn reached(&self) -> bool {
        self.0.is_empty()
    }
}

/// Assigns the partitions without joining a group.
pub(super) fn assign(consumer: &BaseConsumer, options: &Options, start: Start) -> anyhow::Result<Ends> {
    let mut partitions = options.connection.partitions(consumer, &options.topic)?;
    if let Some(only) = options.partition {
        if !partitions.contains(&only) {
            anyhow::bail!("topic \"{}\" has no partition {only}, it has {}", options.topic, partitions.len());
        }
        partitions = vec![only];
    }
    let mut list = TopicPartitionList::new();
    let offset = match start {
        Start::Beginning => Offset::Beginning,
        Start::End => Offset::End,
        Start::Stored => Offset::Stored,
        Start::At(n) | Start::Time(n) => Offset::Offset(n),
        Start::Last(n) => Offset::OffsetTail(n),
    };
    for partition in &partitions {
        list.add_partition_offset(&options.topic, *partition, offset)?;
    }
    let timeout = options.connection.timeout;
    if let Start::Time(_) = start {
        let wanted = list;
        list = consumer
            .offsets_for_times(wanted, timeout)
            .map_err(|e| options.connection.words("cannot look up the time", e))?;
    }
    let mut ends = Ends::default();
    if options.exit_at_end {
        for partition in partitions {
            let (low, high) = consumer
                .fetch_watermarks(&options.topic, partition, timeout)
                .map_err(|e| options.connection.words("cannot read the end of the topic", e))?;
            let from_end = start == Start::End || start == Start::Last(0);
            if high > low && !from_end {
                ends.0.insert(partition, high);
            }
        }
    }
    consumer.assign(&list).context("cannot assign the partitions")?;
    Ok(ends)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn offsets() {
        assert_eq!(parse("beginning"), Ok(Start::Beginning));
        assert_eq!(parse("17"), Ok(Start::At(17)));
        assert_eq!(parse("-5"), Ok(Start::Last(5)));
        assert_eq!(parse("@1700000000000"), Ok(Start::Time(1_700_000_000_000)));
        assert_eq!(parse("@2023-11-14T22:13:20Z"), Ok(Start::Time(1_700_000_000_000)));
        assert!(parse("@yesterday").is_err());
        assert!(parse("--5").is_err());
        assert!(parse("latest").is_err());
    }
}
