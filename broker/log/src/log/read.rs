//! Reading: finding whole batches without copying them.

use super::{Boundary, Log};
use crate::{ReadError, ReadLimit, ReadSlice, segment::Segment};
use std::{io, sync::Arc};

/// Where batches are that may still have to be verified before they are served.
pub struct Located {
    slice: ReadSlice,
    offset: i64,
    unverified: Option<Unverified>,
}

struct Unverified {
    segment: Arc<Segment>,
    /// Base offset of the next one.
    next: Option<i64>,
    /// It does not begin where it was asked for.
    doubtful: bool,
}

impl Located {
    /// Base offset of the first batch.
    pub fn base_offset(&self) -> i64 {
        self.slice.base_offset
    }

    /// Bytes, of which verification may leave fewer.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> u64 {
        self.slice.len
    }

    /// Whether [`Log::verify`] has nothing to read.
    pub fn is_verified(&self) -> bool {
        self.unverified.is_none()
    }
}

impl Log {
    /// Whole batches from the one that holds `offset`, up to `max_bytes`, never past the limit and never past the segment. `None` at the limit, or if
    /// the first batch is larger than `max_bytes` and `min_one_batch` is false. Reads them if nobody did since the start.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: u64,
        limit: ReadLimit,
        min_one_batch: bool,
    ) -> Result<Option<ReadSlice>, ReadError> {
        let located = self.locate(offset, max_bytes, limit, min_one_batch)?;
        located.map(|located| self.verify(located)).transpose()
    }

    /// As [`Log::read`], but the batches are to be verified.
    pub fn locate(
        &self,
        offset: i64,
        max_bytes: u64,
        limit: ReadLimit,
        min_one_batch: bool,
    ) -> Result<Option<Located>, ReadError> {
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
            io::ErrorKind::InvalidData => {
                if let Some((segment, _)) = self.segment_of(offset)
                    && segment.note_corrupt(offset)
                {
                    tracing::error!(log = self.name(), offset, segment = segment.base_offset, %error, "damaged records are not served");
                }
                ReadError::Corrupt { offset, reason: error.to_string() }
            }
            _ => ReadError::Io(error),
        }
    }

    /// Whether something in it could not be read for damage since the start, and is still there.
    pub fn is_corrupt(&self) -> bool {
        self.segments.read().iter().any(|segment| segment.is_corrupt())
    }

    /// The batches that are as they were written, at least one. What is there since before the start is read once, the first time.
    pub fn verify(&self, located: Located) -> Result<ReadSlice, ReadError> {
        let Located { mut slice, offset, unverified } = located;
        if let Some(Unverified { segment, next, doubtful }) = unverified {
            let place = (slice.position, slice.position + slice.len);
            let end = segment
                .verify(self.disk(), &self.dir, &*slice.file, place, doubtful, next)
                .map_err(|e| self.read_error(offset, e))?;
            slice.len = end - slice.position;
        }
        Ok(slice)
    }

    fn slice(&self, offset: i64, max_bytes: u64, limit: i64, min_one_batch: bool) -> io::Result<Option<Located>> {
        let mut wanted = offset;
        loop {
            let Some((segment, next)) = self.segment_of(wanted) else { return Ok(None) };
            let end = self.end_position(&segment, next, limit)?;
            if let Some(start) = self.start_position(&segment, wanted, end)? {
                let Some(slice) = self.cut(&segment, start, end, max_bytes, min_one_batch)? else { return Ok(None) };
                let place = (slice.position, slice.position + slice.len);
                let doubtful = slice.base_offset != wanted;
                let is_verified = segment.is_verified(self.disk(), &self.dir, place, doubtful)?;
                let unverified = (!is_verified).then_some(Unverified { segment, next, doubtful });
                return Ok(Some(Located { slice, offset: wanted, unverified }));
            }
            // Nothing at or past `wanted` in this segment (compaction leaves such gaps): go on in the next.
            match next.filter(|next| *next < limit && *next > wanted) {
                Some(following) => {
                    segment.verify_end(self.disk(), &self.dir, next)?;
                    wanted = following;
                }
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
