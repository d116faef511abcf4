//! What is left of a batch after some of its records were removed: as Apache Kafka's log cleaner writes it.
//!
//! Base offset, last offset, producer and sequence stay as they were, so that offsets and producer state can be read from headers alone.
//! A batch with a delete horizon (KIP-534) has that time as its base timestamp.

use super::{Attributes, Batch, BatchError, BatchHeader, HEADER_BYTES, LOG_OVERHEAD, MAGIC, TimestampType, crc_of};
use crate::Writer;
use crate::compression::Compression;

impl BatchHeader {
    /// When the tombstones in this batch may go: milliseconds since 1970.
    pub fn delete_horizon(&self) -> Option<i64> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }

    /// The whole batch with this header and these (compressed) records; length and CRC are computed. `TooLarge` beyond 2 GiB.
    pub fn write(&self, payload: &[u8]) -> Result<Vec<u8>, BatchError> {
        let len = HEADER_BYTES + payload.len();
        let Ok(batch_length) = i32::try_from(len - LOG_OVERHEAD) else {
            return Err(BatchError::TooLarge { len, max: i32::MAX as usize });
        };
        let mut w = Writer::with_capacity(len);
        w.put_i64(self.base_offset);
        w.put_i32(batch_length);
        w.put_i32(self.partition_leader_epoch);
        w.put_i8(MAGIC);
        w.put_u32(0);
        w.put_i16(self.attributes.0);
        w.put_i32(self.last_offset_delta);
        w.put_i64(self.base_timestamp);
        w.put_i64(self.max_timestamp);
        w.put_i64(self.producer_id);
        w.put_i16(self.producer_epoch);
        w.put_i32(self.base_sequence);
        w.put_i32(self.record_count);
        w.put_slice(payload);
        let crc = crc_of(w.as_slice());
        w.patch_i32(17, crc as i32);
        Ok(w.into_vec())
    }

    /// A batch without records, which keeps this one's offsets, producer and sequence.
    pub fn write_empty(&self) -> Result<Vec<u8>, BatchError> {
        let kept = Attributes::TIMESTAMP_TYPE | Attributes::TRANSACTIONAL | Attributes::CONTROL;
        let header = Self {
            attributes: Attributes(self.attributes.0 & kept),
            base_timestamp: super::NO_TIMESTAMP,
            record_count: 0,
            ..*self
        };
        header.write(&[])
    }
}

impl Batch<'_> {
    /// This batch with its records (`data` is what [`Batch::decompress`] returned) in another compression.
    pub fn recompress(&self, data: &[u8], compression: Compression, level: Option<i32>) -> Result<Vec<u8>, BatchError> {
        let attributes = (self.header.attributes.0 & !7) | i16::from(compression.id());
        let header = BatchHeader { attributes: Attributes(attributes), ..self.header };
        match compression {
            Compression::None => header.write(data),
            compression => header.write(&compression.compress_with(data, level)?),
        }
    }

    /// This batch with only those records for which `keep` (in their order) says so, of which there must be one; `data` is what
    /// [`Batch::decompress`] returned. `horizon` sets a delete horizon; one that is there already stays.
    pub fn retain(&self, data: &[u8], keep: &[bool], horizon: Option<i64>) -> Result<Vec<u8>, BatchError> {
        let mut header = self.header;
        if let (Some(horizon), None) = (horizon, header.delete_horizon()) {
            header.attributes.0 |= Attributes::DELETE_HORIZON;
            header.base_timestamp = horizon;
        }
        let (mut count, mut newest) = (0, super::NO_TIMESTAMP);
        let (mut records, mut one) = (Writer::new(), Writer::new());
        for (record, keep) in self.records_in(data).zip(keep) {
            let record = record?;
            if !keep {
                continue;
            }
            let timestamp = self.header.base_timestamp.saturating_add(record.timestamp_delta);
            newest = newest.max(timestamp);
            count += 1;
            one.clear();
            one.put_i8(record.attributes);
            one.put_varlong(timestamp.wrapping_sub(header.base_timestamp));
            one.put_varint(record.offset_delta);
            super::builder::put_nullable(&mut one, record.key);
            super::builder::put_nullable(&mut one, record.value);
            record.headers.write(&mut one);
            records.put_varint(one.len() as i32);
            records.put_slice(one.as_slice());
        }
        if count == 0 {
            return Err(BatchError::NoRecords(0));
        }
        header.record_count = count;
        if header.attributes.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = newest;
        }
        match header.attributes.compression()? {
            Compression::None => header.write(records.as_slice()),
            compression => header.write(&compression.compress(records.as_slice())?),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::{BatchBuilder, Header, NewRecord};
    use super::*;

    const TIME: i64 = 1_700_000_000_000;

    fn five(compression: Compression) -> Vec<u8> {
        let mut builder = BatchBuilder::new(compression).base_offset(100).leader_epoch(3).producer(7, 2, 40);
        for n in 0..5i64 {
            let (key, value) = (format!("k{n}"), format!("v{n}"));
            let headers = [Header { key: b"h", value: Some(b"x") }, Header { key: b"", value: None }];
            let value = (n != 3).then_some(value.as_bytes());
            builder.push(NewRecord { timestamp: TIME + n, key: Some(key.as_bytes()), value, headers: &headers });
        }
        builder.build().unwrap()
    }

    #[test]
    fn what_is_kept_keeps_its_place_time_and_producer() {
        for compression in Compression::ALL {
            for horizon in [None, Some(TIME + 500)] {
                let bytes = five(compression);
                let (batch, _) = Batch::split(&bytes).unwrap();
                let data = batch.decompress(1 << 20).unwrap();
                let kept = batch.retain(&data, &[false, true, false, true, false], horizon).unwrap();
                let (kept, _) = Batch::split(&kept).unwrap();
                kept.check_crc().unwrap();
                let header = kept.header;
                assert_eq!((header.base_offset, header.last_offset(), header.record_count), (100, 104, 2));
                assert_eq!((header.producer_id, header.base_sequence, header.last_sequence()), (7, 40, 44));
                assert_eq!((header.partition_leader_epoch, header.max_timestamp), (3, TIME + 3));
                assert_eq!(header.delete_horizon(), horizon);
                let data = kept.decompress(1 << 20).unwrap();
                let found: Vec<_> = kept
                    .records_in(&data)
                    .map(|record| {
                        let record = record.unwrap();
                        assert_eq!(record.headers.len(), 2);
                        (header.offset_of(&record), header.timestamp_of(&record), record.value.map(<[u8]>::to_vec))
                    })
                    .collect();
                assert_eq!(found, [(101, TIME + 1, Some(b"v1".to_vec())), (103, TIME + 3, None)]);
                // A second horizon changes nothing.
                let again = kept.retain(&data, &[false, true], Some(TIME + 900)).unwrap();
                let expected = horizon.unwrap_or(TIME + 900);
                assert_eq!(BatchHeader::parse(&again).unwrap().delete_horizon(), Some(expected));
            }
        }
    }

    #[test]
    fn any_compression_becomes_any_other() {
        for from in Compression::ALL {
            let bytes = five(from);
            let (batch, _) = Batch::split(&bytes).unwrap();
            let data = batch.decompress(1 << 20).unwrap();
            for (to, level) in Compression::ALL.into_iter().flat_map(|to| [(to, None), (to, Some(1))]) {
                let other = batch.recompress(&data, to, level).unwrap();
                let (other, _) = Batch::split(&other).unwrap();
                other.check_crc().unwrap();
                assert_eq!(other.header.attributes.compression(), Ok(to));
                assert_eq!(other.decompress(1 << 20).unwrap(), data);
                assert_eq!((other.header.base_sequence, other.header.record_count), (40, 5));
            }
        }
    }

    #[test]
    fn an_empty_batch_says_where_it_was() {
        let bytes = five(Compression::Lz4);
        let (batch, _) = Batch::split(&bytes).unwrap();
        let data = batch.decompress(1 << 20).unwrap();
        assert_eq!(batch.retain(&data, &[false; 5], None), Err(BatchError::NoRecords(0)));
        let empty = batch.header.write_empty().unwrap();
        let (empty, rest) = Batch::split(&empty).unwrap();
        assert!(rest.is_empty() && empty.check_crc().is_ok());
        assert_eq!(
            (empty.header.last_offset(), empty.header.last_sequence(), empty.bytes.len()),
            (104, 44, HEADER_BYTES)
        );
        let data = empty.decompress(0).unwrap();
        assert_eq!(empty.records_in(&data).count(), 0);
    }
}
