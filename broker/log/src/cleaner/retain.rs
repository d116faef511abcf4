//! What stays of a batch: the decision, by Kafka's rules, on one batch at a time.

use super::{key_map::KeyMap, transactions::Transactions};
use crate::{aborted_index::Marker, producers::LastBatch};
use logmill_protocol::records::{Batch, BatchError, Record};
use std::collections::HashMap;

/// A batch that decompresses to more than this is not compacted: the log is left as it is and reported.
pub(crate) const LARGEST_DECOMPRESSED: usize = 128 << 20;

/// What one pass goes by.
pub(crate) struct Rules<'a> {
    pub map: &'a KeyMap,
    pub now_ms: i64,
    pub delete_retention_ms: i64,
    pub last_batches: &'a HashMap<i64, LastBatch>,
}

/// What to write instead of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// As it is.
    Whole,
    Changed(Vec<u8>),
    Nothing,
}

/// Of one batch or many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub records: u64,
    pub removed: u64,
    /// Of the removed: records without a key, which a compacted topic cannot hold.
    pub keyless: u64,
    /// Of the removed: tombstones whose time was over.
    pub tombstones: u64,
}

impl Rules<'_> {
    /// `must_stay`: the batch says where its segment ends.
    pub(crate) fn judge(
        &self,
        batch: &Batch<'_>,
        transactions: &mut Transactions,
        must_stay: bool,
        counts: &mut Counts,
    ) -> Result<Kept, BatchError> {
        let header = &batch.header;
        let is_control = header.attributes.is_control();
        let data = batch.decompress(LARGEST_DECOMPRESSED)?;
        let horizon_passed = header.delete_horizon().is_some_and(|horizon| horizon <= self.now_ms);
        let empty_marker = is_control && {
            let marker = match batch.records_in(&data).next() {
                Some(record) => Marker::of(record?.key),
                None => Marker::Gone,
            };
            transactions.is_empty(header, marker)
        };
        let discard = if is_control { empty_marker && horizon_passed } else { transactions.is_aborted(header) };
        let mut keep = Vec::new();
        let mut tombstone_kept = false;
        for record in batch.records_in(&data) {
            let record = record?;
            counts.records += 1;
            let kept = !discard && (is_control || self.stays(batch, &record, horizon_passed, counts));
            tombstone_kept |= kept && !is_control && record.value.is_none();
            keep.push(kept);
        }
        let left = keep.iter().filter(|kept| **kept).count();
        counts.removed += (keep.len() - left) as u64;
        if left == 0 {
            if !must_stay && !self.is_last_of_producer(batch) {
                return Ok(Kept::Nothing);
            }
            return Ok(if keep.is_empty() { Kept::Whole } else { Kept::Changed(header.write_empty()?) });
        }
        // Of a tombstone the pass has to have seen all older records before its time begins to run.
        let settled = tombstone_kept && header.last_offset() <= self.map.latest();
        let begins = (settled || empty_marker) && header.delete_horizon().is_none();
        if left == keep.len() && !begins {
            return Ok(Kept::Whole);
        }
        let horizon = begins.then(|| self.now_ms.saturating_add(self.delete_retention_ms));
        batch.retain(&data, &keep, horizon).map(Kept::Changed)
    }

    fn stays(&self, batch: &Batch<'_>, record: &Record<'_>, horizon_passed: bool, counts: &mut Counts) -> bool {
        let offset = batch.header.offset_of(record);
        if offset > self.map.latest() {
            return true;
        }
        let Some(key) = record.key else {
            counts.keyless += 1;
            return false;
        };
        let newest = self.map.get(key).is_none_or(|newest| offset >= newest);
        let expired = record.value.is_none() && horizon_passed;
        counts.tombstones += u64::from(newest && expired);
        newest && !expired
    }

    /// Its sequence is what the producer's next batch is checked against.
    fn is_last_of_producer(&self, batch: &Batch<'_>) -> bool {
        let header = &batch.header;
        header.has_producer_id()
            && self.last_batches.get(&header.producer_id).is_some_and(|last| match last {
                LastBatch::Data(offset) => header.last_offset() == *offset,
                LastBatch::Marker(epoch) => header.attributes.is_control() && header.producer_epoch == *epoch,
                LastBatch::Unsettled => true,
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use logmill_protocol::{
        compression::Compression,
        records::{BatchBuilder, NewRecord},
    };

    const NOW: i64 = 10_000;

    /// A batch of keys and values at `base`; an empty key is none, an empty value a tombstone.
    fn batch(builder: BatchBuilder, base: i64, records: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = builder.base_offset(base);
        for (key, value) in records {
            let key = (!key.is_empty()).then_some(key.as_bytes());
            let value = (!value.is_empty()).then_some(value.as_bytes());
            builder.push(NewRecord { timestamp: 5, key, value, headers: &[] });
        }
        builder.build().unwrap()
    }

    fn plain() -> BatchBuilder {
        BatchBuilder::new(Compression::None)
    }

    struct Case {
        map: KeyMap,
        last: HashMap<i64, LastBatch>,
        transactions: Transactions,
        counts: Counts,
    }

    impl Case {
        fn new(entries: &[(&str, i64)]) -> Self {
            let mut map = KeyMap::new(10, 0);
            for (key, offset) in entries {
                assert!(map.put(key.as_bytes(), *offset));
                map.set_latest(*offset);
            }
            Self { map, last: HashMap::new(), transactions: Transactions::default(), counts: Counts::default() }
        }

        fn judge(&mut self, bytes: &[u8], now_ms: i64, must_stay: bool) -> Kept {
            let rules = Rules { map: &self.map, now_ms, delete_retention_ms: 100, last_batches: &self.last };
            let (batch, _) = Batch::split(bytes).unwrap();
            rules.judge(&batch, &mut self.transactions, must_stay, &mut self.counts).unwrap()
        }
    }

    fn keys(kept: &Kept) -> Vec<String> {
        let Kept::Changed(bytes) = kept else { panic!("{kept:?}") };
        let (batch, _) = Batch::split(bytes).unwrap();
        let data = batch.decompress(1 << 20).unwrap();
        let key = |record: Record<'_>| String::from_utf8(record.key.unwrap().to_vec()).unwrap();
        batch.records_in(&data).map(|record| key(record.unwrap())).collect()
    }

    #[test]
    fn the_newest_of_each_key_stays_and_what_the_map_does_not_know() {
        let mut case = Case::new(&[("a", 7), ("b", 1), ("c", 9)]);
        let kept = case.judge(&batch(plain(), 0, &[("a", "1"), ("b", "2"), ("d", "3"), ("", "4")]), NOW, false);
        assert_eq!(keys(&kept), ["b", "d"]);
        assert_eq!(case.counts, Counts { records: 4, removed: 2, keyless: 1, tombstones: 0 });
        assert_eq!(case.judge(&batch(plain(), 7, &[("a", "5")]), NOW, false), Kept::Whole);
        assert_eq!(case.judge(&batch(plain(), 10, &[("a", "6"), ("", "7")]), NOW, false), Kept::Whole);
        assert_eq!(case.judge(&batch(plain(), 2, &[("a", "8")]), NOW, false), Kept::Nothing);
        let Kept::Changed(empty) = case.judge(&batch(plain(), 2, &[("a", "8")]), NOW, true) else { panic!() };
        assert_eq!(case.judge(&empty, NOW, true), Kept::Whole);
        assert_eq!(case.judge(&empty, NOW, false), Kept::Nothing);
    }

    #[test]
    fn a_tombstone_stays_for_its_time_after_it_was_first_cleaned() {
        let mut case = Case::new(&[("a", 3), ("b", 4)]);
        let Kept::Changed(first) = case.judge(&batch(plain(), 3, &[("a", ""), ("b", "1")]), NOW, false) else {
            panic!()
        };
        assert_eq!(Batch::split(&first).unwrap().0.header.delete_horizon(), Some(NOW + 100));
        assert_eq!(case.judge(&first, NOW + 99, false), Kept::Whole);
        let second = case.judge(&first, NOW + 100, false);
        assert_eq!(keys(&second), ["b"]);
        assert_eq!(case.counts.tombstones, 1);
        // Past what the pass has seen, its time does not begin.
        assert_eq!(case.judge(&batch(plain(), 5, &[("a", "")]), NOW, false), Kept::Whole);
    }

    #[test]
    fn the_last_batch_of_a_producer_keeps_its_header() {
        let mut case = Case::new(&[("a", 50)]);
        case.last.insert(9, LastBatch::Data(6));
        let old = batch(plain().producer(9, 0, 0), 3, &[("a", "1")]);
        assert_eq!(case.judge(&old, NOW, false), Kept::Nothing);
        let last = batch(plain().producer(9, 0, 1), 5, &[("a", "1"), ("a", "2")]);
        let Kept::Changed(empty) = case.judge(&last, NOW, false) else { panic!() };
        let header = Batch::split(&empty).unwrap().0.header;
        assert_eq!((header.record_count, header.last_sequence(), header.last_offset()), (0, 2, 6));
    }

    #[test]
    fn a_marker_goes_its_time_after_the_last_of_its_transaction() {
        let mut case = Case::new(&[("a", 50)]);
        let mut marker = plain().base_offset(8).producer(9, 0, -1).transactional().control();
        marker.push(NewRecord { key: Some(&[0, 0, 0, 1]), value: Some(&[0; 6]), ..NewRecord::default() });
        let marker = marker.build().unwrap();
        let data = batch(plain().producer(9, 0, 0).transactional(), 60, &[("a", "1")]);
        assert_eq!(case.judge(&data, NOW, false), Kept::Whole);
        assert_eq!(case.judge(&marker, NOW, false), Kept::Whole, "its data are there");
        let Kept::Changed(dated) = case.judge(&marker, NOW, false) else { panic!() };
        assert_eq!(case.judge(&dated, NOW + 99, false), Kept::Whole);
        assert_eq!(case.judge(&dated, NOW + 100, false), Kept::Nothing);
    }
}
