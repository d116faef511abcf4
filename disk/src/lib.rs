//! The disk as durable code sees it: a small set of operations, real or simulated.
//!
//! Whatever must survive a power cut (segments, write-ahead logs, checkpoints) goes through [`Disk`], so that the
//! crash simulator ([`sim`]) can cut the sequence of operations anywhere and lose what was not synced.
//! Invariant: a name is durable only after its directory was synced, data only after its file (or file system) was.

use std::{
    io,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

mod real;
mod replace;
pub mod sim;

pub use real::RealDisk;
pub use replace::{ReplaceSites, replace_file};

/// Which sync call of the program this is, for error messages, metrics and planted faults ("segment roll", …).
pub type SyncSite = &'static str;

/// File-system operations. Paths are absolute or relative to the process.
pub trait Disk: Send + Sync + 'static {
    /// Opens for reading and writing; `create` makes a missing file (its name is durable after `sync_dir` of its parent). Without `create`, on a file
    /// system that the kernel made read-only after an error, for reading alone.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>>;
    /// Each new directory's name is durable after `sync_dir` of its parent.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The full paths of what a directory holds, unordered.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    fn exists(&self, path: &Path) -> bool;
    fn is_dir(&self, path: &Path) -> bool;
    /// Length in bytes without opening the file.
    fn file_len(&self, path: &Path) -> io::Result<u64>;
    /// When something was last written to the file, ms since 1970. A simulated disk does not know.
    fn modified_ms(&self, path: &Path) -> io::Result<i64>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in `path` durable.
    fn sync_dir(&self, path: &Path, site: SyncSite) -> io::Result<()>;
    /// Bytes free for unprivileged writers on the file system of `path`.
    fn free_space(&self, path: &Path) -> io::Result<u64>;
    /// Bytes of the whole file system of `path`.
    fn total_space(&self, path: &Path) -> io::Result<u64>;
    /// A handle for syncing the whole file system of `path`, to be held from start (see `FileSystem`).
    fn file_system(&self, path: &Path) -> io::Result<Arc<dyn FileSystem>>;
    /// Takes the exclusive lock (flock) of the file at `path`, creating it; free again when the value is dropped or the
    /// process dies. `WouldBlock` when another holds it. A simulated disk has one process, whose locks always succeed.
    fn lock(&self, path: &Path) -> io::Result<DiskLock>;
}

/// A held lock.
pub struct DiskLock {
    _file: Option<std::fs::File>,
}

/// An open file. Offsets in bytes.
pub trait DiskFile: Send + Sync + 'static {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// May read less than asked for; 0 at the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reserves blocks up to `len` without changing the length (FALLOC_FL_KEEP_SIZE); best effort.
    fn preallocate(&self, len: u64) -> io::Result<()>;
    /// fdatasync: data and the length needed to read it.
    fn sync_data(&self, site: SyncSite) -> io::Result<()>;
    /// Drops what memory holds of the file and need not be written (POSIX_FADV_DONTNEED), so that the next read sees the disk: after a failed sync
    /// memory holds what the disk does not.
    fn forget_cached(&self) -> io::Result<()>;
    /// The descriptor, for sendfile; none when simulated.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

/// A file system held open, so that syncfs reports errors that happened since.
pub trait FileSystem: Send + Sync + 'static {
    /// Whether syncfs both writes and reports errors here (ext4, xfs, btrfs; kernel ≥ 5.17).
    fn syncfs_is_trustworthy(&self) -> bool;
    fn syncfs(&self, site: SyncSite) -> io::Result<()>;
}

/// Reads a whole file; at most `limit` bytes, more is an error (checkpoints are small, a damaged one is not to fill the memory).
pub fn read_file(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, false)?;
    let len = file.len()?;
    if len > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} has {len} bytes, expected at most {limit}", path.display()),
        ));
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
