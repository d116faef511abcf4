//! What compaction knows of transactions while it walks a log: data of aborted ones go, markers stay as long as any data of theirs.
//!
//! Aborted transactions are listed in `.txnindex`, an entry of 34 bytes each: version 0 (i16), producer id (i64), first offset (i64), last offset (i64),
//! last stable offset (i64).

use logmill_protocol::records::BatchHeader;
use std::collections::{HashMap, HashSet, VecDeque};

const ENTRY: usize = 34;

/// An entry of a `.txnindex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
    pub last_offset: i64,
    pub last_stable_offset: i64,
}

impl AbortedTransaction {
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        to.extend(0i16.to_be_bytes());
        for value in [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset] {
            to.extend(value.to_be_bytes());
        }
    }
}

/// The entries of a file; an entry of another version or a cut one is an error.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<AbortedTransaction>, String> {
    let whole = bytes.chunks_exact(ENTRY);
    if !whole.remainder().is_empty() {
        return Err(format!("{} bytes are not a multiple of {ENTRY}", bytes.len()));
    }
    let long = |entry: &[u8], at: usize| {
        entry.get(at..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |bytes| i64::from_be_bytes(*bytes))
    };
    whole
        .map(|entry| match entry {
            [0, 0, ..] => Ok(AbortedTransaction {
                producer_id: long(entry, 2),
                first_offset: long(entry, 10),
                last_offset: long(entry, 18),
                last_stable_offset: long(entry, 26),
            }),
            _ => Err("expected version 0 of an aborted transaction".to_owned()),
        })
        .collect()
}

/// The type of an end-of-transaction marker, from its record's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Abort,
    Commit,
    /// Another kind of control record: to be kept.
    Other,
    /// The marker itself has been removed before: only the header is left.
    Gone,
}

impl Marker {
    /// Of the key of a control batch's only record.
    pub(crate) fn of(key: Option<&[u8]>) -> Self {
        match key.and_then(|key| key.get(2..4)) {
            Some([0, 0]) => Self::Abort,
            Some([0, 1]) => Self::Commit,
            _ => Self::Other,
        }
    }
}

/// Fed with every batch in the order of the log.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// By first offset, not yet reached.
    coming: VecDeque<AbortedTransaction>,
    /// Aborted ones whose data we are among, by producer; whether any of it was seen.
    aborted: HashMap<i64, (AbortedTransaction, bool)>,
    committed: HashSet<i64>,
    /// Aborted ones with data left, for the new `.txnindex`.
    kept: Vec<AbortedTransaction>,
}

impl Transactions {
    pub(crate) fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|one| one.first_offset);
        Self { coming: aborted.into(), ..Self::default() }
    }

    /// Whether the records of this data batch belong to an aborted transaction.
    pub(crate) fn is_aborted(&mut self, batch: &BatchHeader) -> bool {
        self.reach(batch.last_offset());
        if !batch.attributes.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&batch.producer_id) {
            Some((_, seen)) => {
                *seen = true;
                true
            }
            None => {
                self.committed.insert(batch.producer_id);
                false
            }
        }
    }

    /// Whether nothing is left of the transaction that this marker ends.
    pub(crate) fn is_empty(&mut self, batch: &BatchHeader, marker: Marker) -> bool {
        self.reach(batch.last_offset());
        match marker {
            Marker::Abort => match self.aborted.remove(&batch.producer_id) {
                Some((one, true)) => {
                    self.kept.push(one);
                    false
                }
                _ => true,
            },
            Marker::Commit => !self.committed.remove(&batch.producer_id),
            Marker::Other => false,
            Marker::Gone => true,
        }
    }

    /// The entries for the `.txnindex` of what was walked since the last call.
    pub(crate) fn take_kept(&mut self) -> Vec<AbortedTransaction> {
        std::mem::take(&mut self.kept)
    }

    fn reach(&mut self, offset: i64) {
        while let Some(one) = self.coming.pop_front_if(|one| one.first_offset <= offset) {
            self.aborted.insert(one.producer_id, (one, false));
        }
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

    fn header(producer: i64, offset: i64) -> BatchHeader {
        let mut builder =
            BatchBuilder::new(Compression::None).base_offset(offset).producer(producer, 0, 0).transactional();
        builder.push(NewRecord::default());
        BatchHeader::parse(&builder.build().unwrap()).unwrap()
    }

    fn aborted(producer_id: i64, first_offset: i64, last_offset: i64) -> AbortedTransaction {
        AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset: last_offset }
    }

    #[test]
    fn entries_go_both_ways() {
        let all = [aborted(7, 1, 5), aborted(8, 2, 9)];
        let mut bytes = Vec::new();
        all.iter().for_each(|one| one.encode(&mut bytes));
        assert_eq!(bytes.len(), 2 * ENTRY);
        assert_eq!(decode(&bytes).unwrap(), all);
        assert!(decode(&bytes[1..]).is_err());
        bytes[1] = 1;
        assert!(decode(&bytes).unwrap_err().contains("version 0"));
    }

    #[test]
    fn markers_stay_as_long_as_data_of_theirs() {
        let mut transactions = Transactions::new(vec![aborted(2, 10, 12), aborted(1, 0, 3)]);
        assert!(transactions.is_aborted(&header(1, 0)));
        assert!(!transactions.is_aborted(&header(5, 1)));
        assert!(!transactions.is_empty(&header(1, 3), Marker::Abort), "its data were there");
        assert!(!transactions.is_empty(&header(5, 4), Marker::Commit));
        assert!(transactions.is_empty(&header(5, 5), Marker::Commit), "nothing of a second one");
        assert!(!transactions.is_aborted(&header(1, 6)), "the next one of the same producer");
        assert!(!transactions.is_aborted(&header(2, 9)));
        assert!(transactions.is_empty(&header(2, 12), Marker::Abort), "all of its data are gone");
        assert_eq!(transactions.take_kept(), [aborted(1, 0, 3)]);
        assert!(transactions.is_empty(&header(2, 13), Marker::Gone));
        assert!(!transactions.is_empty(&header(2, 14), Marker::Other));
        assert_eq!(Marker::of(Some(&[0, 0, 0, 1])), Marker::Commit);
        assert_eq!(Marker::of(Some(&[0])), Marker::Other);
    }
}
