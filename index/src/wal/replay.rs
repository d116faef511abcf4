//! Reading the log back after a restart.

use std::{
    io,
    path::{Path, PathBuf},
};

use logmill_disk::{Disk, DiskFile};

use super::{
    FILE_HEADER, MAGIC, Record,
    frame::{self, Place},
};
use crate::IndexError;

/// What the log held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// The first position nothing was ever written to.
    pub(crate) end: u64,
    pub(crate) records: u64,
    /// Bytes of a torn tail that were left out.
    pub(crate) cut: u64,
    /// The files, oldest first.
    pub(crate) files: Vec<PathBuf>,
}

/// Hands every record to `apply` in order.
///
/// # Errors
/// Unreadable files, damage before records that were durable, and what `apply` returns.
pub(crate) fn replay(
    disk: &dyn Disk,
    dir: &Path,
    mut apply: impl FnMut(Place, Record<'_>) -> Result<(), IndexError>,
) -> Result<Replayed, IndexError> {
    let mut files: Vec<(u64, PathBuf)> = disk
        .read_dir(dir)
        .map_err(IndexError::io(dir, "cannot list the write-ahead log"))?
        .into_iter()
        .filter_map(|path| {
            let base = path.file_name()?.to_str()?.strip_suffix(".wal")?.parse().ok()?;
            Some((base, dir.join(path.file_name()?)))
        })
        .collect();
    files.sort();
    let mut replayed = Replayed { files: files.iter().map(|(_, path)| path.clone()).collect(), ..Replayed::default() };
    // A torn frame is the end unless something behind it shows that it had been durable.
    let mut torn: Option<(PathBuf, u64)> = None;
    for (index, (base, path)) in files.iter().enumerate() {
        let bytes = read(disk, path).map_err(IndexError::io(path, "cannot read the write-ahead log"))?;
        replayed.end = replayed.end.max(base + bytes.len() as u64);
        let complete = bytes.len() as u64 >= FILE_HEADER && &bytes[..8] == MAGIC && bytes[8..16] == base.to_le_bytes();
        let mut at = if complete { FILE_HEADER as usize } else { 0 };
        if complete && torn.is_none() {
            while let Some(frame) = frame::decode(&bytes[at..], base + at as u64) {
                let position = base + at as u64;
                let records =
                    frame::records(frame.records, position).ok_or_else(|| damaged(path, at, "an unknown record"))?;
                for (place, record) in records {
                    apply(place, record)?;
                    replayed.records += 1;
                }
                at += frame.length;
            }
        }
        let next = files.get(index + 1).map(|(next, _)| *next);
        if at == bytes.len() && complete && next.is_none_or(|next| next == base + at as u64) {
            continue;
        }
        let (torn_path, torn_at) = torn.get_or_insert_with(|| (path.clone(), base + at as u64)).clone();
        replayed.cut += (bytes.len() - at) as u64;
        if let Some(durable) = claims(&bytes, *base, at).filter(|durable| *durable > torn_at) {
            return Err(IndexError::Damaged {
                path: torn_path,
                reason: format!(
                    "records at position {torn_at} are unreadable, yet the log was on disk up to {durable}; restore the file, or move it away to go on without them"
                ),
            });
        }
    }
    Ok(replayed)
}

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file: std::sync::Arc<dyn DiskFile> = disk.open(path, false)?;
    let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn damaged(path: &Path, at: usize, what: &str) -> IndexError {
    IndexError::Damaged {
        path: path.to_owned(),
        reason: format!("{what} at byte {at}; was it written by a newer version?"),
    }
}

/// The furthest position that any readable frame behind `from` calls durable.
fn claims(bytes: &[u8], base: u64, from: usize) -> Option<u64> {
    let mut at = from.max(FILE_HEADER as usize);
    let mut durable = None;
    while at + frame::HEADER <= bytes.len() {
        let position = base + at as u64;
        // Cheap test first: a frame names its own position.
        if bytes[at + 8..at + 16] == position.to_le_bytes()
            && let Some(frame) = frame::decode(&bytes[at..], position)
        {
            durable = durable.max(Some(frame.durable));
            at += frame.length;
        } else {
            at += 1;
        }
    }
    durable
}
