//! What a log knows of its producers: idempotence checks as Kafka makes them, on plain state.
//!
//! For each producer id the last five batches are remembered; a batch whose epoch and sequences equal one of them is a duplicate.
//! A producer id without state may start with any sequence (its records may have been deleted).

use crate::AppendError;
use logmill_protocol::records::BatchHeader;
use std::collections::HashMap;

/// Batches remembered per producer: as many as a client may have in flight.
const REMEMBERED_BATCHES: usize = 5;
const NO_EPOCH: i16 = -1;

/// A remembered batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchRange {
    pub last_sequence: i32,
    pub last_offset: i64,
    pub offset_delta: i32,
    pub timestamp: i64,
}

impl BatchRange {
    fn first_sequence(&self) -> i32 {
        // Sequences wrap from i32::MAX to 0.
        ((i64::from(self.last_sequence) - i64::from(self.offset_delta)) & i64::from(i32::MAX)) as i32
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.last_offset.saturating_sub(i64::from(self.offset_delta))
    }
}

/// One producer's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    pub epoch: i16,
    batches: [Option<BatchRange>; REMEMBERED_BATCHES],
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub transaction_start: Option<i64>,
    /// Of its last batch, ms: for expiry.
    pub last_timestamp: i64,
}

/// What checking a batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    Duplicate(BatchRange),
}

impl Default for Producer {
    fn default() -> Self {
        Self {
            epoch: NO_EPOCH,
            batches: [None; REMEMBERED_BATCHES],
            coordinator_epoch: -1,
            transaction_start: None,
            last_timestamp: -1,
        }
    }
}

impl Producer {
    pub(crate) fn restored(
        epoch: i16,
        last: Option<BatchRange>,
        coordinator_epoch: i32,
        transaction_start: Option<i64>,
    ) -> Self {
        let mut producer = Self { epoch, coordinator_epoch, transaction_start, ..Self::default() };
        if let Some(last) = last {
            producer.last_timestamp = last.timestamp;
            producer.batches[0] = Some(last);
        }
        producer
    }

    pub(crate) fn last(&self) -> Option<BatchRange> {
        self.batches.iter().rev().flatten().next().copied()
    }

    fn last_batch(&self, durable: i64) -> LastBatch {
        let mut remembered = self.batches.iter().rev().flatten().map(|range| range.last_offset).peekable();
        if remembered.peek().is_none() {
            return LastBatch::Marker(self.epoch);
        }
        remembered.find(|offset| *offset < durable).map_or(LastBatch::Unsettled, LastBatch::Data)
    }

    /// Kafka's order of checks: duplicate, epoch, sequence.
    pub(crate) fn check(&self, batch: &BatchHeader) -> Result<Verdict, AppendError> {
        let (producer_id, epoch) = (batch.producer_id, batch.producer_epoch);
        let first = batch.base_sequence;
        if epoch == self.epoch {
            let same =
                |range: &&BatchRange| range.first_sequence() == first && range.last_sequence == batch.last_sequence();
            if let Some(range) = self.batches.iter().flatten().find(same) {
                return Ok(Verdict::Duplicate(*range));
            }
        }
        if epoch < self.epoch {
            return Err(AppendError::InvalidProducerEpoch { producer_id, current: self.epoch, found: epoch });
        }
        let expected = match self.last() {
            _ if self.epoch == NO_EPOCH => return Ok(Verdict::New),
            // A new epoch begins anew.
            _ if epoch != self.epoch => 0,
            Some(last) => ((i64::from(last.last_sequence) + 1) & i64::from(i32::MAX)) as i32,
            None => 0,
        };
        if first == expected {
            Ok(Verdict::New)
        } else {
            Err(AppendError::OutOfOrderSequence { producer_id, epoch, expected, found: first })
        }
    }

    /// Notes an appended batch, which was checked or comes from the log itself.
    pub(crate) fn appended(&mut self, batch: &BatchHeader) {
        if batch.producer_epoch != self.epoch {
            self.epoch = batch.producer_epoch;
            self.batches = [None; REMEMBERED_BATCHES];
        }
        self.last_timestamp = batch.max_timestamp;
        if batch.attributes.is_control() {
            // A marker ends the transaction; it has no sequence.
            self.transaction_start = None;
            return;
        }
        if batch.attributes.is_transactional() {
            self.transaction_start.get_or_insert(batch.base_offset);
        }
        let range = BatchRange {
            last_sequence: batch.last_sequence(),
            last_offset: batch.last_offset(),
            offset_delta: batch.last_offset_delta,
            timestamp: batch.max_timestamp,
        };
        match self.batches.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(range),
            None => {
                self.batches.rotate_left(1);
                self.batches[REMEMBERED_BATCHES - 1] = Some(range);
            }
        }
    }
}

/// Which of a producer's batches compaction keeps, whatever became of their records: what the next one is checked against, even after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastBatch {
    /// The data batch that ends here.
    Data(i64),
    /// Markers of this epoch: no data batch is known.
    Marker(i16),
    /// All of them: those remembered might be lost yet.
    Unsettled,
}

/// All producers of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    by_id: HashMap<i64, Producer>,
    /// Where the oldest open transaction begins.
    first_open: Option<i64>,
}

impl Producers {
    pub(crate) fn get(&self, id: i64) -> Producer {
        self.by_id.get(&id).copied().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, id: i64, producer: Producer) {
        let before = self.by_id.insert(id, producer).and_then(|old| old.transaction_start);
        self.transaction_changed(before, producer.transaction_start);
    }

    fn transaction_changed(&mut self, before: Option<i64>, now: Option<i64>) {
        if before == now {
            return;
        }
        if before.is_some() && before == self.first_open {
            self.first_open = self.by_id.values().filter_map(|producer| producer.transaction_start).min();
        } else if let Some(now) = now {
            self.first_open = Some(self.first_open.map_or(now, |first| first.min(now)));
        }
    }

    /// Notes a batch found in the log.
    pub(crate) fn replay(&mut self, batch: &BatchHeader) {
        if batch.has_producer_id() {
            let producer = self.by_id.entry(batch.producer_id).or_default();
            let before = producer.transaction_start;
            if batch.producer_epoch >= producer.epoch {
                producer.appended(batch);
            }
            let now = producer.transaction_start;
            self.transaction_changed(before, now);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    /// `durable`: what is before it survives a crash.
    pub(crate) fn last_batches(&self, durable: i64) -> HashMap<i64, LastBatch> {
        self.by_id.iter().map(|(id, producer)| (*id, producer.last_batch(durable))).collect()
    }

    /// Where the oldest open transaction begins.
    pub(crate) fn first_open_transaction(&self) -> Option<i64> {
        self.first_open
    }

    /// The same once `changed` is set.
    pub(crate) fn first_open_with(&self, changed: &[(i64, Producer)]) -> Option<i64> {
        let others = self.by_id.iter().filter(|(id, _)| !changed.iter().any(|(other, _)| other == *id));
        let all = others.map(|(_, producer)| producer).chain(changed.iter().map(|(_, producer)| producer));
        all.filter_map(|producer| producer.transaction_start).min()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Forgets producers without open transaction whose last batch is older.
    pub(crate) fn expire(&mut self, older_than_ms: i64) {
        self.by_id.retain(|_, p| p.transaction_start.is_some() || p.last_timestamp >= older_than_ms);
        if self.by_id.is_empty() {
            self.by_id = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests;
