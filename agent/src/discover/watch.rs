//! Notify events of watched directories, gathered until the reading thread asks for them.
//!
//! The notify crate calls [`Handler`] on a thread of its own for each event, so that little is done there and nothing
//! waited for: a file that is written over and over is one entry and one wake-up until the next [`Watcher::read`].
//! What is gathered is bounded; beyond that, as when the kernel's own queue overflows, all directories are walked.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{ErrorKind, Event, EventHandler, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;

use super::gather::{Change, Gathered};
use crate::wake::Waker;

pub(crate) struct Watcher {
    /// None where the system gives no watches at all: then files are found by scans alone.
    inner: Option<RecommendedWatcher>,
    gathered: Arc<Mutex<Gathered>>,
    waker: Waker,
    watched: HashSet<PathBuf>,
    /// No more watches could be had.
    exhausted: bool,
    warned: bool,
}

/// What the notify thread calls.
struct Handler {
    gathered: Arc<Mutex<Gathered>>,
    waker: Waker,
}

impl EventHandler for Handler {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        // Opening and closing say nothing new, and the agent's own reading causes them.
        if event.as_ref().is_ok_and(|e| e.kind.is_access()) {
            return;
        }
        let first = self.gathered.lock().add(event);
        if first {
            self.waker.wake();
        }
    }
}

impl Watcher {
    /// # Errors
    /// No descriptor for wake-ups can be had. That no watches can be had is no error, only a warning.
    pub(crate) fn new() -> io::Result<Self> {
        let waker = Waker::new()?;
        let gathered = Arc::<Mutex<Gathered>>::default();
        let handler = Handler { gathered: Arc::clone(&gathered), waker: waker.clone() };
        let inner = match notify::recommended_watcher(handler) {
            Ok(inner) => Some(inner),
            Err(error) => {
                tracing::warn!(
                    "cannot watch for changes: {error}; files are looked at every `rescan_interval` only (is the limit \
                     fs.inotify.max_user_instances reached?)"
                );
                None
            }
        };
        Ok(Self { inner, gathered, waker, watched: HashSet::new(), exhausted: false, warned: false })
    }

    /// Watches a directory's files, if it is not watched yet; whether it was new. That the limit on watches is reached
    /// is told once, and nothing more tried until [`Self::try_again`].
    pub(crate) fn watch(&mut self, dir: &Path) -> io::Result<bool> {
        let Some(inner) = self.inner.as_mut().filter(|_| !self.exhausted && !self.watched.contains(dir)) else {
            return Ok(false);
        };
        match inner.watch(dir, RecursiveMode::NonRecursive) {
            Ok(()) => Ok(self.watched.insert(dir.to_owned())),
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                self.exhausted = true;
                if !std::mem::replace(&mut self.warned, true) {
                    tracing::warn!(
                        directory = %dir.display(),
                        watched = self.watched.len(),
                        "cannot watch more directories: the limit fs.inotify.max_user_watches is reached, raise it; \
                         until then files in the others are looked at every `rescan_interval` only"
                    );
                }
                Ok(false)
            }
            Err(error) => Err(match error.kind {
                ErrorKind::Io(source) => source,
                ErrorKind::PathNotFound => io::ErrorKind::NotFound.into(),
                kind => io::Error::other(format!("{kind:?}")),
            }),
        }
    }

    /// Watches may be to be had again.
    pub(crate) fn try_again(&mut self) {
        self.exhausted = false;
    }

    /// Appends what has happened since the last call.
    pub(crate) fn read(&mut self, changes: &mut Vec<Change>) {
        self.waker.clear();
        let first = changes.len();
        self.gathered.lock().take(changes);
        let gone = |change: &Change| match change {
            Change::Vanished(path) | Change::Renamed { from: path, .. } => self.watched.contains(path),
            _ => false,
        };
        let gone: Vec<PathBuf> = changes[first..].iter().filter(|c| gone(c)).map(|c| c.path().to_owned()).collect();
        for dir in &gone {
            // Under its new name, and with what is in it, the next scan finds it again.
            let (inner, watched) = (&mut self.inner, &mut self.watched);
            watched.retain(|path| {
                let stays = !path.starts_with(dir);
                if !stays && let Some(inner) = inner {
                    // Mostly the notify crate has done so already.
                    drop(inner.unwatch(path));
                }
                stays
            });
        }
        if !gone.is_empty() {
            changes.push(Change::Overflow);
        }
    }

    /// Waits until all that has happened so far is gathered.
    #[cfg(test)]
    #[allow(clippy::unwrap_used, clippy::expect_used)]
    pub(crate) fn catch_up(&mut self) {
        use crate::clock::Now;
        let inner = self.inner.as_mut().expect("no watches to be had: fs.inotify.max_user_instances");
        let dir = tempfile::tempdir().unwrap();
        let fence = Change::Appeared(dir.path().join("fence"));
        inner.watch(dir.path(), RecursiveMode::NonRecursive).unwrap();
        std::fs::create_dir(fence.path()).unwrap();
        let deadline = Now::read().mono + std::time::Duration::from_secs(30);
        while !self.gathered.lock().contains(&fence) {
            assert!(Now::read().mono < deadline, "no event came");
            std::thread::park_timeout(std::time::Duration::from_micros(100));
        }
        inner.unwatch(dir.path()).unwrap();
        self.gathered.lock().retain(|c| !c.path().starts_with(dir.path()));
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::fs;

    use super::*;

    fn read(watcher: &mut Watcher) -> Vec<Change> {
        let mut changes = Vec::new();
        watcher.catch_up();
        watcher.read(&mut changes);
        changes
    }

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
        let expected = [
            Change::Appeared(path("a")),
            Change::Modified(path("a")),
            Change::Renamed { from: path("a"), to: path("b") },
            Change::Vanished(path("b")),
        ];
        assert_eq!(expected.as_slice(), read(&mut watcher));
        assert!(read(&mut watcher).is_empty());
    }

    #[test]
    fn a_directory_that_is_made_anew_is_watched_anew() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("logs");
        let mut watcher = Watcher::new().unwrap();
        for _ in 0..2 {
            fs::create_dir(&dir).unwrap();
            assert!(watcher.watch(&dir).unwrap());
            fs::write(dir.join("a"), "x").unwrap();
            assert!(read(&mut watcher).contains(&Change::Modified(dir.join("a"))));
            fs::remove_dir_all(&dir).unwrap();
            assert!(read(&mut watcher).contains(&Change::Overflow));
        }
        fs::create_dir(&dir).unwrap();
        watcher.watch(&dir).unwrap();
        fs::rename(&dir, top.path().join("moved")).unwrap();
        assert!(read(&mut watcher).contains(&Change::Overflow));
        fs::create_dir(&dir).unwrap();
        assert!(watcher.watch(&dir).unwrap());
    }

    #[test]
    fn without_watches_there_is_nothing_to_read_and_no_error() {
        let mut watcher = Watcher { inner: None, ..Watcher::new().unwrap() };
        assert!(!watcher.watch(Path::new("/")).unwrap());
        let mut changes = Vec::new();
        watcher.read(&mut changes);
        assert!(changes.is_empty());
    }
}
