//! Walking the batches of a segment file: by headers alone, or whole with their CRCs.

use logmill_disk::DiskFile;
use logmill_protocol::records::{Batch, BatchHeader, CRC_FROM, HEADER_BYTES};
use std::{io, ops::ControlFlow};

/// Read ahead while walking headers; an index entry is never farther away than this and a batch.
const HEADER_BLOCK: usize = 4096;

/// A batch's place in its segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub position: u64,
    pub header: BatchHeader,
}

impl Found {
    /// Where the next batch begins.
    pub(crate) fn end(&self) -> u64 {
        self.position.saturating_add(self.header.total_len() as u64)
    }
}

/// Calls `visit` for each batch from `position` to `end` (positions of batch boundaries) until it breaks. A damaged or cut header is an error.
pub(crate) fn walk_headers<B>(
    file: &dyn DiskFile,
    position: u64,
    end: u64,
    mut visit: impl FnMut(Found) -> ControlFlow<B>,
) -> io::Result<Option<B>> {
    let mut block = [0; HEADER_BLOCK];
    let (mut block_at, mut block_len) = (position, 0usize);
    let mut at = position;
    while at < end {
        let mut within = usize::try_from(at - block_at).unwrap_or(usize::MAX);
        if block_len < HEADER_BYTES || within > block_len - HEADER_BYTES {
            let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(HEADER_BLOCK);
            file.read_exact_at(&mut block[..want], at)?;
            (block_at, block_len, within) = (at, want, 0);
        }
        let header = BatchHeader::parse(&block[within..block_len]).map_err(|e| damaged(at, &e))?;
        let found = Found { position: at, header };
        if found.end() > end {
            return Err(damaged(at, &format!("batch of {} bytes goes past the end at {end}", header.total_len())));
        }
        if let ControlFlow::Break(value) = visit(found) {
            return Ok(Some(value));
        }
        at = found.end();
    }
    Ok(None)
}

pub(crate) fn damaged(position: u64, reason: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("at position {position}: {reason}"))
}

/// Whether the file has nothing but zeros from `from` to `to`.
pub(crate) fn only_zeros(file: &dyn DiskFile, mut from: u64, to: u64) -> io::Result<bool> {
    let mut block = vec![0; usize::try_from(to - from).unwrap_or(usize::MAX).min(BatchReader::BLOCK)];
    while from < to {
        let len = usize::try_from(to - from).unwrap_or(usize::MAX).min(block.len());
        file.read_exact_at(&mut block[..len], from)?;
        if block[..len].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        from += len as u64;
    }
    Ok(true)
}

/// Reads whole batches one after another, checking CRCs: for recovery.
pub(crate) struct BatchReader<'a> {
    file: &'a dyn DiskFile,
    end: u64,
    buffer: Vec<u8>,
    start: usize,
    /// Of `buffer[start]` in the file.
    position: u64,
}

impl<'a> BatchReader<'a> {
    const BLOCK: usize = 256 << 10;

    pub(crate) fn new(file: &'a dyn DiskFile, position: u64, end: u64) -> Self {
        Self { file, end, buffer: Vec::new(), start: 0, position }
    }

    /// The next whole, undamaged batch; `None` at the end or at the first that is not (`position` says where).
    pub(crate) fn next_valid(&mut self) -> io::Result<Option<Found>> {
        let Some(found) = self.next_header()? else { return Ok(None) };
        if found.header.total_len() > Self::BLOCK {
            return self.check_large(found);
        }
        Ok(self.take_valid(found)?.map(|_| found))
    }

    /// As [`BatchReader::next_valid`], with the batch itself, which is in memory as a whole.
    pub(crate) fn next_with_bytes(&mut self) -> io::Result<Option<(Found, &[u8])>> {
        let Some(found) = self.next_header()? else { return Ok(None) };
        Ok(self.take_valid(found)?.map(|bytes| (found, bytes)))
    }

    /// What the header at `position` says, if a batch of its length can be there.
    fn next_header(&mut self) -> io::Result<Option<Found>> {
        let left = self.end.saturating_sub(self.position);
        if left < HEADER_BYTES as u64 {
            return Ok(None);
        }
        self.fill(HEADER_BYTES)?;
        let Ok(header) = BatchHeader::parse(&self.buffer[self.start..]) else { return Ok(None) };
        let possible = header.total_len() as u64 <= left && header.last_offset_delta >= 0 && header.base_offset >= 0;
        Ok(possible.then_some(Found { position: self.position, header }))
    }

    /// Goes past the batch if its CRC is right.
    fn take_valid(&mut self, found: Found) -> io::Result<Option<&[u8]>> {
        let len = found.header.total_len();
        self.fill(len)?;
        let from = self.start;
        if (Batch { header: found.header, bytes: &self.buffer[from..from + len] }).check_crc().is_err() {
            return Ok(None);
        }
        self.start += len;
        self.position = found.end();
        Ok(Some(&self.buffer[from..from + len]))
    }

    /// A length that may itself be damage sizes no buffer: the CRC is taken block by block.
    fn check_large(&mut self, found: Found) -> io::Result<Option<Found>> {
        let mut at = self.position + CRC_FROM as u64;
        let mut crc = 0;
        while at < found.end() {
            let want = usize::try_from(found.end() - at).unwrap_or(usize::MAX).min(Self::BLOCK);
            self.buffer.resize(want, 0);
            self.file.read_exact_at(&mut self.buffer, at)?;
            crc = crc32c::crc32c_append(crc, &self.buffer);
            at += want as u64;
        }
        self.buffer.clear();
        self.start = 0;
        if crc != found.header.crc {
            return Ok(None);
        }
        self.position = found.end();
        Ok(Some(found))
    }

    /// Has at least `len` bytes (known to be in the file) ready at `start`.
    fn fill(&mut self, len: usize) -> io::Result<()> {
        let ready = self.buffer.len() - self.start;
        if ready >= len {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let want = len.max(Self::BLOCK).min(left);
        self.buffer.resize(want, 0);
        self.file.read_exact_at(&mut self.buffer[ready..], self.position + ready as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use logmill_disk::{Disk, sim::SimDisk};
    use logmill_protocol::{
        compression::Compression,
        records::{BatchBuilder, NewRecord},
    };
    use std::path::Path;

    #[test]
    fn batches_of_any_size_are_read_up_to_the_first_damage() {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("/log"), true).unwrap();
        let mut ends = vec![0];
        for len in [10, 300 << 10, 10, 255 << 10, 700 << 10, 1] {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.push(NewRecord { value: Some(&vec![7; len]), ..NewRecord::default() });
            let bytes = builder.build().unwrap();
            file.write_all_at(&bytes, *ends.last().unwrap()).unwrap();
            ends.push(ends.last().unwrap() + bytes.len() as u64);
        }
        let found = || {
            let mut reader = BatchReader::new(&*file, 0, file.len().unwrap());
            let mut ends = vec![0];
            while let Some(found) = reader.next_valid().unwrap() {
                ends.push(found.end());
            }
            ends
        };
        assert_eq!(found(), ends);
        for at in (1..ends.len()).rev() {
            file.write_all_at(b"!", ends[at] - 5).unwrap();
            assert_eq!(found(), ends[..at]);
        }
    }
}
