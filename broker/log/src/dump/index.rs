//! The two indexes of a segment, held against the segment beside them.

use super::{
    Entry, Visit, read,
    segment::{Step, Walk},
};
use crate::{
    names,
    sparse_index::{OffsetEntry, TimeEntry},
};
use logmill_protocol::records::{BatchHeader, HEADER_BYTES};
use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

/// The entries, and what is left over.
fn entries<E: crate::sparse_index::Entry>(bytes: &[u8]) -> (Vec<E>, usize) {
    let whole = bytes.chunks_exact(E::BYTES);
    let left = whole.remainder().len();
    (whole.filter_map(E::decode).collect(), left)
}

fn log_beside(path: &Path, base: i64) -> io::Result<File> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let log = names::segment_file(dir, base, names::LOG);
    File::open(&log).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", log.display())))
}

fn left_over(left: usize, visit: &mut Visit<'_>) -> io::Result<()> {
    if left == 0 { Ok(()) } else { visit(Entry::of_file(format!("{left} bytes at the end are not an entry"))) }
}

/// Each entry is the place of a batch and its last offset, ascending.
pub(super) fn offsets(path: &Path, base: i64, visit: &mut Visit<'_>) -> io::Result<()> {
    let (entries, left) = entries::<OffsetEntry>(&read(path)?);
    let log = log_beside(path, base)?;
    let mut before: Option<OffsetEntry> = None;
    for entry in entries {
        let offset = base.saturating_add(i64::from(entry.relative));
        let ascends = before.is_none_or(|before| before.relative < entry.relative && before.position < entry.position);
        let mut header = [0; HEADER_BYTES];
        let found =
            log.read_exact_at(&mut header, entry.position.into()).ok().and_then(|()| BatchHeader::parse(&header).ok());
        let problem = match found {
            _ if !ascends => Some("not after the entry before".to_owned()),
            None => Some("no batch begins at its position".to_owned()),
            Some(header) if header.last_offset() != offset => {
                Some(format!("the batch at its position ends with offset {}", header.last_offset()))
            }
            Some(_) => None,
        };
        let fields = vec![("offset", offset.into()), ("position", entry.position.into())];
        visit(Entry::new("index", fields).with(problem))?;
        before = Some(entry);
    }
    left_over(left, visit)
}

/// Each entry is the newest timestamp so far and an offset in the batch that has it, ascending.
pub(super) fn times(path: &Path, base: i64, visit: &mut Visit<'_>) -> io::Result<()> {
    let (entries, left) = entries::<TimeEntry>(&read(path)?);
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut walk = Walk::open(&names::segment_file(dir, base, names::LOG))?;
    let (mut before, mut newest, mut here): (Option<TimeEntry>, i64, Option<BatchHeader>) = (None, -1, None);
    for entry in entries {
        let offset = base.saturating_add(i64::from(entry.relative));
        let ascends = before.is_none_or(|b| b.relative <= entry.relative && b.timestamp <= entry.timestamp);
        while here.is_none_or(|header| header.last_offset() < offset)
            && let Step::Batch(header, _) = walk.next()?
        {
            newest = newest.max(header.max_timestamp);
            here = Some(header);
        }
        let problem = match here {
            _ if !ascends => Some("not after the entry before".to_owned()),
            Some(header) if header.last_offset() < offset => Some("no batch has its offset".to_owned()),
            None => Some("no batch has its offset".to_owned()),
            Some(header) if header.max_timestamp != entry.timestamp => {
                Some(format!("the batch of its offset is of {}", header.max_timestamp))
            }
            Some(_) if newest > entry.timestamp => Some(format!("a batch before is of {newest}")),
            Some(_) => None,
        };
        let fields = vec![("timestamp", entry.timestamp.into()), ("offset", offset.into())];
        visit(Entry::new("time_index", fields).with(problem))?;
        before = Some(entry);
    }
    left_over(left, visit)
}
