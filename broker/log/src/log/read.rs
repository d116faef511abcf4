//! Reading: finding whole batches without copying them.

use super::{Boundary, Log};
use crate::{ReadError, ReadLimit, ReadSlice, segment::Segment};
use std::io;

impl Log {
    /// Whole batches from the one that holds `offset`, up to `max_bytes`, never past the limit and never past the segment. `None` at the limit, or if
    /// the first batch is larger than `max_bytes` and `min_one_batch` is false.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: u64,
        limit: ReadLimit,
        min_one_batch: bool,
    ) -> Result<Option<ReadSlice>, ReadError> {
        // The start moves before segments go: look at it first and again when a file is missing.
        let log_end_offset = self.log_end_offset();
        let limit = match limit {
            ReadLimit::HighWatermark => self.high_watermark(),
            ReadLimit::LastStable => self.last_stable_offset(),
            ReadLimit::LogEnd => log_end_offset,
        };
        let log_start_offset = self.log_start_offset();
        if offset < log_start_offset || offset > log_end_offset {
            return Err(ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset });
        }
        if offset >= limit {
            return Ok(None);
        }
        self.slice(offset, max_bytes, limit, min_one_batch).map_err(|e| self.read_error(offset, e))
    }

    pub(super) fn read_error(&self, offset: i64, error: io::Error) -> ReadError {
        let log_start_offset = self.log_start_offset();
        match error.kind() {
            // A segment was deleted under the reader.
            io::ErrorKind::NotFound if self.is_deleted() => ReadError::Closed,
            io::ErrorKind::NotFound if offset < log_start_offset => {
                ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset: self.log_end_offset() }
            }
            io::ErrorKind::InvalidData => ReadError::Corrupt { offset, reason: error.to_string() },
            _ => ReadError::Io(error),
        }
    }

    fn slice(&self, offset: i64, max_bytes: u64, limit: i64, min_one_batch: bool) -> io::Result<Option<ReadSlice>> {
        let mut wanted = offset;
        loop {
            let Some((segment, next)) = self.segment_of(wanted) else { return Ok(None) };
            let end = self.end_position(&segment, next, limit)?;
            if let Some(start) = self.start_position(&segment, wanted, end)? {
                return self.cut(&segment, start, end, max_bytes, min_one_batch);
            }
            // Nothing at or past `wanted` in this segment (compaction leaves such gaps): go on in the next.
            match next.filter(|next| *next < limit && *next > wanted) {
                Some(next) => wanted = next,
                None => return Ok(None),
            }
        }
    }

    fn cut(
        &self,
        segment: &Segment,
        start: Boundary,
        end: u64,
        max_bytes: u64,
        min_one_batch: bool,
    ) -> io::Result<Option<ReadSlice>> {
        let mut to = segment.boundary_within(self.disk(), &self.dir, start.position, max_bytes, end)?;
        if to <= start.position {
            if !min_one_batch {
                return Ok(None);
            }
            let Some(first) = segment.find(self.disk(), &self.dir, start.offset, end)? else { return Ok(None) };
            to = first.end();
        }
        let file = segment.file(self.disk(), &self.dir)?;
        Ok(Some(ReadSlice { file, position: start.position, len: to - start.position, base_offset: start.offset }))
    }

    /// Where the batch that holds `offset` begins.
    fn start_position(&self, segment: &Segment, offset: i64, end: u64) -> io::Result<Option<Boundary>> {
        let known = self.boundaries.lock().position(segment.base_offset, offset);
        match known.or_else(|| (offset == segment.base_offset).then_some(0)) {
            Some(position) if position < end => {
                // Only a batch boundary when the log has no gap there, which the header says.
                let found = segment.find_at(self.disk(), &self.dir, position, end)?;
                Ok(Some(Boundary { offset: found.header.base_offset, segment: segment.base_offset, position }))
            }
            Some(_) => Ok(None),
            None => Ok(segment.find(self.disk(), &self.dir, offset, end)?.map(|found| Boundary {
                offset: found.header.base_offset,
                segment: segment.base_offset,
                position: found.position,
            })),
        }
    }

    /// Where `limit` (a batch boundary) is in this segment.
    pub(super) fn end_position(&self, segment: &Segment, next: Option<i64>, limit: i64) -> io::Result<u64> {
        if next.is_some_and(|next| next <= limit) {
            return segment.size(self.disk(), &self.dir);
        }
        if let Some(position) = self.boundaries.lock().position(segment.base_offset, limit) {
            return Ok(position);
        }
        // The size first: what is appended meanwhile is past the limit.
        let size = segment.size(self.disk(), &self.dir)?;
        if limit <= segment.base_offset {
            return Ok(0);
        }
        Ok(segment.find(self.disk(), &self.dir, limit, size)?.map_or(size, |found| found.position))
    }
}
