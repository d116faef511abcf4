//! What compaction knows of transactions while it walks a log: data of aborted ones go, markers stay as long as any data of theirs.

use crate::aborted_index::{AbortedTransaction, Marker};
use logmill_protocol::records::BatchHeader;
use std::collections::{HashMap, HashSet, VecDeque};

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
    }
}
