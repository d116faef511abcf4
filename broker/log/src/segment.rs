//! One segment: its log file, its two indexes, and finding places in them.

mod verified;

use crate::{
    batch_scan::{Found, damaged, walk_headers},
    names,
    sparse_index::{OffsetEntry, SparseIndex, TimeEntry},
};
use logmill_disk::{Disk, DiskFile};
use parking_lot::Mutex;
use std::{
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};
use verified::Stretches;

const UNKNOWN: u64 = u64::MAX;
/// Between entries of an index that is made anew: Kafka's default of index.interval.bytes.
const INTERVAL: u32 = 4096;

/// A segment. Sealed ones cost a few words until they are read.
pub(crate) struct Segment {
    pub base_offset: i64,
    /// Bytes of whole batches; grows with appends, after the bytes were written.
    size: AtomicU64,
    /// What is before it was neither checked nor written since the start, but for the verified parts.
    unverified: AtomicU64,
    /// An offset that cannot be read for damage; -1 without.
    corrupt: AtomicI64,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    file: FileSlot,
    indexes: Option<Box<Indexes>>,
    verified: Stretches,
}

#[derive(Default)]
enum FileSlot {
    #[default]
    Closed,
    /// The active segment's.
    Held(Arc<dyn DiskFile>),
    /// A sealed segment's, as long as readers hold it.
    Shared(Weak<dyn DiskFile>),
}

/// Both indexes and what the next entry depends on.
pub(crate) struct Indexes {
    pub offsets: SparseIndex<OffsetEntry>,
    pub times: SparseIndex<TimeEntry>,
    bytes_since_entry: u64,
    /// Largest timestamp so far and the last offset of the (first) batch that has it.
    pub max_timestamp: Option<(i64, i64)>,
    /// That the time index agrees with the log was looked at, or is plain.
    times_checked: bool,
}

impl Indexes {
    pub(crate) fn empty() -> Self {
        Self {
            offsets: SparseIndex::empty(),
            times: SparseIndex::empty(),
            bytes_since_entry: 0,
            max_timestamp: None,
            times_checked: true,
        }
    }

    fn open(disk: &dyn Disk, dir: &Path, base_offset: i64) -> io::Result<Self> {
        let offsets = SparseIndex::open(disk, dir, base_offset)?;
        let times = SparseIndex::<TimeEntry>::open(disk, dir, base_offset)?;
        let max_timestamp = times.last().map(|entry| (entry.timestamp, base_offset + i64::from(entry.relative)));
        Ok(Self { offsets, times, bytes_since_entry: 0, max_timestamp, times_checked: false })
    }

    /// Kafka's rule: an entry for the batch that begins more than the interval after the last one.
    pub(crate) fn add(&mut self, base_offset: i64, found: &Found, interval: u32) {
        let last_offset = found.header.last_offset();
        // What compaction emptied has no record of that time any more.
        if found.header.record_count > 0 && self.max_timestamp.is_none_or(|(max, _)| found.header.max_timestamp > max) {
            self.max_timestamp = Some((found.header.max_timestamp, last_offset));
        }
        if self.bytes_since_entry > u64::from(interval) {
            if let (Ok(relative), Ok(position)) =
                (u32::try_from(last_offset - base_offset), u32::try_from(found.position))
            {
                self.offsets.push(OffsetEntry { relative, position });
            }
            self.add_time(base_offset);
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += found.header.total_len() as u64;
    }

    /// Notes the largest timestamp so far, if it is news.
    pub(crate) fn add_time(&mut self, base_offset: i64) {
        if let Some((timestamp, offset)) = self.max_timestamp
            && self.times.last().is_none_or(|last| timestamp > last.timestamp)
            && let Ok(relative) = u32::try_from(offset - base_offset)
        {
            self.times.push(TimeEntry { timestamp, relative });
        }
    }

    /// The bytes of both files, if nothing was flushed to them yet.
    pub(crate) fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        (self.offsets.encode(), self.times.encode())
    }

    pub(crate) fn flush(&mut self, disk: &dyn Disk, dir: &Path, base_offset: i64) -> io::Result<()> {
        self.offsets.flush(disk, dir, base_offset)?;
        self.times.flush(disk, dir, base_offset)
    }
}

impl Segment {
    /// One found on disk: nothing is read yet.
    pub(crate) fn existing(base_offset: i64) -> Self {
        Self::with(base_offset, UNKNOWN, Parts::default())
    }

    /// A new one, without files until something is appended.
    pub(crate) fn new(base_offset: i64) -> Self {
        Self::with(base_offset, 0, Parts { indexes: Some(Box::new(Indexes::empty())), ..Parts::default() })
    }

    /// As many bytes as it has are unverified.
    fn with(base_offset: i64, size: u64, parts: Parts) -> Self {
        let (unverified, corrupt) = (AtomicU64::new(size), AtomicI64::new(-1));
        Self { base_offset, size: AtomicU64::new(size), unverified, corrupt, parts: Mutex::new(parts) }
    }

    pub(crate) fn size(&self, disk: &dyn Disk, dir: &Path) -> io::Result<u64> {
        let size = self.size.load(Ordering::Acquire);
        if size != UNKNOWN {
            return Ok(size);
        }
        let size = disk.file_len(&names::segment_file(dir, self.base_offset, names::LOG))?;
        self.size.store(size, Ordering::Release);
        Ok(size)
    }

    pub(crate) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    /// The log file for reading; kept open only while somebody holds it, or by the active segment.
    pub(crate) fn file(&self, disk: &dyn Disk, dir: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut parts = self.parts.lock();
        match &parts.file {
            FileSlot::Held(file) => return Ok(Arc::clone(file)),
            FileSlot::Shared(file) => {
                if let Some(file) = file.upgrade() {
                    return Ok(file);
                }
            }
            FileSlot::Closed => {}
        }
        let file = disk.open(&names::segment_file(dir, self.base_offset, names::LOG), false)?;
        parts.file = FileSlot::Shared(Arc::downgrade(&file));
        Ok(file)
    }

    /// The log file for appending: held open from now on, created if it is missing (`true`: then its name is not durable yet).
    pub(crate) fn file_to_append(&self, disk: &dyn Disk, dir: &Path) -> io::Result<(Arc<dyn DiskFile>, bool)> {
        let mut parts = self.parts.lock();
        if let FileSlot::Held(file) = &parts.file {
            return Ok((Arc::clone(file), false));
        }
        let path = names::segment_file(dir, self.base_offset, names::LOG);
        let (file, created) = match disk.open(&path, false) {
            Ok(file) => (file, false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => (disk.open(&path, true)?, true),
            Err(e) => return Err(e),
        };
        parts.file = FileSlot::Held(Arc::clone(&file));
        Ok((file, created))
    }

    pub(crate) fn with_indexes<T>(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        f: impl FnOnce(&mut Indexes) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut parts = self.parts.lock();
        let indexes = match &mut parts.indexes {
            Some(indexes) => indexes,
            none => none.insert(Box::new(Indexes::open(disk, dir, self.base_offset)?)),
        };
        f(indexes)
    }

    /// Ends appending: the last time entry, index buffers to the files, the file closed once nobody reads it.
    pub(crate) fn seal(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        self.with_indexes(disk, dir, |indexes| {
            indexes.add_time(self.base_offset);
            indexes.flush(disk, dir, self.base_offset)
        })?;
        let mut parts = self.parts.lock();
        if let FileSlot::Held(file) = &parts.file {
            parts.file = FileSlot::Shared(Arc::downgrade(file));
        }
        parts.indexes = None;
        Ok(())
    }

    /// The first batch whose last offset is at or past `offset`. A damaged index is made anew.
    pub(crate) fn find(&self, disk: &dyn Disk, dir: &Path, offset: i64, end: u64) -> io::Result<Option<Found>> {
        match self.find_by_index(disk, dir, offset, end) {
            Err(e) if e.kind() == io::ErrorKind::InvalidData && !self.is_corrupt() => {
                self.rebuild_indexes(disk, dir)?;
                self.find_by_index(disk, dir, offset, end)
            }
            result => result,
        }
    }

    /// As [`Segment::find`], but an index entry that leads to no batch is an error.
    pub(crate) fn find_by_index(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        offset: i64,
        end: u64,
    ) -> io::Result<Option<Found>> {
        let relative = u32::try_from(offset.saturating_sub(self.base_offset)).unwrap_or(if offset < self.base_offset {
            0
        } else {
            u32::MAX
        });
        // An entry past the end is of a batch that is being appended.
        let before = |entry: &OffsetEntry| entry.relative <= relative && u64::from(entry.position) < end;
        let entry =
            self.with_indexes(disk, dir, |indexes| indexes.offsets.find_last(disk, dir, self.base_offset, before))?;
        let start = entry.map_or(0, |entry| u64::from(entry.position));
        // Without an entry it is the first batch, before which compaction may have left a gap.
        let last_base = entry.map_or(i64::MAX, |_| offset);
        self.walk_from_entry(disk, dir, start, end, last_base, |found| {
            if found.header.last_offset() >= offset { ControlFlow::Break(found) } else { ControlFlow::Continue(()) }
        })
    }

    /// Walks from where an index entry points to, which must be a batch that begins at `last_base` or before.
    fn walk_from_entry<B>(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        start: u64,
        end: u64,
        last_base: i64,
        mut visit: impl FnMut(Found) -> ControlFlow<B>,
    ) -> io::Result<Option<B>> {
        let file = self.file(disk, dir)?;
        let walked = walk_headers(&*file, start, end, |found| {
            let misled = found.position == start && !(self.base_offset..=last_base).contains(&found.header.base_offset);
            if misled { ControlFlow::Break(None) } else { visit(found).map_break(Some) }
        })?;
        match walked {
            Some(None) => Err(damaged(start, &"an index entry leads to another batch")),
            found => Ok(found.flatten()),
        }
    }

    /// What the indexes say is not so: both anew, from the headers of the batches.
    pub(crate) fn rebuild_indexes(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let (base, size, file) = (self.base_offset, self.size(disk, dir)?, self.file(disk, dir)?);
        tracing::warn!(dir = %dir.display(), segment = base, "an index of a segment is damaged, it is made anew");
        self.with_indexes(disk, dir, |indexes| {
            let mut fresh = Indexes::empty();
            walk_headers(&*file, 0, size, |found| {
                fresh.add(base, &found, INTERVAL);
                ControlFlow::<()>::Continue(())
            })?;
            fresh.add_time(base);
            indexes.offsets.truncate(disk, dir, base, |_| false)?;
            indexes.times.truncate(disk, dir, base, |_| false)?;
            fresh.flush(disk, dir, base)?;
            *indexes = fresh;
            Ok(())
        })
    }

    /// Looks, once, whether the time index ends with what the log has there; else both indexes are made anew.
    pub(crate) fn check_times(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let (checked, whole, last) = self.with_indexes(disk, dir, |indexes| {
            Ok((indexes.times_checked, indexes.times.is_whole(), indexes.times.last()))
        })?;
        if checked {
            return Ok(());
        }
        let sound = whole && last.map_or(Ok(true), |last| self.agrees(disk, dir, last))?;
        if !sound {
            self.rebuild_indexes(disk, dir)?;
        }
        self.with_indexes(disk, dir, |indexes| {
            indexes.times_checked = true;
            Ok(())
        })
    }

    /// Whether the log has this largest timestamp at this offset.
    pub(crate) fn agrees(&self, disk: &dyn Disk, dir: &Path, entry: TimeEntry) -> io::Result<bool> {
        let offset = self.base_offset.saturating_add(i64::from(entry.relative));
        let found = self.find(disk, dir, offset, self.size(disk, dir)?)?;
        Ok(found
            .is_some_and(|found| found.header.base_offset <= offset && found.header.max_timestamp == entry.timestamp))
    }

    /// The batch that begins at `position`.
    pub(crate) fn find_at(&self, disk: &dyn Disk, dir: &Path, position: u64, end: u64) -> io::Result<Found> {
        let file = self.file(disk, dir)?;
        walk_headers(&*file, position, end, ControlFlow::Break)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The last batch boundary at most `max_bytes` after `start` (a boundary), and at most `end`.
    pub(crate) fn boundary_within(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        start: u64,
        max_bytes: u64,
        end: u64,
    ) -> io::Result<u64> {
        let target = start.saturating_add(max_bytes);
        if target >= end {
            return Ok(end);
        }
        let entry = self.with_indexes(disk, dir, |indexes| {
            indexes.offsets.find_last(disk, dir, self.base_offset, |entry| u64::from(entry.position) <= target)
        })?;
        let from = entry.map_or(start, |entry| u64::from(entry.position).max(start));
        let walk = |from| {
            let mut boundary = from;
            self.walk_from_entry(disk, dir, from, end, i64::MAX, |found| {
                if found.end() > target {
                    return ControlFlow::Break(());
                }
                boundary = found.end();
                ControlFlow::Continue(())
            })
            .map(|_| boundary)
        };
        match walk(from) {
            Err(e) if e.kind() == io::ErrorKind::InvalidData && from > start => {
                self.rebuild_indexes(disk, dir)?;
                walk(start)
            }
            boundary => boundary,
        }
    }

    /// Before the files of a sealed segment are replaced: keeps the log open and the indexes in memory, for those who still read it.
    pub(crate) fn detach(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        self.size(disk, dir)?;
        let file = self.file(disk, dir)?;
        self.with_indexes(disk, dir, |indexes| {
            indexes.offsets.load(disk, dir, self.base_offset)?;
            indexes.times.load(disk, dir, self.base_offset)
        })?;
        self.parts.lock().file = FileSlot::Held(file);
        Ok(())
    }

    /// Removes the segment's files (and its producer snapshot); readers that hold the file go on. Nothing is synced.
    pub(crate) fn remove_files(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        for extension in names::SEGMENT_AND_SNAPSHOT {
            match disk.remove_file(&names::segment_file(dir, self.base_offset, extension)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Gives these files of a segment, those that there are, the names of deleted ones, which it returns; readers that hold them go on. Nothing is synced.
pub(crate) fn rename_deleted(
    disk: &dyn Disk,
    dir: &Path,
    base_offset: i64,
    extensions: impl IntoIterator<Item = &'static str>,
) -> io::Result<Vec<PathBuf>> {
    let mut renamed = Vec::new();
    for extension in extensions {
        let to = names::deleted_file(dir, base_offset, extension);
        match disk.rename(&names::segment_file(dir, base_offset, extension), &to) {
            Ok(()) => renamed.push(to),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(renamed)
}
