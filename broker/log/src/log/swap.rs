//! Replacing segments by a compacted one so that after a power cut the log has either the old ones or the new one, by Kafka's names.
//!
//! 1. The replacement is written as `<base>.log.cleaned` (with its indexes) and synced.
//! 2. Its files become `.swap` and the directory is synced: that decides it.
//! 3. The files of the replaced segments become `.deleted`, the indexes take their names, the directory is synced.
//! 4. `<base>.log.swap` becomes `<base>.log`.
//! 5. The directory is synced, before the next replacement is begun: its `.cleaned` must never be seen beside this `.swap`.
//!
//! A start that finds a `.swap` does steps 3 to 5 again; the replacement's last batch says how far it reaches. A `.swap` beside a `.cleaned` was not
//! decided, nor is one of a later base (several replacements are decided together): they go.

use crate::{
    batch_scan::{BatchReader, damaged},
    names,
    segment::{Indexes, rename_deleted},
};
use logmill_disk::Disk;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Step 2.
pub(super) fn commit(disk: &dyn Disk, dir: &Path, base: i64) -> io::Result<()> {
    // The log last: it is what a start looks for.
    for extension in names::SEGMENT_FILES.into_iter().rev() {
        let from = names::cleaned_file(dir, base, extension);
        if extension == names::TXN_INDEX && !disk.exists(&from) {
            continue;
        }
        disk.rename(&from, &names::swap_file(dir, base, extension))?;
    }
    disk.sync_dir(dir, "compaction commit")
}

/// Steps 3 to 5. Returns what the replaced files are called now.
pub(super) fn finish(disk: &dyn Disk, dir: &Path, base: i64, replaced: &[i64]) -> io::Result<Vec<PathBuf>> {
    // Its producer snapshot is still that of where it begins.
    let mut deleted = rename_deleted(disk, dir, base, [names::LOG, names::INDEX, names::TIME_INDEX])?;
    for other in replaced {
        deleted.extend(rename_deleted(disk, dir, *other, names::SEGMENT_AND_SNAPSHOT)?);
    }
    for extension in [names::INDEX, names::TIME_INDEX, names::TXN_INDEX] {
        let swap = names::swap_file(dir, base, extension);
        if disk.exists(&swap) {
            // The aborted transactions are looked up meanwhile: one list or the other.
            disk.rename(&swap, &names::segment_file(dir, base, extension))?;
        } else {
            deleted.extend(rename_deleted(disk, dir, base, [extension])?);
        }
    }
    disk.sync_dir(dir, "compaction removal")?;
    disk.rename(&names::swap_file(dir, base, names::LOG), &names::segment_file(dir, base, names::LOG))?;
    disk.sync_dir(dir, "compaction end")?;
    Ok(deleted)
}

/// Completes what was decided when the last broker ended, and takes back what was not.
pub(super) fn recover(disk: &dyn Disk, dir: &Path, index_interval: u32) -> io::Result<()> {
    let (mut cleaned, mut swaps, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for path in disk.read_dir(dir)? {
        match names::parse_segment_file(&path) {
            Some((base, extension)) if extension.ends_with(names::CLEANED) => cleaned.push((base, path)),
            Some((base, extension)) if extension.ends_with(names::SWAP) => swaps.push((base, path)),
            Some((base, names::LOG | names::INDEX | names::TIME_INDEX | names::TXN_INDEX | names::SNAPSHOT)) => {
                others.push((base, path));
            }
            _ => {}
        }
    }
    let undecided = cleaned.iter().map(|(base, _)| *base).min().unwrap_or(i64::MAX);
    if swaps.iter().any(|(base, _)| *base >= undecided) {
        for (_, path) in swaps.extract_if(.., |(base, _)| *base >= undecided) {
            disk.remove_file(&path)?;
        }
        // Before what shows that they were not decided.
        disk.sync_dir(dir, "recovery directory")?;
    }
    for (_, path) in cleaned {
        disk.remove_file(&path)?;
    }
    let mut bases: Vec<i64> = swaps
        .iter()
        .filter(|(_, path)| names::parse_segment_file(path).is_some_and(|(_, name)| name == names::LOG_SWAP))
        .map(|(base, _)| *base)
        .collect();
    bases.sort_unstable();
    for base in bases {
        tracing::info!(dir = %dir.display(), segment = base, "completing the replacement of compacted segments");
        // If the last broker was killed, what decided it may be in memory only.
        disk.sync_dir(dir, "recovery directory")?;
        let end = index_anew(disk, dir, base, index_interval)?;
        let replaced: Vec<i64> =
            others.iter().map(|(other, _)| *other).filter(|other| base < *other && *other < end).collect();
        finish(disk, dir, base, &replaced)?;
    }
    // Indexes whose log was never decided.
    for (_, path) in swaps {
        remove(disk, &path)?;
    }
    Ok(())
}

/// Checks a decided replacement and writes its indexes; returns where it ends.
fn index_anew(disk: &dyn Disk, dir: &Path, base: i64, index_interval: u32) -> io::Result<i64> {
    let path = names::swap_file(dir, base, names::LOG);
    let file = disk.open(&path, false)?;
    let size = file.len()?;
    let mut indexes = Indexes::empty();
    let mut reader = BatchReader::new(&*file, 0, size);
    let (mut end, mut position) = (base, 0);
    while position < size {
        let Some(found) = reader.next_valid()? else {
            // It was synced before it got this name: the disk has changed it, and what it replaced may be gone.
            return Err(damaged(position, &format!("{}: expected whole batches", path.display())));
        };
        indexes.add(base, &found, index_interval);
        end = found.header.next_offset();
        position = found.end();
    }
    indexes.add_time(base);
    let (offsets, times) = indexes.encode();
    for (extension, bytes) in [(names::INDEX, offsets), (names::TIME_INDEX, times)] {
        let file = disk.open(&names::swap_file(dir, base, extension), true)?;
        file.set_len(0)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_data("compaction recovery index")?;
    }
    Ok(end)
}

fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
