//! How far the sink is behind. Where its partitions end is what the last fetch told; while they are paused nothing is fetched, and
//! Kafka is asked instead, beside the polling.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{Offset, consumer::Consumer as _};
use tokio::{
    sync::oneshot::{self, Receiver, error::TryRecvError},
    time::timeout,
};

use super::Reader;
use crate::{clock, native, partitions::Known};

/// How often Kafka is asked.
const ASK: Duration = Duration::from_secs(5);
/// For all answers together.
const PATIENCE: Duration = Duration::from_secs(2);

/// What Kafka was asked about the ends of assignments.
#[derive(Default)]
pub(super) struct Ends {
    asked: Option<Instant>,
    under_way: Option<Receiver<HashMap<u32, i64>>>,
    told: HashMap<u32, i64>,
}

impl Reader {
    /// Looks how far each partition is behind.
    pub(super) fn measure_lag(&mut self, now: Instant) {
        self.hear_ends();
        let places = self.shared.partitions.places();
        let client = self.consumer.client();
        let read = self.consumer.position().unwrap_or_default();
        let mut known = HashMap::with_capacity(places.len());
        for (number, topic, partition) in &places {
            let (low, high) = native::known_watermarks(client, client.native_ptr(), topic, *partition);
            let high = high.max(self.ends.told.get(number).copied());
            let read = match read.find_partition(topic, *partition).map(|element| element.offset()) {
                Some(Offset::Offset(offset)) => Some(offset),
                _ => None,
            };
            known.insert(*number, Known { low, high, read });
        }
        let wall = clock::wall_millis() / 1000;
        let (records, seconds) = self.shared.partitions.look(now, wall, &known);
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let name = [self.sink.name.as_str()];
        self.shared.metrics.lag.with_label_values(&name).set(gauge(records));
        self.shared.metrics.lag_seconds.with_label_values(&name).set(gauge(seconds));
        let due = self.ends.asked.is_none_or(|asked| now.duration_since(asked) >= ASK);
        if self.paused && due && self.ends.under_way.is_none() {
            self.ends.asked = Some(now);
            self.ask_ends(places);
        }
    }

    fn ask_ends(&mut self, places: Vec<(u32, std::sync::Arc<str>, i32)>) {
        let (answer, answered) = oneshot::channel();
        let consumer = self.consumer.clone();
        let deadline = clock::now() + PATIENCE;
        self.runtime.spawn_blocking(move || {
            let mut ends = HashMap::with_capacity(places.len());
            for (number, topic, partition) in places {
                let left = deadline.saturating_duration_since(clock::now());
                if left.is_zero() {
                    break;
                }
                // One that does not answer tells nothing, as none after it.
                let Ok((_, high)) = consumer.fetch_watermarks(&topic, partition, left) else { break };
                ends.insert(number, high);
            }
            // As with a commit: the reader must be the last to hold the consumer.
            drop(consumer);
            let _ = answer.send(ends);
        });
        self.ends.under_way = Some(answered);
    }

    fn hear_ends(&mut self) {
        let Some(answer) = &mut self.ends.under_way else { return };
        match answer.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Closed) => {}
            Ok(told) => self.ends.told = told,
        }
        self.ends.under_way = None;
    }

    /// Waits for what was asked: it holds the consumer.
    pub(super) fn end_asking(&mut self) {
        if let Some(answer) = self.ends.under_way.take() {
            let _ = self.runtime.block_on(async { timeout(PATIENCE * 2, answer).await });
        }
    }
}
