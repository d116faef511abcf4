//! Indexes on recovery: cut to what the log holds, and of the segment before the recovery point completed.

use super::Recovery;
use crate::{
    batch_scan::{BatchReader, Found, only_zeros, walk_headers},
    segment::Segment,
    sparse_index::OffsetEntry,
};
use std::{io, ops::ControlFlow};

impl Recovery<'_> {
    /// Of the segment before the recovery point's. It may have been the active one when that was written: since then its indexes may have lost what
    /// was cut, or sealed, and got back what had been cut off them.
    pub(super) fn check_indexes(&mut self, segment: &Segment, end_offset: i64) -> io::Result<()> {
        let (disk, dir, base) = (self.disk, self.dir, segment.base_offset);
        let size = segment.size(disk, dir)?;
        self.cut_indexes(segment, size, false, end_offset)?;
        let last = segment.with_indexes(disk, dir, |indexes| Ok(indexes.offsets.last()))?;
        let mut behind = self.batches_from(segment, last.map_or(0, |entry| u64::from(entry.position)), size);
        if behind.is_err() {
            // The entry is wrong: all of them anew.
            self.cut_indexes(segment, 0, true, end_offset)?;
            behind = self.batches_from(segment, 0, size);
        }
        let behind = behind?;
        segment.with_indexes(disk, dir, |indexes| {
            behind.iter().for_each(|found| indexes.add(base, found, self.config.index_interval_bytes));
            indexes.add_time(base);
            Ok(())
        })?;
        segment.seal(disk, dir)
    }

    /// Of a segment sealed after the recovery point was taken, a power cut may have brought back the zeros that were prepared behind its end.
    pub(super) fn cut_zeros(&self, segment: &Segment) -> io::Result<()> {
        let (disk, dir, base) = (self.disk, self.dir, segment.base_offset);
        let (size, file) = (segment.size(disk, dir)?, segment.file(disk, dir)?);
        let mut end = size;
        // From the last entry that leads to a batch.
        while end > 0 {
            let before = |entry: &OffsetEntry| u64::from(entry.position) < end;
            let entry =
                segment.with_indexes(disk, dir, |indexes| indexes.offsets.find_last(disk, dir, base, before))?;
            end = entry.map_or(0, |entry| u64::from(entry.position));
            let mut reader = BatchReader::new(&*file, end, size);
            if let Some(first) = reader.next_valid()? {
                end = first.end();
                while let Some(found) = reader.next_valid()? {
                    end = found.end();
                }
                break;
            }
        }
        if end < size && only_zeros(&*file, end, size)? {
            file.set_len(end)?;
            segment.set_size(end);
        }
        Ok(())
    }

    fn batches_from(&self, segment: &Segment, position: u64, end: u64) -> io::Result<Vec<Found>> {
        let mut batches = Vec::new();
        walk_headers(&*segment.file(self.disk, self.dir)?, position, end, |found| {
            batches.push(found);
            ControlFlow::<()>::Continue(())
        })?;
        Ok(batches)
    }

    /// Takes away the index entries of what is past `from` and `offset`, where the checked part ends. `log_follows`: what is past it is read next,
    /// and brings its own.
    pub(super) fn cut_indexes(&self, segment: &Segment, from: u64, log_follows: bool, offset: i64) -> io::Result<()> {
        let (disk, dir, base) = (self.disk, self.dir, segment.base_offset);
        let relative = u32::try_from(offset.saturating_sub(base)).unwrap_or(0);
        segment.with_indexes(disk, dir, |indexes| {
            let stale = !indexes.offsets.is_whole()
                || !indexes.times.is_whole()
                || indexes.offsets.last().is_some_and(|last| u64::from(last.position) >= from)
                || indexes.times.last().is_some_and(|last| last.relative >= relative);
            if from > 0 && !stale && !log_follows {
                return Ok(());
            }
            indexes.offsets.truncate(disk, dir, base, |entry| from > 0 && u64::from(entry.position) < from)?;
            indexes.times.truncate(disk, dir, base, |entry| from > 0 && entry.relative < relative)?;
            indexes.max_timestamp = indexes.times.last().map(|last| (last.timestamp, base + i64::from(last.relative)));
            Ok(())
        })
    }
}
