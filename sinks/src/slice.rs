//! Retained records of a sink's topics, read beside its group: nothing is committed and nobody's partitions move.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use logmill_config::{kafka::KafkaConfig, sinks::Sink};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::BorrowedMessage,
};
use regex::Regex;
use thiserror::Error;

use crate::clock;

/// For an answer of Kafka's.
const PATIENCE: Duration = Duration::from_secs(10);
/// Without a record or an end.
const SILENCE: Duration = Duration::from_secs(30);

/// Which records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// About so many of the newest, over all partitions.
    Newest(u64),
    /// By Kafka's timestamps in ms: from the first to before the last.
    Between(i64, i64),
}

/// Why records cannot be read.
#[derive(Debug, Error)]
pub enum SliceError {
    #[error("{0}")]
    Kafka(#[from] KafkaError),
    #[error("no topic is there of {0}")]
    NoTopic(String),
    #[error("no record and no end of {0} within {SILENCE:?}")]
    Silence(String),
}

/// Records being read, partition by partition up to the ends they had at the beginning.
pub struct Slice {
    consumer: BaseConsumer,
    /// First offset and end of each partition that is not finished.
    left: BTreeMap<(String, i32), (i64, i64)>,
    total: u64,
    heard: Instant,
}

impl Slice {
    /// Blocks until Kafka has told where everything is.
    ///
    /// # Errors
    /// Kafka cannot be reached, or has none of the sink's topics.
    pub fn open(
        kafka: &KafkaConfig,
        sink: &Sink,
        dead_letter_topics: &[String],
        extent: Extent,
    ) -> Result<Self, SliceError> {
        let mut config = ClientConfig::new();
        for (key, value) in &kafka.properties {
            config.set(key, value);
        }
        let consumer: BaseConsumer = config
            .set("bootstrap.servers", kafka.brokers.join(","))
            .set("client.id", format!("logmill-sinks-{}-slice", sink.name))
            // Named because librdkafka wants one; it is never joined.
            .set("group.id", format!("{}-slice", sink.group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            .set("enable.partition.eof", "true")
            .set("queued.max.messages.kbytes", "8192")
            .create()?;
        let metadata = consumer.fetch_metadata(None, PATIENCE)?;
        let mut left = BTreeMap::new();
        let mut known = 0usize;
        for topic in metadata.topics() {
            if !wants(sink, dead_letter_topics, topic.name()) {
                continue;
            }
            for partition in topic.partitions() {
                known += 1;
                let bounds = consumer.fetch_watermarks(topic.name(), partition.id(), PATIENCE)?;
                left.insert((topic.name().to_owned(), partition.id()), bounds);
            }
        }
        if known == 0 {
            return Err(SliceError::NoTopic(sink.topics.join(", ")));
        }
        match extent {
            Extent::Newest(count) => {
                left.retain(|_, (low, high)| low < high);
                let each = count.div_ceil(u64::try_from(left.len().max(1)).unwrap_or(1));
                let each = i64::try_from(each).unwrap_or(i64::MAX);
                for (low, high) in left.values_mut() {
                    *low = (*low).max(high.saturating_sub(each));
                }
            }
            Extent::Between(from, to) => {
                let starts = by_time(&consumer, &left, from)?;
                let ends = by_time(&consumer, &left, to)?;
                for (place, (low, high)) in &mut left {
                    let end = *high;
                    *low = starts.get(place).copied().flatten().unwrap_or(end).max(*low);
                    *high = ends.get(place).copied().flatten().unwrap_or(end).min(end);
                }
            }
        }
        left.retain(|_, (low, high)| low < high);
        let mut list = TopicPartitionList::new();
        for ((topic, partition), (low, _)) in &left {
            list.add_partition_offset(topic, *partition, Offset::Offset(*low))?;
        }
        consumer.assign(&list)?;
        let total = left.values().map(|(low, high)| high.saturating_sub(*low).unsigned_abs()).sum();
        Ok(Self { consumer, left, total, heard: clock::now() })
    }

    /// Offsets from the first to the last, of which not each needs to hold a record.
    pub fn offsets(&self) -> u64 {
        self.total
    }

    /// Each partition with the first offset to be read.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.left.iter().map(|((topic, partition), (low, _))| (topic.as_str(), *partition, *low))
    }

    pub fn is_finished(&self) -> bool {
        self.left.is_empty()
    }

    /// The next record, or `None` where there is none within `wait`.
    ///
    /// # Errors
    /// Kafka says something that no waiting mends, or nothing for half a minute.
    pub fn next(&mut self, wait: Duration) -> Result<Option<BorrowedMessage<'_>>, SliceError> {
        let Self { consumer, left, heard, .. } = self;
        if left.is_empty() {
            return Ok(None);
        }
        match consumer.poll(wait) {
            None => {
                if heard.elapsed() > SILENCE {
                    let partitions: Vec<_> =
                        left.keys().map(|(topic, partition)| format!("{topic}-{partition}")).collect();
                    return Err(SliceError::Silence(partitions.join(", ")));
                }
                Ok(None)
            }
            Some(Ok(message)) => {
                *heard = clock::now();
                let place = (message.topic().to_owned(), message.partition());
                let Some((_, end)) = left.get(&place).copied() else { return Ok(None) };
                if message.offset().saturating_add(1) >= end {
                    left.remove(&place);
                }
                Ok((message.offset() < end).then_some(message))
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                *heard = clock::now();
                // Offsets at the end may hold no record: asked for each, since the error does not name the topic.
                let positions = consumer.position()?;
                left.retain(|(topic, partition), (_, end)| {
                    let position = positions.find_partition(topic, *partition).map(|element| element.offset());
                    !matches!(position, Some(Offset::Offset(offset)) if offset >= *end)
                });
                Ok(None)
            }
            Some(Err(e)) => Err(e.into()),
        }
    }
}

type Places = BTreeMap<(String, i32), Option<i64>>;

/// The first offset of each partition whose timestamp is at least `time`; `None` behind the last.
fn by_time(consumer: &BaseConsumer, of: &BTreeMap<(String, i32), (i64, i64)>, time: i64) -> Result<Places, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in of.keys() {
        list.add_partition_offset(topic, *partition, Offset::Offset(time))?;
    }
    let found = consumer.offsets_for_times(list, PATIENCE)?;
    let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
    Ok(found.elements().iter().map(|e| ((e.topic().to_owned(), e.partition()), offset(e.offset()))).collect())
}

/// As the sink's own subscription.
fn wants(sink: &Sink, dead_letter_topics: &[String], topic: &str) -> bool {
    if sink.topics.iter().any(|named| named == topic) {
        return true;
    }
    let hidden = topic.starts_with("__") || dead_letter_topics.iter().any(|dead| dead == topic);
    let matches = |pattern: &String| pattern.starts_with('^') && Regex::new(pattern).is_ok_and(|r| r.is_match(topic));
    !hidden && sink.topics.iter().any(matches)
}
