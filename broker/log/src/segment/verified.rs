//! What of a segment is known to be as it was written. What this process appended or recovery checked is; what was there before it started is read once, with
//! its CRCs, before it is served for the first time: a consumer may not look at them, and nothing but the order of batches tells a wrong offset.

use super::Segment;
use crate::batch_scan::{BatchReader, Found, damaged, walk_headers};
use logmill_disk::{Disk, DiskFile};
use std::{io, ops::ControlFlow, path::Path, sync::atomic::Ordering};

/// Stretches remembered of one segment; readers at random places make more, which are then checked again.
const REMEMBERED: usize = 64;

/// Verified stretches before [`Segment::trust_from`]'s position, ascending and apart.
#[derive(Default)]
pub(super) struct Stretches(Vec<(u64, u64)>);

impl Stretches {
    fn add(&mut self, mut from: u64, mut to: u64) {
        self.0.retain(|(start, end)| {
            let apart = *end < from || to < *start;
            if !apart {
                (from, to) = (from.min(*start), to.max(*end));
            }
            apart
        });
        self.0.push((from, to));
        if self.0.len() > REMEMBERED {
            self.0.remove(0);
        }
        self.0.sort_unstable();
    }

    /// Up to where everything from `position` on is verified.
    fn end_of(&self, position: u64) -> u64 {
        let around = self.0.iter().find(|(start, end)| (*start..*end).contains(&position));
        around.map_or(position, |(_, end)| *end)
    }
}

impl Segment {
    /// What is at `position` and behind it was checked or written by this process.
    pub(crate) fn trust_from(&self, position: u64) {
        self.unverified.store(position, Ordering::Release);
    }

    /// Whether [`Segment::verify`] has nothing to read.
    pub(crate) fn is_verified(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        (from, to): (u64, u64),
        doubtful: bool,
    ) -> io::Result<bool> {
        if self.unverified.load(Ordering::Acquire) == 0 {
            return Ok(true);
        }
        let from = if doubtful { self.doubted_from(disk, dir, from)? } else { from };
        Ok(self.are_verified(from, to))
    }

    fn are_verified(&self, from: u64, to: u64) -> bool {
        let unverified = self.unverified.load(Ordering::Acquire);
        from >= unverified || self.parts.lock().verified.end_of(from) >= to.min(unverified)
    }

    /// Reads the batches from `from` to `to`, both boundaries, and returns where the sound ones end; an error if there is none. `doubtful`: that the log goes
    /// on at `from` was told by batches before it, which are checked too. `next`: the following segment's base offset.
    pub(crate) fn verify(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        file: &dyn DiskFile,
        (from, to): (u64, u64),
        doubtful: bool,
        next: Option<i64>,
    ) -> io::Result<u64> {
        let start = |segment: &Self| {
            if doubtful {
                segment.doubted_from(disk, dir, from)
            } else {
                Ok(segment.parts.lock().verified.end_of(from))
            }
        };
        let read = |start: u64| self.read_batches(disk, dir, file, (start.min(to), from, to), next);
        match read(start(self)?) {
            // It may be the index that has misled.
            Err(e) if e.kind() == io::ErrorKind::InvalidData && doubtful && !self.is_corrupt() => {
                self.rebuild_indexes(disk, dir)?;
                read(start(self)?)
            }
            end => end,
        }
    }

    fn read_batches(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        file: &dyn DiskFile,
        (start, from, to): (u64, u64, u64),
        next: Option<i64>,
    ) -> io::Result<u64> {
        let mut reader = BatchReader::new(file, start, to);
        let mut last: Option<Found> = None;
        let (mut end, mut least) = (start, if start == 0 { self.base_offset } else { i64::MIN });
        while end < to {
            match reader.next_valid()? {
                Some(found) if found.header.base_offset >= least => {
                    (end, least) = (found.end(), found.header.next_offset());
                    last = Some(found);
                }
                // One of the two has a wrong offset.
                Some(_) => {
                    end = last.map_or(end, |last| last.position);
                    break;
                }
                None => break,
            }
        }
        if end == to && self.follower(disk, dir, file, to, next)?.is_some_and(|base| base < least) {
            end = last.map_or(end, |last| last.position);
        }
        if end > start {
            self.parts.lock().verified.add(start, end);
        }
        if end > from || end == to {
            Ok(end)
        } else {
            Err(damaged(end, &"expected a whole batch, with the right CRC and offset"))
        }
    }

    /// Looks at the end of the segment, which has told a reader to go on in the next one.
    pub(crate) fn verify_end(&self, disk: &dyn Disk, dir: &Path, next: Option<i64>) -> io::Result<()> {
        let size = self.size(disk, dir)?;
        // Doubtful at the very end: all from the last entry on have to be sound.
        if self.is_verified(disk, dir, (size, size), true)? {
            return Ok(());
        }
        self.verify(disk, dir, &*self.file(disk, dir)?, (size, size), true, next).map(drop)
    }

    /// Where to look for what has made a reader go on at `position`: two index entries before it, or at the beginning. The later entry's batch is told
    /// wrong by the one before it only.
    fn doubted_from(&self, disk: &dyn Disk, dir: &Path, position: u64) -> io::Result<u64> {
        let entry_before = |position: u64| {
            let entry = self.with_indexes(disk, dir, |indexes| {
                indexes.offsets.find_last(disk, dir, self.base_offset, |entry| u64::from(entry.position) < position)
            })?;
            Ok(entry.map_or(0, |entry| u64::from(entry.position)))
        };
        entry_before(entry_before(position)?)
    }

    /// Base offset of what follows the batch that ends at `end`; none at the end of the log, or if that is damaged itself.
    fn follower(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        file: &dyn DiskFile,
        end: u64,
        next: Option<i64>,
    ) -> io::Result<Option<i64>> {
        let size = self.size(disk, dir)?;
        if end >= size {
            return Ok(next);
        }
        match walk_headers(file, end, size, ControlFlow::Break) {
            Ok(found) => Ok(found.map(|found| found.header.base_offset)),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Remembers that what `offset` names cannot be served; whether that is news.
    pub(crate) fn note_corrupt(&self, offset: i64) -> bool {
        self.corrupt.swap(offset, Ordering::AcqRel) != offset
    }

    pub(crate) fn is_corrupt(&self) -> bool {
        self.corrupt.load(Ordering::Acquire) >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_grow_together_and_stay_few() {
        let mut known = Stretches::default();
        known.add(10, 20);
        known.add(30, 40);
        assert_eq!((known.end_of(9), known.end_of(10), known.end_of(20), known.end_of(35)), (9, 20, 20, 40));
        known.add(20, 30);
        assert_eq!(known.0, [(10, 40)]);
        for n in 1..100 {
            known.add(n * 100, n * 100 + 1);
        }
        assert_eq!(known.0.len(), REMEMBERED);
    }
}
