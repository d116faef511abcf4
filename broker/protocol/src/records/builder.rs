//! Making batches: for the coordinator's own records, conversion and tests.

use super::{Attributes, BatchError, BatchHeader, HEADER_BYTES, Header, NO_PRODUCER_ID, NO_SEQUENCE};
use crate::Writer;
use crate::compression::Compression;

/// A record to be put into a batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewRecord<'a> {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [Header<'a>],
}

/// Gathers records and writes them as one batch.
#[derive(Debug)]
pub struct BatchBuilder {
    compression: Compression,
    attributes: i16,
    base_offset: i64,
    leader_epoch: i32,
    producer: (i64, i16, i32),
    base_timestamp: i64,
    max_timestamp: i64,
    next_offset_delta: i32,
    last_offset_delta: i32,
    count: i32,
    records: Writer,
    record: Writer,
}

impl BatchBuilder {
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            attributes: i16::from(compression.id()),
            base_offset: 0,
            leader_epoch: -1,
            producer: (NO_PRODUCER_ID, -1, NO_SEQUENCE),
            base_timestamp: 0,
            max_timestamp: super::NO_TIMESTAMP,
            next_offset_delta: 0,
            last_offset_delta: -1,
            count: 0,
            records: Writer::new(),
            record: Writer::new(),
        }
    }

    #[must_use]
    pub fn base_offset(mut self, base_offset: i64) -> Self {
        self.base_offset = base_offset;
        self
    }

    #[must_use]
    pub fn leader_epoch(mut self, leader_epoch: i32) -> Self {
        self.leader_epoch = leader_epoch;
        self
    }

    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer = (id, epoch, base_sequence);
        self
    }

    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes |= Attributes::TRANSACTIONAL;
        self
    }

    #[must_use]
    pub fn control(mut self) -> Self {
        self.attributes |= Attributes::CONTROL;
        self
    }

    /// Adds a record at the next offset.
    pub fn push(&mut self, record: NewRecord<'_>) -> &mut Self {
        self.push_at(self.next_offset_delta, record)
    }

    /// Adds a record at an offset relative to the base; for compaction, which leaves gaps. Offsets must ascend.
    pub fn push_at(&mut self, offset_delta: i32, record: NewRecord<'_>) -> &mut Self {
        if self.count == 0 {
            self.base_timestamp = record.timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.count = self.count.saturating_add(1);
        self.last_offset_delta = offset_delta;
        self.next_offset_delta = offset_delta.saturating_add(1);

        let mut w = std::mem::take(&mut self.record);
        w.clear();
        w.put_i8(0);
        w.put_varlong(record.timestamp.wrapping_sub(self.base_timestamp));
        w.put_varint(offset_delta);
        put_nullable(&mut w, record.key);
        put_nullable(&mut w, record.value);
        w.put_varint(record.headers.len() as i32);
        for header in record.headers {
            put_nullable(&mut w, Some(header.key));
            put_nullable(&mut w, header.value);
        }
        self.records.put_varint(w.len() as i32);
        self.records.put_slice(w.as_slice());
        self.record = w;
        self
    }

    /// Records added so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Bytes of the batch if it were not compressed.
    pub fn uncompressed_len(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// The batch with its CRC. Fails with `NoRecords` when empty and `TooLarge` beyond 2 GiB.
    pub fn build(self) -> Result<Vec<u8>, BatchError> {
        if self.count == 0 {
            return Err(BatchError::NoRecords(0));
        }
        let uncompressed = self.uncompressed_len();
        if uncompressed > i32::MAX as usize {
            return Err(BatchError::TooLarge { len: uncompressed, max: i32::MAX as usize });
        }
        let compressed;
        let payload = match self.compression {
            Compression::None => self.records.as_slice(),
            compression => {
                compressed = compression.compress(self.records.as_slice())?;
                &compressed
            }
        };
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        let header = BatchHeader {
            base_offset: self.base_offset,
            batch_length: 0,
            partition_leader_epoch: self.leader_epoch,
            crc: 0,
            attributes: Attributes(self.attributes),
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count: self.count,
        };
        header.write(payload)
    }
}

pub(super) fn put_nullable(w: &mut Writer, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            w.put_varint(bytes.len() as i32);
            w.put_slice(bytes);
        }
        None => w.put_varint(-1),
    }
}
