//! What read_committed consumers may see: the last stable offset, and which transactions in a stretch of the log were aborted.

use super::{Log, State};
use crate::{AbortedTransaction, ReadError, aborted_index, names, segment::Segment};
use std::{io, sync::atomic::Ordering};

impl Log {
    /// The first offset of an open transaction, at most the high watermark.
    pub fn last_stable_offset(&self) -> i64 {
        // In this order: a transaction that began below it is known by then.
        let high_watermark = self.high_watermark();
        let open = self.state.lock().producers.first_open_transaction();
        open.map_or(high_watermark, |first| first.min(high_watermark))
    }

    /// The aborted transactions with records between `from` and the end of its segment, as its `.txnindex` and those of later segments tell. Reads the disk,
    /// unless no segment has such an index.
    pub fn aborted_transactions(&self, from: i64) -> Result<Vec<AbortedTransaction>, ReadError> {
        if !self.has_aborted.load(Ordering::Acquire) {
            return Ok(Vec::new());
        }
        self.aborted_between(from).map_err(|e| self.read_error(from, e))
    }

    /// Lists transactions in the segment that has their markers; `open`: where the oldest that is still open begins. All or nothing; as durable as the
    /// markers, which recovery lists again.
    pub(super) fn list_aborted(
        &self,
        state: &mut State,
        segment: &Segment,
        aborted: &[aborted_index::AbortedTransaction],
        open: Option<i64>,
    ) -> io::Result<()> {
        let stable = |one: &aborted_index::AbortedTransaction| aborted_index::AbortedTransaction {
            last_stable_offset: open.unwrap_or(one.last_stable_offset),
            ..*one
        };
        let entries: Vec<_> = aborted.iter().map(stable).collect();
        let path = names::segment_file(&self.dir, segment.base_offset, names::TXN_INDEX);
        state.new_names |= !self.disk().exists(&path);
        let file = self.disk().open(&path, true)?;
        let end = file.len()?;
        if let Err(error) = file.write_all_at(&aborted_index::encode(&entries), end) {
            state.broken |= file.set_len(end).is_err();
            return Err(error);
        }
        self.has_aborted.store(true, Ordering::Release);
        Ok(())
    }

    fn aborted_between(&self, from: i64) -> io::Result<Vec<AbortedTransaction>> {
        let Some((first, next)) = self.segment_of(from) else { return Ok(Vec::new()) };
        let to = next.unwrap_or(i64::MAX);
        let bases: Vec<i64> = self.segments.read().iter().map(|segment| segment.base_offset).collect();
        let mut found = Vec::new();
        // A transaction is listed where it was aborted, which may be segments later.
        for base in bases.into_iter().filter(|base| *base >= first.base_offset) {
            let entries = aborted_index::read(self.disk(), &self.dir, base)?;
            found.extend(
                entries
                    .iter()
                    .filter(|one| one.last_offset >= from && one.first_offset < to)
                    .map(|one| AbortedTransaction { producer_id: one.producer_id, first_offset: one.first_offset }),
            );
            if entries.last().is_some_and(|last| last.last_stable_offset >= to) {
                break;
            }
        }
        Ok(found)
    }
}
