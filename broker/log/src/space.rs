//! The free-space reserve: appends are refused before the disk is full, so that ENOSPC never reaches a sync.

use logmill_disk::Disk;
use parking_lot::Mutex;
use std::{
    io,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
};

/// Bytes handed out between two looks at the file system, at most.
const LARGEST_CHUNK: u64 = 64 << 20;

/// Asks the file system only once per chunk of appended bytes.
pub(crate) struct Space {
    reserve: u64,
    left: AtomicI64,
    asking: Mutex<()>,
}

impl Space {
    pub(crate) fn new(reserve: u64) -> Self {
        Self { reserve, left: AtomicI64::new(0), asking: Mutex::new(()) }
    }

    /// Whether `bytes` may be written without going below the reserve.
    pub(crate) fn take(&self, disk: &dyn Disk, root: &Path, bytes: u64) -> io::Result<bool> {
        let wanted = i64::try_from(bytes).unwrap_or(i64::MAX);
        if self.left.fetch_sub(wanted, Ordering::Relaxed) >= wanted {
            return Ok(true);
        }
        let _one = self.asking.lock();
        let usable = disk.free_space(root)?.saturating_sub(self.reserve);
        if usable < bytes {
            self.left.store(0, Ordering::Relaxed);
            return Ok(false);
        }
        // Others write to this file system too: the chunk is a part of the reserve.
        let chunk = (self.reserve / 4).clamp(1 << 20, LARGEST_CHUNK).min(usable - bytes);
        self.left.store(i64::try_from(chunk).unwrap_or(i64::MAX), Ordering::Relaxed);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use logmill_disk::sim::SimDisk;

    #[test]
    fn the_reserve_is_never_used() {
        let disk = SimDisk::new();
        let space = Space::new(1000);
        disk.set_capacity(Some(1500));
        assert!(space.take(&disk, Path::new("/"), 400).unwrap());
        // 100 of the first look are left.
        assert!(space.take(&disk, Path::new("/"), 100).unwrap());
        disk.set_capacity(Some(1050));
        assert!(!space.take(&disk, Path::new("/"), 51).unwrap());
        assert!(space.take(&disk, Path::new("/"), 50).unwrap());
        disk.set_capacity(None);
        assert!(space.take(&disk, Path::new("/"), 1 << 30).unwrap());
    }
}
