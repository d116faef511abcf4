//! Follows a topic while it is written: which lines are there, in which order, under which ids. The broker may be away
//! at times.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};

use crate::{background::Background, clock, readback::Generated};

/// Faults that are kept.
const MOST: usize = 20;

pub(super) struct Arrivals {
    seen: Arc<Mutex<Seen>>,
    _follower: Background,
}

#[derive(Default)]
struct Seen {
    files: Vec<OfFile>,
    records: u64,
    faults: Vec<String>,
}

#[derive(Default)]
struct OfFile {
    ordered: bool,
    ids: HashMap<u64, [u8; 16]>,
    /// All lines before it are there.
    whole_to: u64,
    /// The latest line that was there for the first time.
    last: Option<u64>,
}

impl Arrivals {
    /// Lines of files that are numbered from 0; each tells whether their order counts.
    pub(super) fn follow(brokers: &str, topic: &str, files: &[bool]) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "arrivals")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("reconnect.backoff.max.ms", "500")
            .create()?;
        let files = files.iter().map(|ordered| OfFile { ordered: *ordered, ..OfFile::default() });
        let seen = Seen { files: files.collect(), ..Seen::default() };
        let seen = Arc::new(Mutex::new(seen));
        let (into, topic) = (Arc::clone(&seen), topic.to_owned());
        let follower = Background::start(move |stop| {
            let list = partitions(&consumer, &topic, stop);
            if let Err(error) = consumer.assign(&list) {
                locked(&into).fault(format!("cannot follow {topic}: {error}"));
                return Ok(());
            }
            while !stop.load(Ordering::SeqCst) {
                // Errors are those of a broker that is away.
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                    let id = message.headers().and_then(|h| h.iter().find(|h| h.key == "logmill-id")?.value);
                    let place = format!("{topic}-{} offset {}", message.partition(), message.offset());
                    locked(&into).add(&place, message.payload().unwrap_or_default(), id);
                }
            }
            Ok(())
        });
        Ok(Self { seen, _follower: follower })
    }

    /// The number of lines of a file up to the first that is missing.
    pub(super) fn whole_to(&self, file: usize) -> u64 {
        locked(&self.seen).files.get(file).map_or(0, |f| f.whole_to)
    }

    /// The latest line of a file that came for the first time.
    pub(super) fn last(&self, file: usize) -> Option<u64> {
        locked(&self.seen).files.get(file).and_then(|f| f.last)
    }

    pub(super) fn missing(&self, file: usize, lines: Range<u64>) -> Vec<u64> {
        let seen = locked(&self.seen);
        let Some(of) = seen.files.get(file) else { return lines.collect() };
        (lines.start.max(of.whole_to)..lines.end).filter(|seq| !of.ids.contains_key(seq)).collect()
    }

    pub(super) fn records(&self) -> u64 {
        locked(&self.seen).records
    }

    /// Fails if a line came under two ids, out of order, or was never written.
    pub(super) fn sound(&self) -> Result<()> {
        let seen = locked(&self.seen);
        ensure!(seen.faults.is_empty(), "{} faults or more: {}", seen.faults.len(), seen.faults.join("; "));
        Ok(())
    }
}

impl Seen {
    fn add(&mut self, place: &str, value: &[u8], id: Option<&[u8]>) {
        self.records += 1;
        let Ok(Generated { gen_file, gen_seq }) = serde_json::from_slice(value) else {
            return self.fault(format!("{place}: no line that was written: {}", String::from_utf8_lossy(value)));
        };
        let Some(id) = id.and_then(|id| <[u8; 16]>::try_from(id).ok()) else {
            return self.fault(format!("{place}: no logmill-id of 16 bytes"));
        };
        let Some(file) = self.files.get_mut(gen_file) else {
            return self.fault(format!("{place}: file {gen_file} was never written"));
        };
        match file.ids.insert(gen_seq, id) {
            Some(known) if known != id => {
                self.fault(format!("{place}: line {gen_seq} of file {gen_file} again under another id"));
            }
            Some(_) => {}
            None => {
                while file.ids.contains_key(&file.whole_to) {
                    file.whole_to += 1;
                }
                let last = file.last.replace(gen_seq);
                if file.ordered && last.is_some_and(|last| last > gen_seq) {
                    self.fault(format!("{place}: line {gen_seq} of file {gen_file} after line {last:?}"));
                }
            }
        }
    }

    fn fault(&mut self, words: String) {
        if self.faults.len() < MOST {
            self.faults.push(words);
        }
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All partitions from their beginnings, as soon as there are some.
fn partitions(consumer: &BaseConsumer, topic: &str, stop: &AtomicBool) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    while list.count() == 0 && !stop.load(Ordering::SeqCst) {
        if let Ok(metadata) = consumer.fetch_metadata(Some(topic), Duration::from_secs(5)) {
            for partition in metadata.topics().iter().flat_map(|t| t.partitions()) {
                // Only an offset that is none would be refused.
                let _ = list.add_partition_offset(topic, partition.id(), Offset::Beginning);
            }
        }
        if list.count() == 0 {
            clock::pause(Duration::from_millis(50));
        }
    }
    list
}
