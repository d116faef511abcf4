//! Kafka's sparse indexes: `.index` (8-byte entries: relative offset, position) and `.timeindex` (12-byte entries: timestamp, relative offset).
//!
//! Entries ascend. New ones gather in memory and go to the file in blocks; the file is not kept open. What is in the file past the recovery point
//! is rebuilt on recovery, so only checkpoints sync it.

use crate::names;
use logmill_disk::{Disk, DiskFile};
use std::{io, path::Path, sync::Arc};

/// Entries gathered before they go to the file: a block of about 4 KiB.
const BUFFERED_ENTRIES: usize = 512;

pub(crate) trait Entry: Copy + PartialEq + std::fmt::Debug {
    const BYTES: usize;
    const EXTENSION: &'static str;
    fn encode(&self, to: &mut Vec<u8>);
    /// `from` has at least `BYTES` bytes; short input gives `None`.
    fn decode(from: &[u8]) -> Option<Self>;
    /// All zeros, which is no entry: Apache Kafka preallocates indexes and cuts them when it closes them; a crash can leave some too.
    fn is_blank(&self) -> bool;
}

/// The batch at `position` has `relative` (to the segment's base) as its last offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub relative: u32,
    pub position: u32,
}

impl Entry for OffsetEntry {
    const BYTES: usize = 8;
    const EXTENSION: &'static str = names::INDEX;

    fn encode(&self, to: &mut Vec<u8>) {
        to.extend(self.relative.to_be_bytes());
        to.extend(self.position.to_be_bytes());
    }

    fn decode(from: &[u8]) -> Option<Self> {
        let (relative, rest) = from.split_first_chunk::<4>()?;
        let position = rest.first_chunk::<4>()?;
        Some(Self { relative: u32::from_be_bytes(*relative), position: u32::from_be_bytes(*position) })
    }

    fn is_blank(&self) -> bool {
        self.relative == 0
    }
}

/// No record before `relative` is newer than `timestamp`, which the batch ending in `relative` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub timestamp: i64,
    pub relative: u32,
}

impl Entry for TimeEntry {
    const BYTES: usize = 12;
    const EXTENSION: &'static str = names::TIME_INDEX;

    fn encode(&self, to: &mut Vec<u8>) {
        to.extend(self.timestamp.to_be_bytes());
        to.extend(self.relative.to_be_bytes());
    }

    fn decode(from: &[u8]) -> Option<Self> {
        let (timestamp, rest) = from.split_first_chunk::<8>()?;
        let relative = rest.first_chunk::<4>()?;
        Some(Self { timestamp: i64::from_be_bytes(*timestamp), relative: u32::from_be_bytes(*relative) })
    }

    fn is_blank(&self) -> bool {
        self.timestamp == 0 && self.relative == 0
    }
}

/// One index of one segment.
pub(crate) struct SparseIndex<E> {
    in_file: u64,
    /// Behind them the file has a part of one.
    torn: bool,
    buffer: Vec<E>,
    last: Option<E>,
}

impl<E: Entry> SparseIndex<E> {
    pub(crate) fn empty() -> Self {
        Self { in_file: 0, torn: false, buffer: Vec::new(), last: None }
    }

    /// What the file of this segment holds; nothing if it is missing.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, base_offset: i64) -> io::Result<Self> {
        let path = names::segment_file(dir, base_offset, E::EXTENSION);
        let bytes = match disk.file_len(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(e),
        };
        let (in_file, torn) = (bytes / E::BYTES as u64, bytes % E::BYTES as u64 > 0);
        let mut index = Self { in_file, torn, buffer: Vec::new(), last: None };
        if index.in_file > 0 {
            index.last = Some(read_entry(&*disk.open(&path, false)?, index.in_file - 1)?);
        }
        Ok(index)
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.in_file + self.buffer.len() as u64) * E::BYTES as u64
    }

    /// The entries in memory, as the file has them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.buffer.len() * E::BYTES);
        self.buffer.iter().for_each(|entry| entry.encode(&mut bytes));
        bytes
    }

    /// Takes the file's entries into memory; the file is not needed any more.
    pub(crate) fn load(&mut self, disk: &dyn Disk, dir: &Path, base_offset: i64) -> io::Result<()> {
        if self.in_file == 0 {
            return Ok(());
        }
        // Without what a power cut left of an entry behind them.
        let mut bytes = vec![0; usize::try_from(self.in_file).map_err(io::Error::other)? * E::BYTES];
        disk.open(&names::segment_file(dir, base_offset, E::EXTENSION), false)?.read_exact_at(&mut bytes, 0)?;
        let mut entries: Vec<E> = bytes.chunks_exact(E::BYTES).filter_map(E::decode).collect();
        entries.append(&mut self.buffer);
        (self.buffer, self.in_file) = (entries, 0);
        Ok(())
    }

    pub(crate) fn last(&self) -> Option<E> {
        self.last
    }

    /// Its end is that of an entry.
    pub(crate) fn is_whole(&self) -> bool {
        !self.torn && !self.last.is_some_and(|last| last.is_blank())
    }

    pub(crate) fn push(&mut self, entry: E) {
        self.buffer.push(entry);
        self.last = Some(entry);
    }

    pub(crate) fn wants_flush(&self) -> bool {
        self.buffer.len() >= BUFFERED_ENTRIES
    }

    /// Writes the gathered entries to the file, creating it. Nothing is synced.
    pub(crate) fn flush(&mut self, disk: &dyn Disk, dir: &Path, base_offset: i64) -> io::Result<()> {
        let path = names::segment_file(dir, base_offset, E::EXTENSION);
        if self.buffer.is_empty() && (self.in_file > 0 || disk.exists(&path)) {
            return Ok(());
        }
        let file = disk.open(&path, true)?;
        let bytes = self.encode();
        if !bytes.is_empty() {
            file.write_all_at(&bytes, self.in_file * E::BYTES as u64)?;
        }
        self.in_file += self.buffer.len() as u64;
        self.buffer = Vec::new();
        Ok(())
    }

    /// The last entry for which `before` holds; it must hold for a prefix of the entries.
    pub(crate) fn find_last(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        base_offset: i64,
        before: impl Fn(&E) -> bool,
    ) -> io::Result<Option<E>> {
        if self.buffer.first().is_some_and(&before) {
            let count = self.buffer.partition_point(&before);
            return Ok(count.checked_sub(1).and_then(|at| self.buffer.get(at)).copied());
        }
        let (count, file) = self.count_in_file(disk, dir, base_offset, before)?;
        match (count.checked_sub(1), file) {
            (Some(at), Some(file)) => Ok(Some(read_entry(&*file, at)?)),
            _ => Ok(None),
        }
    }

    /// Keeps the entries for which `before` holds (a prefix). Nothing is synced.
    pub(crate) fn truncate(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        base_offset: i64,
        before: impl Fn(&E) -> bool,
    ) -> io::Result<()> {
        self.flush(disk, dir, base_offset)?;
        let path = names::segment_file(dir, base_offset, E::EXTENSION);
        let (count, _) = self.count_in_file(disk, dir, base_offset, |entry| !entry.is_blank() && before(entry))?;
        let file = disk.open(&path, true)?;
        file.set_len(count * E::BYTES as u64)?;
        (self.in_file, self.torn) = (count, false);
        self.last = match count.checked_sub(1) {
            Some(at) => Some(read_entry(&*file, at)?),
            None => None,
        };
        Ok(())
    }

    fn count_in_file(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        base_offset: i64,
        before: impl Fn(&E) -> bool,
    ) -> io::Result<(u64, Option<Arc<dyn DiskFile>>)> {
        if self.in_file == 0 {
            return Ok((0, None));
        }
        let file = disk.open(&names::segment_file(dir, base_offset, E::EXTENSION), false)?;
        let (mut low, mut high) = (0, self.in_file);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(&read_entry(&*file, middle)?) { low = middle + 1 } else { high = middle }
        }
        Ok((low, Some(file)))
    }
}

fn read_entry<E: Entry>(file: &dyn DiskFile, at: u64) -> io::Result<E> {
    let mut bytes = [0; 16];
    let bytes = &mut bytes[..E::BYTES];
    file.read_exact_at(bytes, at * E::BYTES as u64)?;
    E::decode(bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use logmill_disk::sim::SimDisk;

    #[test]
    fn entries_are_found_in_the_file_and_in_memory_alike() {
        let disk = SimDisk::new();
        let dir = Path::new("/");
        let mut index = SparseIndex::<OffsetEntry>::empty();
        for n in 1..=1000u32 {
            index.push(OffsetEntry { relative: n * 10, position: n * 4096 });
            if n % 300 == 0 {
                index.flush(&disk, dir, 5).unwrap();
            }
        }
        assert_eq!(index.bytes(), 8000);
        for reopened in [false, true] {
            if reopened {
                index.flush(&disk, dir, 5).unwrap();
                index = SparseIndex::open(&disk, dir, 5).unwrap();
            }
            for wanted in [0, 9, 10, 11, 2999, 3000, 8999, 9000, 9001, 9010, 10_000, 20_000] {
                let found = index.find_last(&disk, dir, 5, |e| e.relative <= wanted).unwrap().map(|e| e.relative);
                let expected = Some(wanted.min(10_000) / 10 * 10).filter(|n| *n > 0);
                assert_eq!(found, expected, "{wanted} {reopened}");
            }
        }
        index.truncate(&disk, dir, 5, |e| e.relative < 50).unwrap();
        assert_eq!(index.last().unwrap().relative, 40);
        index.push(OffsetEntry { relative: 45, position: 1 });
        index.flush(&disk, dir, 5).unwrap();
        assert_eq!(SparseIndex::<OffsetEntry>::open(&disk, dir, 5).unwrap().last().unwrap().relative, 45);
    }

    #[test]
    fn a_time_entry_goes_both_ways() {
        let entry = TimeEntry { timestamp: -5, relative: 7 };
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        assert_eq!(bytes.len(), TimeEntry::BYTES);
        assert_eq!(TimeEntry::decode(&bytes), Some(entry));
        assert_eq!(TimeEntry::decode(&bytes[1..]), None);
    }
}
