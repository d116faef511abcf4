//! The simulated file system's state: what is seen, what is durable, and what is pending between the two.

use super::{Fault, Op, OpKind};
use crate::SyncSite;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io,
    path::{Component, Path, PathBuf},
};

pub(super) type InodeId = usize;
pub(super) const ROOT: InodeId = 0;

#[derive(Clone)]
pub(super) enum Inode {
    File(FileState),
    Dir(DirState),
}

/// A file: the live bytes, the durable bytes, and the changes that make the one of the other.
#[derive(Clone, Default)]
pub(super) struct FileState {
    pub live: Vec<u8>,
    pub durable: Vec<u8>,
    pub pending: Vec<Change>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

#[derive(Clone, Default)]
pub(super) struct DirState {
    pub live: BTreeMap<OsString, InodeId>,
    pub durable: BTreeMap<OsString, InodeId>,
}

/// A pending change of names.
#[derive(Clone)]
pub(super) enum NameChange {
    Link { dir: InodeId, name: OsString, inode: InodeId },
    Unlink { dir: InodeId, name: OsString },
    Rename { from: InodeId, name: OsString, to: InodeId, new_name: OsString, inode: InodeId },
}

impl NameChange {
    pub(super) fn touches(&self, wanted: InodeId) -> bool {
        match self {
            Self::Link { dir, .. } | Self::Unlink { dir, .. } => *dir == wanted,
            Self::Rename { from, to, .. } => *from == wanted || *to == wanted,
        }
    }
}

pub(super) struct State {
    pub inodes: Vec<Inode>,
    pub names: Vec<NameChange>,
    pub record: Vec<Op>,
    /// Operations from this number on fail.
    pub cut_after: Option<u64>,
    pub operations: u64,
    pub faults: Vec<Fault>,
    /// Syncs so far by site.
    pub sites: BTreeMap<SyncSite, u64>,
    /// Counts power cycles: files opened before one are dead.
    pub generation: u64,
    pub capacity: Option<u64>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            inodes: vec![Inode::Dir(DirState::default())],
            names: Vec::new(),
            record: Vec::new(),
            cut_after: None,
            operations: 0,
            faults: Vec::new(),
            sites: BTreeMap::new(),
            generation: 0,
            capacity: None,
        }
    }

    /// Every operation, reads included, fails once the power is off.
    pub(super) fn check_power(&self) -> io::Result<()> {
        match self.cut_after {
            Some(cut) if self.operations >= cut => Err(io::Error::other("simulated power cut")),
            _ => Ok(()),
        }
    }

    /// Counts and records a changing operation, or fails if the power goes before it.
    pub(super) fn begin(&mut self, op: Op) -> io::Result<()> {
        if let Some(cut) = self.cut_after
            && self.operations >= cut
        {
            return Err(io::Error::other("simulated power cut"));
        }
        self.operations += 1;
        self.record.push(op);
        Ok(())
    }

    pub(super) fn file(&mut self, inode: InodeId) -> io::Result<&mut FileState> {
        match self.inodes.get_mut(inode) {
            Some(Inode::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn dir(&mut self, inode: InodeId) -> io::Result<&mut DirState> {
        match self.inodes.get_mut(inode) {
            Some(Inode::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn look_up(&self, path: &Path) -> io::Result<InodeId> {
        let mut at = ROOT;
        for name in normal(path) {
            let Some(Inode::Dir(dir)) = self.inodes.get(at) else { return Err(io::ErrorKind::NotADirectory.into()) };
            at = *dir.live.get(name).ok_or_else(|| not_found(path))?;
        }
        Ok(at)
    }

    /// The directory that holds `path`, and its name in there.
    pub(super) fn parent(&self, path: &Path) -> io::Result<(InodeId, OsString)> {
        let name = path.file_name().ok_or_else(|| not_found(path))?.to_owned();
        let parent = self.look_up(path.parent().unwrap_or(Path::new("")))?;
        Ok((parent, name))
    }

    pub(super) fn link(&mut self, dir: InodeId, name: OsString, new: Inode) -> io::Result<InodeId> {
        let inode = self.inodes.len();
        self.inodes.push(new);
        self.dir(dir)?.live.insert(name.clone(), inode);
        self.names.push(NameChange::Link { dir, name, inode });
        Ok(inode)
    }

    pub(super) fn unlink(&mut self, dir: InodeId, name: OsString) -> io::Result<()> {
        self.dir(dir)?.live.remove(&name);
        self.names.push(NameChange::Unlink { dir, name });
        Ok(())
    }

    pub(super) fn used(&self) -> u64 {
        let mut reachable = BTreeSet::new();
        let mut stack = vec![ROOT];
        let mut used = 0;
        while let Some(inode) = stack.pop() {
            if !reachable.insert(inode) {
                continue;
            }
            match self.inodes.get(inode) {
                Some(Inode::Dir(dir)) => stack.extend(dir.live.values()),
                Some(Inode::File(file)) => used += file.live.len() as u64,
                None => {}
            }
        }
        used
    }

    /// Whether this sync is to do something, nothing, or fail.
    pub(super) fn sync_outcome(&mut self, site: SyncSite) -> SyncOutcome {
        let nth = self.sites.entry(site).or_insert(0);
        let this = *nth;
        *nth += 1;
        for fault in &self.faults {
            match *fault {
                Fault::Skip(skipped) if skipped == site => return SyncOutcome::Skip,
                Fault::FailOnce { site: failing, nth } if failing == site && nth == this => return SyncOutcome::Fail,
                #[allow(clippy::panic)]
                Fault::PanicOnce { site: panicking, nth } if panicking == site && nth == this => {
                    panic!("planted at {site}")
                }
                _ => {}
            }
        }
        SyncOutcome::Sync
    }

    pub(super) fn sync_file(&mut self, inode: InodeId, site: SyncSite, outcome: SyncOutcome) -> io::Result<()> {
        let file = self.file(inode)?;
        match outcome {
            SyncOutcome::Skip => Ok(()),
            SyncOutcome::Sync => {
                for change in std::mem::take(&mut file.pending) {
                    apply(&mut file.durable, &change, |_| true);
                }
                Ok(())
            }
            SyncOutcome::Fail => {
                file.pending.clear();
                Err(eio(site))
            }
        }
    }

    pub(super) fn sync_dir(&mut self, dir: InodeId, site: SyncSite, outcome: SyncOutcome) -> io::Result<()> {
        match outcome {
            SyncOutcome::Skip => Ok(()),
            // Names of a failed directory sync stay pending: a journal that cannot be written stops the file system.
            SyncOutcome::Fail => Err(eio(site)),
            SyncOutcome::Sync => {
                let (now, later) = std::mem::take(&mut self.names).into_iter().partition(|change| change.touches(dir));
                self.names = later;
                let now: Vec<NameChange> = now;
                for change in now {
                    self.apply_name(&change);
                }
                Ok(())
            }
        }
    }

    pub(super) fn sync_all(&mut self, site: SyncSite, outcome: SyncOutcome) -> io::Result<()> {
        match outcome {
            SyncOutcome::Skip => return Ok(()),
            SyncOutcome::Sync => {
                for change in std::mem::take(&mut self.names) {
                    self.apply_name(&change);
                }
            }
            SyncOutcome::Fail => {}
        }
        for inode in 0..self.inodes.len() {
            if matches!(self.inodes.get(inode), Some(Inode::File(_))) {
                let _ = self.sync_file(inode, site, outcome);
            }
        }
        match outcome {
            SyncOutcome::Fail => Err(eio(site)),
            _ => Ok(()),
        }
    }

    /// Makes one change of names durable.
    pub(super) fn apply_name(&mut self, change: &NameChange) {
        let mut set = |dir: InodeId, name: &OsString, inode: Option<InodeId>| {
            if let Some(Inode::Dir(dir)) = self.inodes.get_mut(dir) {
                match inode {
                    Some(inode) => dir.durable.insert(name.clone(), inode),
                    None => dir.durable.remove(name),
                };
            }
        };
        match change {
            NameChange::Link { dir, name, inode } => set(*dir, name, Some(*inode)),
            NameChange::Unlink { dir, name } => set(*dir, name, None),
            NameChange::Rename { from, name, to, new_name, inode } => {
                set(*from, name, None);
                set(*to, new_name, Some(*inode));
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum SyncOutcome {
    Sync,
    Skip,
    Fail,
}

/// Applies a change to a file's bytes; of a write only the sectors that `keep` says (numbered in the file).
pub(super) fn apply(bytes: &mut Vec<u8>, change: &Change, mut keep: impl FnMut(u64) -> bool) {
    match change {
        Change::SetLen(len) => bytes.resize(*len as usize, 0),
        Change::Write { offset, bytes: written } => {
            let mut done = 0;
            while done < written.len() {
                let at = offset + done as u64;
                let sector = at / super::SECTOR;
                let room = ((sector + 1) * super::SECTOR - at) as usize;
                let part = &written[done..written.len().min(done + room)];
                if keep(sector) {
                    let end = at as usize + part.len();
                    if bytes.len() < end {
                        bytes.resize(end, 0);
                    }
                    bytes[at as usize..end].copy_from_slice(part);
                }
                done += part.len();
            }
        }
    }
}

pub(super) fn normal(path: &Path) -> impl Iterator<Item = &std::ffi::OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    })
}

pub(super) fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: not on the simulated disk", path.display()))
}

fn eio(site: SyncSite) -> io::Error {
    // EIO
    let error = io::Error::from_raw_os_error(5);
    io::Error::new(error.kind(), format!("simulated ({site}): {error}"))
}

pub(super) fn op(kind: OpKind, path: &Path) -> Op {
    Op { kind, path: path.to_owned(), offset: 0, len: 0, site: None }
}

pub(super) fn sync_op(kind: OpKind, path: PathBuf, site: SyncSite) -> Op {
    Op { kind, path, offset: 0, len: 0, site: Some(site) }
}
