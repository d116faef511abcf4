//! Reads a topic or an index back and checks the set of (file, sequence): nothing missing, nothing twice, in order.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::Headers,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{clock, http};

/// Which line a record is.
#[derive(Deserialize)]
pub struct Generated {
    pub gen_file: usize,
    pub gen_seq: u64,
}

/// What was found, one slot per (file, sequence).
pub struct Found {
    lines_per_file: u64,
    seen: Vec<Vec<u8>>,
    pub records: u64,
    /// Records that repeat a (file, sequence) already seen.
    pub repeats: u64,
    /// Places where the first copies of a file's lines do not follow one another.
    pub disorder: Vec<String>,
}

impl Found {
    pub fn new(files: usize, lines_per_file: u64) -> Self {
        let slots = usize::try_from(lines_per_file).unwrap_or(0);
        Self { lines_per_file, seen: vec![vec![0; slots]; files], records: 0, repeats: 0, disorder: Vec::new() }
    }

    fn add(&mut self, file: usize, seq: u64) -> Result<bool> {
        self.records += 1;
        let slot = self
            .seen
            .get_mut(file)
            .and_then(|s| s.get_mut(usize::try_from(seq).ok()?))
            .with_context(|| format!("(file {file}, sequence {seq}) was never written"))?;
        *slot = slot.saturating_add(1);
        let repeat = *slot > 1;
        self.repeats += u64::from(repeat);
        Ok(repeat)
    }

    /// Fails unless every (file, sequence) was seen.
    pub fn none_missing(&self) -> Result<()> {
        let missing: Vec<(usize, usize)> = self
            .seen
            .iter()
            .enumerate()
            .flat_map(|(f, s)| s.iter().enumerate().filter(|(_, n)| **n == 0).map(move |(q, _)| (f, q)))
            .collect();
        ensure!(
            missing.is_empty(),
            "{} of {} lines are missing, the first (file, sequence): {:?}",
            missing.len(),
            self.seen.len() as u64 * self.lines_per_file,
            &missing[..missing.len().min(12)]
        );
        Ok(())
    }

    pub fn in_order(&self) -> Result<()> {
        ensure!(self.disorder.is_empty(), "{} breaks of order, the first: {}", self.disorder.len(), self.disorder[0]);
        Ok(())
    }

    pub fn none_twice(&self) -> Result<()> {
        let twice = self.seen.iter().flatten().filter(|n| **n > 1).count();
        ensure!(twice == 0, "{twice} lines are there more than once ({} repeats)", self.repeats);
        Ok(())
    }
}

/// Every record of a topic, partition by partition from the beginning to the end as of now.
pub fn records(
    brokers: &str,
    topic: &str,
    mut each: impl FnMut(i32, i64, &[u8], Option<&[u8]>) -> Result<()>,
) -> Result<u64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "readback")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false")
        .set("check.crcs", "true")
        .create()?;
    let timeout = Duration::from_secs(30);
    let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
    let partitions: Vec<i32> = metadata.topics().iter().flat_map(|t| t.partitions()).map(|p| p.id()).collect();
    ensure!(!partitions.is_empty(), "topic {topic} has no partitions");
    let (mut list, mut left) = (TopicPartitionList::new(), 0);
    let mut ends = HashMap::new();
    for p in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, p, timeout)?;
        if high > low {
            list.add_partition_offset(topic, p, Offset::Offset(low))?;
            ends.insert(p, high);
            left += 1;
        }
    }
    consumer.assign(&list)?;
    let mut count = 0;
    let mut next: HashMap<i32, i64> = HashMap::new();
    let mut last = clock::now();
    while left > 0 {
        let polled = consumer.poll(timeout);
        if last.elapsed() > timeout || polled.is_none() {
            bail!("{topic}: nothing more within {timeout:?}, {left} partitions unfinished");
        }
        let message = match polled.transpose() {
            Ok(Some(message)) => message,
            // A node of several is away: librdkafka says so and reads on from the others.
            Ok(None) | Err(KafkaError::MessageConsumption(RDKafkaErrorCode::BrokerTransportFailure)) => continue,
            Err(e) => return Err(e.into()),
        };
        last = clock::now();
        let (p, offset) = (message.partition(), message.offset());
        let end = ends[&p];
        if offset >= end {
            continue;
        }
        if let Some(expected) = next.insert(p, offset + 1) {
            ensure!(offset == expected, "{topic}-{p}: offset {offset} where {expected} was expected");
        }
        let id = message.headers().and_then(|h| h.iter().find(|h| h.key == "logmill-id")?.value);
        each(p, offset, message.payload().unwrap_or_default(), id)?;
        count += 1;
        if offset + 1 == end {
            left -= 1;
        }
    }
    Ok(count)
}

/// Records that the topic holds (log end minus log start over all partitions).
pub fn topic_size(brokers: &str, topic: &str) -> Result<u64> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let timeout = Duration::from_secs(10);
    let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
    let mut size = 0;
    for p in metadata.topics().iter().flat_map(|t| t.partitions()) {
        let (low, high) = consumer.fetch_watermarks(topic, p.id(), timeout)?;
        size += u64::try_from(high - low)?;
    }
    Ok(size)
}

/// Reads the topic into (file, sequence) slots. A repeat must carry the id of its first copy; breaks of the order within
/// a file are noted.
pub fn topic(brokers: &str, topic: &str, files: usize, lines_per_file: u64) -> Result<Found> {
    let mut found = Found::new(files, lines_per_file);
    let mut ids: HashMap<(usize, u64), [u8; 16]> = HashMap::new();
    let mut last = vec![None::<u64>; files];
    records(brokers, topic, |p, offset, value, id| {
        let at = || format!("{topic}-{p} offset {offset}");
        let generated: Generated = serde_json::from_slice(value).with_context(at)?;
        let id: [u8; 16] =
            id.and_then(|i| i.try_into().ok()).with_context(|| format!("{}: no 16-byte logmill-id", at()))?;
        let (file, seq) = (generated.gen_file, generated.gen_seq);
        if found.add(file, seq)? {
            ensure!(
                ids.get(&(file, seq)) == Some(&id),
                "{}: (file {file}, sequence {seq}) again with another id",
                at()
            );
        } else {
            ids.insert((file, seq), id);
            if seq != last[file].map_or(0, |l| l + 1) {
                found.disorder.push(format!("{}: file {file} goes from {:?} to {seq}", at(), last[file]));
            }
            last[file] = Some(seq);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Reads every index matching `pattern` into (file, sequence) slots, by search_after within each file.
pub async fn index(url: &str, pattern: &str, files: usize, lines_per_file: u64) -> Result<Found> {
    let mut found = Found::new(files, lines_per_file);
    for file in 0..files {
        let mut after: Option<Value> = None;
        loop {
            let mut body = json!({
                "size": 10_000, "query": {"term": {"gen_file": file}}, "sort": [{"gen_seq": "asc"}],
                "_source": ["gen_file", "gen_seq"], "track_total_hits": false
            });
            if let Some(after) = &after {
                body["search_after"] = after.clone();
            }
            let answer = http::json("POST", &format!("{url}/{pattern}/_search"), Some(&body)).await?;
            let hits = answer["hits"]["hits"].as_array().context("no hits in the answer")?;
            for hit in hits {
                let source: Generated =
                    serde_json::from_value(hit["_source"].clone()).with_context(|| format!("hit {hit}"))?;
                found.add(source.gen_file, source.gen_seq)?;
            }
            match hits.last() {
                Some(hit) if hits.len() == 10_000 => after = Some(hit["sort"].clone()),
                _ => break,
            }
        }
    }
    Ok(found)
}

/// Documents in the matching indices; 0 when there is none yet.
pub async fn index_count(url: &str, pattern: &str) -> Result<u64> {
    let answer =
        http::json("GET", &format!("{url}/{pattern}/_count?ignore_unavailable=true&allow_no_indices=true"), None)
            .await?;
    answer["count"].as_u64().context("no count in the answer")
}
