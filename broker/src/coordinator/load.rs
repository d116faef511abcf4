//! Reading the groups back from a partition of `__consumer_offsets`: one pass in the order of the log, the last word wins.

use std::collections::HashMap;

use logmill_protocol::records::{Batch, BatchError, Batches};

use super::{metadata::GroupMetadata, offsets::GroupOffsets, records::Entry};

/// Most bytes a compressed batch may unfold to.
const MAX_UNCOMPRESSED: usize = 128 << 20;

/// What is known of one group.
#[derive(Debug, Default)]
pub(super) struct LoadedGroup {
    stored: Option<Vec<u8>>,
    pub(super) offsets: GroupOffsets,
}

impl LoadedGroup {
    /// The group's metadata; none when only offsets were stored, or when what is stored cannot be read.
    pub(super) fn metadata(&self, group: &str) -> Option<GroupMetadata> {
        match GroupMetadata::decode(self.stored.as_ref()?) {
            Ok(metadata) => Some(metadata),
            Err(error) => {
                tracing::error!(group, %error, "the stored metadata of a group cannot be read: its members have to join anew");
                None
            }
        }
    }
}

/// Takes the batches of one partition from its start.
#[derive(Debug, Default)]
pub(super) struct Loader {
    groups: HashMap<String, LoadedGroup>,
    /// Offsets committed in transactions that have not ended, by producer id.
    pending: HashMap<i64, Vec<(i64, Entry)>>,
    pub(super) records: u64,
    /// Records that could not be read.
    pub(super) unreadable: u64,
}

impl Loader {
    /// Applies whole batches and returns the offset after the last.
    ///
    /// # Errors
    /// The framing is broken, so that nothing after it can be found.
    pub(super) fn apply(&mut self, bytes: &[u8]) -> Result<Option<i64>, BatchError> {
        let mut next = None;
        for batch in Batches::new(bytes) {
            let batch = batch?;
            next = Some(batch.header.next_offset());
            if let Err(error) = self.batch(&batch) {
                let offset = batch.header.base_offset;
                tracing::error!(%error, offset, "a batch of committed offsets cannot be read and is passed over");
                self.unreadable += u64::try_from(batch.header.record_count).unwrap_or(0);
            }
        }
        Ok(next)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<(), BatchError> {
        batch.check_crc()?;
        let header = &batch.header;
        let data = batch.decompress(MAX_UNCOMPRESSED)?;
        for record in batch.records_in(&data) {
            let record = record?;
            let at = header.offset_of(&record);
            let key = record.key.unwrap_or_default();
            self.records += 1;
            if header.attributes.is_control() {
                // Version, then type: 0 abort, 1 commit.
                let ended = self.pending.remove(&header.producer_id).unwrap_or_default();
                if key.get(2..4) == Some(&[0, 1]) {
                    ended.into_iter().for_each(|(_, entry)| self.enter(at, entry));
                }
                continue;
            }
            match Entry::decode(key, record.value) {
                Ok(entry) if header.attributes.is_transactional() => {
                    self.pending.entry(header.producer_id).or_default().push((at, entry));
                }
                Ok(entry) => self.enter(at, entry),
                Err(error) => {
                    tracing::error!(%error, offset = at, "a record of committed offsets cannot be read and is passed over");
                    self.unreadable += 1;
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, at: i64, entry: Entry) {
        match entry {
            Entry::Offset { group, topic, partition, committed: Some(committed) } => {
                self.groups.entry(group).or_default().offsets.commit(&topic, partition, committed, at);
            }
            Entry::Offset { group, topic, partition, committed: None } => {
                if let Some(known) = self.groups.get_mut(&group) {
                    known.offsets.remove(&topic, partition, at);
                }
            }
            Entry::Group { group, value } => self.groups.entry(group).or_default().stored = value,
            Entry::Unknown { version } => {
                tracing::debug!(version, offset = at, "a record of a newer kind is left alone")
            }
        }
    }

    /// The groups there are.
    pub(super) fn finish(self) -> impl Iterator<Item = (String, LoadedGroup)> {
        self.groups.into_iter().filter(|(_, group)| group.stored.is_some() || !group.offsets.is_empty())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_protocol::{
        compression::Compression,
        records::{BatchBuilder, NewRecord},
    };

    use super::*;
    use crate::coordinator::{offsets::CommittedOffset, records::StoredRecord};

    fn at(offset: i64) -> CommittedOffset {
        CommittedOffset { offset, leader_epoch: -1, metadata: "".into(), commit_ms: 1, expires_ms: None }
    }

    fn batch(base: i64, shape: impl FnOnce(BatchBuilder) -> BatchBuilder, records: &[StoredRecord]) -> Vec<u8> {
        let mut batch = shape(BatchBuilder::new(Compression::None).base_offset(base));
        for r in records {
            batch.push(NewRecord { timestamp: 1, key: Some(&r.key), value: r.value.as_deref(), headers: &[] });
        }
        batch.build().unwrap()
    }

    fn commit(group: &str, offset: Option<i64>) -> StoredRecord {
        StoredRecord::offset(group, "t", 0, offset.map(at).as_ref()).unwrap()
    }

    fn marker(commit: u8) -> StoredRecord {
        StoredRecord { key: vec![0, 0, 0, commit], value: Some(vec![0; 6]) }
    }

    #[test]
    fn the_last_word_wins_and_tombstones_delete() {
        let metadata =
            |generation| GroupMetadata { protocol_type: "consumer".into(), generation, ..Default::default() };
        let mut loader = Loader::default();
        let mut log = batch(0, |b| b, &[commit("a", Some(1)), commit("b", Some(2)), commit("a", Some(3))]);
        log.extend(batch(
            3,
            |b| b,
            &[
                StoredRecord::group("a", Some(&metadata(1))).unwrap(),
                StoredRecord::group("a", Some(&metadata(2))).unwrap(),
                StoredRecord::group("c", Some(&metadata(1))).unwrap(),
                StoredRecord::group("c", None).unwrap(),
                commit("b", None),
                StoredRecord { key: vec![0, 3, 1, 1], value: Some(vec![1]) },
                StoredRecord { key: vec![0, 1, 9], value: None },
            ],
        ));
        assert_eq!(loader.apply(&log).unwrap(), Some(10));
        assert_eq!((loader.records, loader.unreadable), (10, 1));
        let groups: Vec<_> = loader.finish().collect();
        assert_eq!(groups.len(), 1);
        let (name, group) = &groups[0];
        assert_eq!((name.as_str(), group.metadata("a").unwrap().generation), ("a", 2));
        assert_eq!(group.offsets.get("t", 0).unwrap().offset, 3);
    }

    #[test]
    fn transactional_commits_count_when_committed_and_not_when_aborted() {
        for (end, expected) in [(1, 7), (0, 1)] {
            let mut loader = Loader::default();
            let mut log = batch(0, |b| b, &[commit("a", Some(1))]);
            log.extend(batch(1, |b| b.producer(9, 0, 0).transactional(), &[commit("a", Some(7))]));
            log.extend(batch(2, |b| b.producer(9, 0, -1).transactional().control(), &[marker(end)]));
            loader.apply(&log).unwrap();
            let (_, group) = loader.finish().next().unwrap();
            assert_eq!(group.offsets.get("t", 0).unwrap().offset, expected);
        }
    }

    #[test]
    fn a_damaged_batch_is_passed_over_and_counted() {
        let mut loader = Loader::default();
        let mut log = batch(0, |b| b, &[commit("a", Some(1))]);
        let last = log.len() - 1;
        log[last] ^= 1;
        log.extend(batch(1, |b| b, &[commit("b", Some(2))]));
        assert_eq!(loader.apply(&log).unwrap(), Some(2));
        assert_eq!((loader.unreadable, loader.finish().count()), (1, 1));
    }
}
