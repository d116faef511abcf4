//! The operating system's disk (Linux).

use crate::{Disk, DiskFile, DiskLock, FileSystem, SyncSite};
use rustix::{
    fs::{
        Advice, FallocateFlags, FlockOperation, fadvise, fallocate, fdatasync, flock, fstatfs, fsync, statvfs, syncfs,
    },
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::FileExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

/// The real file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(false);
        let file = match options.open(path) {
            Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem && !create => fs::File::open(path)?,
            opened => opened?,
        };
        Ok(Arc::new(RealFile { file }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        let modified = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        i64::try_from(modified.as_millis()).map_err(io::Error::other)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path, site: SyncSite) -> io::Result<()> {
        let dir = File::open(path)?;
        fsync(&dir).map_err(|e| sync_error("fsync of a directory", site, e))
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let stat = statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn total_space(&self, path: &Path) -> io::Result<u64> {
        let stat = statvfs(path)?;
        Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
    }

    fn file_system(&self, path: &Path) -> io::Result<Arc<dyn FileSystem>> {
        let dir = File::open(path)?;
        let kind = fstatfs(&dir)?.f_type;
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy().into_owned();
        let trustworthy = syncfs_reports_errors(i128::from(kind), &release);
        Ok(Arc::new(RealFileSystem { dir, trustworthy }))
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DiskLock { _file: Some(file) }),
            Err(e) => Err(e.into()),
        }
    }
}

/// ext4, xfs and btrfs since 5.17 (xfs returned no error from syncfs before); anything unknown is not believed.
fn syncfs_reports_errors(file_system: i128, kernel_release: &str) -> bool {
    const EXT4: i128 = 0xEF53;
    const XFS: i128 = 0x5846_5342;
    const BTRFS: i128 = 0x9123_683E;
    let mut numbers = kernel_release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    // The type is a signed or unsigned word, depending on the platform.
    let file_system = file_system & 0xFFFF_FFFF;
    [EXT4, XFS, BTRFS].contains(&file_system) && version >= (5, 17)
}

fn sync_error(call: &str, site: SyncSite, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{call} ({site}): {error}"))
}

struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, len) {
            // Not every file system can; it is only a saving.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn sync_data(&self, site: SyncSite) -> io::Result<()> {
        fdatasync(&self.file).map_err(|e| sync_error("fdatasync", site, e))
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

struct RealFileSystem {
    dir: File,
    trustworthy: bool,
}

impl FileSystem for RealFileSystem {
    fn syncfs_is_trustworthy(&self) -> bool {
        self.trustworthy
    }

    fn syncfs(&self, site: SyncSite) -> io::Result<()> {
        syncfs(&self.dir).map_err(|e| sync_error("syncfs", site, e))
    }
}

impl DiskLock {
    /// A lock that locks nothing, for disks with one process.
    pub(crate) fn none() -> Self {
        Self { _file: None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::{ReplaceSites, read_file, replace_file};

    #[test]
    fn a_file_written_is_read_back_and_its_lock_excludes() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk;
        let path = dir.path().join("a");
        let file = disk.open(&path, true).unwrap();
        file.preallocate(1 << 16).unwrap();
        assert_eq!(file.len().unwrap(), 0);
        file.write_all_at(b"hello", 3).unwrap();
        file.sync_data("test").unwrap();
        file.forget_cached().unwrap();
        disk.sync_dir(dir.path(), "test").unwrap();
        assert_eq!(disk.file_len(&path).unwrap(), 8);
        assert!(disk.modified_ms(&path).unwrap() > 1_700_000_000_000);
        assert_eq!(read_file(&disk, &path, 8).unwrap(), b"\0\0\0hello");
        assert!(read_file(&disk, &path, 7).is_err());
        assert!(disk.free_space(dir.path()).unwrap() > 0);
        disk.file_system(dir.path()).unwrap().syncfs("test").unwrap();
        let sites = ReplaceSites { data: "d", dir: "n" };
        replace_file(&disk, &path, b"new", sites).unwrap();
        assert_eq!(read_file(&disk, &path, 8).unwrap(), b"new");

        let lock = disk.lock(&dir.path().join(".lock")).unwrap();
        let second = disk.lock(&dir.path().join(".lock")).err().unwrap();
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        drop(lock);
        disk.lock(&dir.path().join(".lock")).unwrap();
    }

    #[test]
    fn syncfs_is_believed_only_where_it_reports_errors() {
        assert!(syncfs_reports_errors(0xEF53, "6.18.44-x"));
        assert!(syncfs_reports_errors(0x5846_5342, "5.17.0"));
        assert!(!syncfs_reports_errors(0xEF53, "5.16.20"));
        assert!(!syncfs_reports_errors(0x0102_1994, "6.1.0"));
        assert!(!syncfs_reports_errors(0xEF53, "unknown"));
    }
}
