//! Reading dead-letter topics from their beginning to the end they have now.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use anyhow::{Context as _, bail};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

use super::{Letter, Select};
use crate::kafka::Connection;

/// What a dead-letter topic is called unless the sink says otherwise.
const USUAL: &str = ".dead";

/// The topics that were named, or those with the usual name.
pub(super) fn topics(connection: &Connection, named: &[String]) -> anyhow::Result<Vec<String>> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let consumer = connection.consumer(None)?;
    let metadata = connection.metadata(&consumer, None)?;
    let mut found: Vec<_> =
        metadata.topics().iter().map(|t| t.name()).filter(|name| name.ends_with(USUAL)).map(str::to_owned).collect();
    if found.is_empty() {
        bail!("no topic's name ends with \"{USUAL}\", name the dead-letter topic");
    }
    found.sort();
    Ok(found)
}

/// Beginning and end of each partition.
pub(super) fn bounds(connection: &Connection, topic: &str) -> anyhow::Result<BTreeMap<i32, (i64, i64)>> {
    let consumer = connection.consumer(None)?;
    let mut bounds = BTreeMap::new();
    for partition in connection.partitions(&consumer, topic)? {
        let found = consumer
            .fetch_watermarks(topic, partition, connection.timeout)
            .map_err(|e| connection.words("cannot read the ends of the topic", e))?;
        bounds.insert(partition, found);
    }
    Ok(bounds)
}

/// Calls `each` with every letter of `topic` that is wanted, partition by partition in order. Gives how many records were
/// no letters.
pub(super) fn letters(
    connection: &Connection,
    topic: &str,
    select: &Select,
    mut each: impl FnMut(Letter) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<u64> {
    let mut left = bounds(connection, topic)?;
    if let Some(only) = select.partition {
        if !left.contains_key(&only) {
            bail!("topic \"{topic}\" has no partition {only}, it has {}", left.len());
        }
        left.retain(|partition, _| *partition == only);
    }
    for (from, end) in left.values_mut() {
        *from = (*from).max(select.from.unwrap_or(0));
        *end = (*end).min(select.to.map_or(i64::MAX, |to| to.saturating_add(1)));
    }
    left.retain(|_, (from, end)| from < end);
    let mut list = TopicPartitionList::new();
    for (partition, (from, _)) in &left {
        list.add_partition_offset(topic, *partition, Offset::Offset(*from))?;
    }
    let consumer: BaseConsumer = connection
        .config()?
        .set("group.id", "logmill-dead-letters")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("queued.max.messages.kbytes", "32768")
        .create()
        .context("cannot set up a Kafka consumer")?;
    consumer.assign(&list).context("cannot assign the partitions")?;
    let mut others = 0;
    let mut silent = Duration::ZERO;
    const WAIT: Duration = Duration::from_millis(100);
    while !left.is_empty() {
        match consumer.poll(WAIT) {
            None => {
                silent += WAIT;
                if silent > connection.timeout.max(Duration::from_secs(1)) {
                    bail!("topic \"{topic}\" cannot be read to its end: no answer within {:?}", connection.timeout);
                }
            }
            Some(Ok(message)) => {
                silent = Duration::ZERO;
                let (partition, offset) = (message.partition(), message.offset());
                let Some((_, end)) = left.get(&partition).copied() else { continue };
                if offset < end {
                    match Letter::read(&message) {
                        Some(letter) if select.wants(&letter) => {
                            if each(letter)?.is_break() {
                                return Ok(others);
                            }
                        }
                        Some(_) => {}
                        None => others += 1,
                    }
                }
                if offset + 1 >= end {
                    left.remove(&partition);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                left.remove(&partition);
            }
            Some(Err(e)) => return Err(connection.words("cannot read", e)),
        }
    }
    Ok(others)
}
