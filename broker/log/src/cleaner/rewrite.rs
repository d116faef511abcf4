//! Writes a group of segments anew as one: `<base>.log.cleaned` with its indexes, all synced, nothing in place yet.

use super::{
    pace::Interrupted,
    pass::{CleanError, Pass},
    retain::{Counts, Kept, Rules},
    transactions::Transactions,
};
use crate::{
    aborted_index,
    batch_scan::{BatchReader, Found, damaged},
    names,
    segment::{Indexes, Segment},
};
use logmill_disk::{Disk, DiskFile};
use logmill_protocol::records::{Batch, BatchHeader};
use std::{io, path::Path, sync::Arc};

/// Written at once.
const BLOCK: usize = 256 << 10;

/// A group's replacement, durable but for its names.
pub(crate) struct Cleaned {
    pub base_offset: i64,
    pub bytes: u64,
    /// Whether it differs at all from what it replaces.
    pub changed: bool,
}

/// The file being written.
struct Output {
    file: Arc<dyn DiskFile>,
    base_offset: i64,
    index_interval: u32,
    buffer: Vec<u8>,
    /// Bytes before the buffer.
    written: u64,
    indexes: Indexes,
}

impl Output {
    fn create(disk: &dyn Disk, dir: &Path, base_offset: i64, index_interval: u32) -> io::Result<Self> {
        let file = disk.open(&names::cleaned_file(dir, base_offset, names::LOG), true)?;
        file.set_len(0)?;
        Ok(Self { file, base_offset, index_interval, buffer: Vec::new(), written: 0, indexes: Indexes::empty() })
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let header = BatchHeader::parse(bytes).map_err(io::Error::other)?;
        let position = self.written + self.buffer.len() as u64;
        if position + bytes.len() as u64 > u64::from(i32::MAX.unsigned_abs()) {
            return Err(io::Error::other("the compacted segment would exceed 2 GiB"));
        }
        self.indexes.add(self.base_offset, &Found { position, header }, self.index_interval);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Rewrites `group`; on success its files are there under their `.cleaned` names, synced.
pub(crate) fn rewrite(
    pass: &mut Pass<'_>,
    rules: &Rules<'_>,
    transactions: &mut Transactions,
    group: &[Arc<Segment>],
    counts: &mut Counts,
) -> Result<Cleaned, CleanError> {
    let (disk, dir) = (pass.disk, pass.dir);
    let Some(base_offset) = group.first().map(|segment| segment.base_offset) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    };
    let mut output = Output::create(disk, dir, base_offset, pass.config.index_interval_bytes)?;
    let mut changed = group.len() > 1;
    for (at, segment) in group.iter().enumerate() {
        let size = segment.size(disk, dir)?;
        let file = segment.file(disk, dir)?;
        let mut reader = BatchReader::new(&*file, 0, size);
        let mut position = 0;
        while position < size {
            let Some((found, bytes)) = reader.next_with_bytes()? else {
                return Err(damaged(position, &format!("damaged batch in segment {}", segment.base_offset)).into());
            };
            position = found.end();
            let ends_segment = at + 1 == group.len() && position == size;
            let batch = Batch { header: found.header, bytes };
            let kept = rules
                .judge(&batch, transactions, ends_segment, counts)
                .map_err(|e| damaged(found.position, &format!("segment {}: {e}", segment.base_offset)))?;
            let before = output.written;
            match &kept {
                Kept::Whole => output.push(bytes)?,
                Kept::Changed(bytes) => output.push(bytes)?,
                Kept::Nothing => {}
            }
            changed |= kept != Kept::Whole;
            pass.spend(bytes.len() as u64 + output.written - before)?;
        }
    }
    output.flush()?;
    output.file.sync_data("compaction data")?;
    output.indexes.add_time(base_offset);
    let bytes = output.written;
    let (offsets, times) = output.indexes.encode();
    write(disk, dir, base_offset, names::INDEX, &offsets)?;
    write(disk, dir, base_offset, names::TIME_INDEX, &times)?;
    let aborted = transactions.take_kept();
    if !aborted.is_empty() {
        write(disk, dir, base_offset, names::TXN_INDEX, &aborted_index::encode(&aborted))?;
    }
    pass.bytes_written += bytes;
    Ok(Cleaned { base_offset, bytes, changed })
}

fn write(disk: &dyn Disk, dir: &Path, base_offset: i64, extension: &str, bytes: &[u8]) -> io::Result<()> {
    let file = disk.open(&names::cleaned_file(dir, base_offset, extension), true)?;
    file.set_len(0)?;
    if !bytes.is_empty() {
        file.write_all_at(bytes, 0)?;
    }
    file.sync_data("compaction index")
}

impl From<Interrupted> for CleanError {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}
