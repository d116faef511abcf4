//! Walks directories, never into what must not be tailed, never round in circles.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs, io,
    os::unix::fs::DirEntryExt,
    path::{Path, PathBuf},
};

use super::patterns::Base;
use crate::identity::Stat;

/// What marks a directory of a Kafka or logmill broker: its files are not logs to be tailed.
const BROKER_MARKS: [&str; 2] = ["partition.metadata", "meta.properties"];

/// The files (no directories) of one directory, with their inodes.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) dir: PathBuf,
    pub(crate) files: Vec<(OsString, u64)>,
}

/// Collects listings; each directory once, however many globs lead to it.
pub(crate) struct Walker<'a> {
    /// Device and inode of the agent's own state directory.
    pub(crate) forbidden: (u64, u64),
    seen: HashSet<(u64, u64)>,
    pub(crate) listings: Vec<Listing>,
    /// Called for what cannot be read.
    pub(crate) warn: &'a mut dyn FnMut(&Path, &io::Error),
    /// Called before a directory is listed, so that nothing that comes meanwhile is missed.
    enter: &'a mut dyn FnMut(&Path),
}

impl<'a> Walker<'a> {
    pub(crate) fn new(
        forbidden: (u64, u64),
        warn: &'a mut dyn FnMut(&Path, &io::Error),
        enter: &'a mut dyn FnMut(&Path),
    ) -> Self {
        Self { forbidden, seen: HashSet::new(), listings: Vec::new(), warn, enter }
    }

    pub(crate) fn walk(&mut self, base: &Base) {
        let mut todo = vec![(base.dir.clone(), base.depth)];
        while let Some((dir, depth)) = todo.pop() {
            match self.list(&dir) {
                Ok(Some(subdirs)) if depth > 0 => todo.extend(subdirs.into_iter().map(|d| (d, depth - 1))),
                Ok(_) => {}
                Err(e) => (self.warn)(&dir, &e),
            }
        }
    }

    /// Lists one directory; its subdirectories, or none when it was listed before or must not be.
    fn list(&mut self, dir: &Path) -> io::Result<Option<Vec<PathBuf>>> {
        let stat = Stat::of_path(dir)?;
        let key = (stat.dev, stat.ino);
        if key == self.forbidden || !self.seen.insert(key) {
            return Ok(None);
        }
        (self.enter)(dir);
        let (mut files, mut subdirs) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let name = entry.file_name();
            if kind.is_file() {
                if BROKER_MARKS.iter().any(|mark| name == *mark) {
                    return Ok(None);
                }
                files.push((name, entry.ino()));
            } else if kind.is_dir() {
                subdirs.push(entry.path());
            } else if kind.is_symlink() {
                // A dangling link is nobody's concern.
                if let Ok(target) = Stat::of_path(&entry.path()) {
                    if target.is_file() {
                        files.push((name, target.ino));
                    } else if target.kind == rustix::fs::FileType::Directory {
                        subdirs.push(entry.path());
                    }
                }
            }
        }
        self.listings.push(Listing { dir: dir.to_owned(), files });
        Ok(Some(subdirs))
    }
}
