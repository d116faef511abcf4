//! Notify events, straight from inotify.
//!
//! The kernel merges repeated events while nobody reads them. So they are read once per turn of the reading thread, not
//! by a thread of their own that each write would wake: a busy file then costs one event per turn.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};

/// Something that happened in a watched directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Modified(PathBuf),
    /// Created, or moved in from elsewhere.
    Appeared(PathBuf),
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    /// Deleted, or moved elsewhere.
    Vanished(PathBuf),
    /// Events were lost: everything must be looked at.
    Overflow,
}

pub(crate) struct Watcher {
    fd: OwnedFd,
    dirs: HashMap<i32, PathBuf>,
    watched: HashMap<PathBuf, i32>,
    buffer: Box<[MaybeUninit<u8>]>,
}

impl Watcher {
    pub(crate) fn new() -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let buffer = vec![MaybeUninit::uninit(); 64 << 10].into_boxed_slice();
        Ok(Self { fd, dirs: HashMap::new(), watched: HashMap::new(), buffer })
    }

    /// Watches a directory's files, if it is not watched yet; whether it was new.
    pub(crate) fn watch(&mut self, dir: &Path) -> io::Result<bool> {
        if self.watched.contains_key(dir) {
            return Ok(false);
        }
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let watch = inotify::add_watch(&self.fd, dir, flags)?;
        self.watched.insert(dir.to_owned(), watch);
        self.dirs.insert(watch, dir.to_owned());
        Ok(true)
    }

    /// Appends what has happened since the last call.
    pub(crate) fn read(&mut self, changes: &mut Vec<Change>) {
        // A rename's two halves come one after the other.
        let mut from: Option<(u32, PathBuf)> = None;
        let mut gone = Vec::new();
        let mut reader = inotify::Reader::new(&self.fd, &mut self.buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                // Nothing more, or nothing to be had: the periodic scan goes on.
                Err(_) => break,
            };
            let (flags, cookie, wd) = (event.events(), event.cookie(), event.wd());
            let name: OsString =
                event.file_name().map_or_else(OsString::new, |n| OsStr::from_bytes(n.to_bytes()).into());
            if let Some((pending, path)) = from.take() {
                if flags.contains(ReadFlags::MOVED_TO)
                    && pending == cookie
                    && let Some(dir) = self.dirs.get(&wd)
                {
                    changes.push(Change::Renamed { from: path, to: dir.join(name) });
                    continue;
                }
                changes.push(Change::Vanished(path));
            }
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.push(Change::Overflow);
                continue;
            }
            let Some(dir) = self.dirs.get(&wd) else { continue };
            if flags.intersects(ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT)
            {
                gone.push((wd, flags.contains(ReadFlags::IGNORED)));
                changes.push(Change::Vanished(dir.clone()));
                continue;
            }
            let path = dir.join(name);
            if flags.contains(ReadFlags::MODIFY) {
                changes.push(Change::Modified(path));
            } else if flags.contains(ReadFlags::MOVED_FROM) {
                from = Some((cookie, path));
            } else if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                changes.push(Change::Appeared(path));
            } else if flags.contains(ReadFlags::DELETE) {
                changes.push(Change::Vanished(path));
            }
        }
        changes.extend(from.map(|(_, path)| Change::Vanished(path)));
        for (wd, removed) in gone {
            if let Some(dir) = self.dirs.remove(&wd) {
                self.watched.remove(&dir);
                if !removed {
                    // A directory that moved away is found again by the next scan.
                    let _ = inotify::remove_watch(&self.fd, wd);
                }
            }
        }
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::fs;

    use super::*;

    #[test]
    fn writes_renames_and_removals_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut watcher = Watcher::new().unwrap();
        assert!(watcher.watch(dir.path()).unwrap());
        assert!(!watcher.watch(dir.path()).unwrap());
        fs::write(path("a"), "x").unwrap();
        fs::rename(path("a"), path("b")).unwrap();
        fs::remove_file(path("b")).unwrap();
        let mut changes = Vec::new();
        watcher.read(&mut changes);
        let expected = [
            Change::Appeared(path("a")),
            Change::Modified(path("a")),
            Change::Renamed { from: path("a"), to: path("b") },
            Change::Vanished(path("b")),
        ];
        assert_eq!(expected.as_slice(), changes);
    }
}
