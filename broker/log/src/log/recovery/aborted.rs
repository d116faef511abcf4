//! `.txnindex` on recovery: cut and written anew with the part of the log that is checked. Else a consumer would be told of transactions whose records are gone,
//! and leave out what was written since; or not be told of one whose entry the crash has taken.

use super::Recovery;
use crate::{
    aborted_index::{self, AbortedTransaction, LARGEST_MARKER, Marker},
    batch_scan::Found,
    segment::Segment,
};
use logmill_disk::DiskFile;
use logmill_protocol::records::Batch;
use std::io;

impl Recovery<'_> {
    /// Whether what is before the checked part can be read.
    pub(super) fn aborted_are_whole(&self, segment: &Segment) -> bool {
        !self.with_aborted.contains(&segment.base_offset)
            || aborted_index::read(self.disk, self.dir, segment.base_offset).is_ok()
    }

    /// Notes a batch found in the log; the transaction that it aborts, if it is a marker that does.
    pub(super) fn replay(&mut self, file: &dyn DiskFile, found: &Found) -> io::Result<Option<AbortedTransaction>> {
        let header = &found.header;
        let begun = self.producers.get(header.producer_id).transaction_start;
        self.producers.replay(header);
        let Some(first_offset) = begun.filter(|_| header.attributes.is_control()) else { return Ok(None) };
        let len = header.total_len();
        if len > LARGEST_MARKER {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, found.position)?;
        if Marker::of_batch(&Batch { header: *header, bytes: &bytes }) != Marker::Abort {
            return Ok(None);
        }
        let last_offset = header.last_offset();
        let last_stable_offset = self.producers.first_open_transaction().unwrap_or(header.next_offset());
        Ok(Some(AbortedTransaction { producer_id: header.producer_id, first_offset, last_offset, last_stable_offset }))
    }

    /// Leaves the entries of markers before `from`, where the checked part begins, and adds what was found in it.
    pub(super) fn rewrite_aborted(
        &mut self,
        segment: &Segment,
        from: i64,
        found: &[AbortedTransaction],
    ) -> io::Result<()> {
        let base = segment.base_offset;
        let listed = if self.with_aborted.contains(&base) {
            // What cannot be read is all within the checked part.
            aborted_index::read(self.disk, self.dir, base).ok()
        } else {
            Some(Vec::new())
        };
        let kept = listed.as_ref().map_or(0, |listed| listed.partition_point(|one| one.last_offset < from));
        if listed.is_some_and(|listed| listed.get(kept..) == Some(found)) {
            return Ok(());
        }
        tracing::info!(dir = %self.dir.display(), segment = base, kept, found = found.len(), "the index of aborted transactions was written anew");
        aborted_index::rewrite(self.disk, self.dir, base, kept, found, "recovery aborted transactions")?;
        self.with_aborted.insert(base);
        Ok(())
    }
}
