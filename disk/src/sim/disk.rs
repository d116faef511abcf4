//! [`SimDisk`]: the simulated file system as a [`Disk`].

use super::{
    Fault, Op, OpKind, crash,
    state::{Change, DirState, FileState, Inode, InodeId, NameChange, State, normal, not_found, op, sync_op},
};
use crate::{Disk, DiskFile, DiskLock, FileSystem, SyncSite};
use parking_lot::Mutex;
use std::{
    io,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

/// An in-memory disk. Clones are the same disk. Deterministic: the same calls and seeds give the same bytes.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    pub fn new() -> Self {
        Self { state: Arc::new(Mutex::new(State::new())) }
    }

    /// The disk as found after a power cut now: a new one, without faults or cuts. This one's power stays off.
    pub fn crash(&self, seed: u64) -> SimDisk {
        let mut state = self.state.lock();
        let mut found = State::new();
        found.inodes = crash::crash(&state, seed);
        found.capacity = state.capacity;
        state.cut_after = Some(0);
        SimDisk { state: Arc::new(Mutex::new(found)) }
    }

    /// A power cut and restart in place, for workloads that go on after one: cut, faults, counts and record stay, open files are dead.
    /// Fails if the power is already off for good.
    pub fn power_cycle(&self, seed: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_power()?;
        state.inodes = crash::crash(&state, seed);
        state.names.clear();
        state.generation += 1;
        Ok(())
    }

    /// The process dies and starts again while the machine stays up: what was written stays seen, open files are dead.
    pub fn kill(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_power()?;
        state.generation += 1;
        Ok(())
    }

    /// The power goes after `operations` changing operations (creations, writes, truncations, renames, removals, syncs): everything later fails.
    pub fn cut_after(&self, operations: u64) {
        self.state.lock().cut_after = Some(operations);
    }

    pub fn plant(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// Bytes all files together may have; writes that would exceed it fail with ENOSPC.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Changing operations so far.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Everything that changed the disk so far, in order.
    pub fn record(&self) -> Vec<Op> {
        self.state.lock().record.clone()
    }

    /// The sync sites called so far.
    pub fn sites_seen(&self) -> Vec<SyncSite> {
        self.state.lock().sites.keys().copied().collect()
    }

    /// How often a site was called.
    pub fn syncs_at(&self, site: SyncSite) -> u64 {
        self.state.lock().sites.get(site).copied().unwrap_or(0)
    }

    fn remove(&self, path: &Path, kind: OpKind) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = state.look_up(path)?;
        let is_dir = matches!(state.inodes.get(inode), Some(Inode::Dir(_)));
        if is_dir != (kind == OpKind::RemoveDir) {
            return Err(if is_dir { io::ErrorKind::IsADirectory.into() } else { io::ErrorKind::NotADirectory.into() });
        }
        let (dir, name) = state.parent(path)?;
        state.begin(op(kind, path))?;
        state.unlink(dir, name)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.check_power()?;
        let inode = match state.look_up(path) {
            Ok(inode) => {
                state.file(inode)?;
                inode
            }
            Err(e) if !create || e.kind() != io::ErrorKind::NotFound => return Err(e),
            Err(_) => {
                let (dir, name) = state.parent(path)?;
                state.dir(dir)?;
                state.begin(op(OpKind::Create, path))?;
                state.link(dir, name, Inode::File(FileState::default()))?
            }
        };
        let generation = state.generation;
        Ok(Arc::new(SimFile { state: Arc::clone(&self.state), inode, generation, path: path.to_owned() }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_power()?;
        let mut built = PathBuf::from("/");
        for name in normal(path) {
            let parent = state.look_up(&built)?;
            built.push(name);
            if state.look_up(&built).is_err() {
                state.dir(parent)?;
                state.begin(op(OpKind::CreateDir, &built))?;
                state.link(parent, name.to_owned(), Inode::Dir(DirState::default()))?;
            }
        }
        let inode = state.look_up(path)?;
        state.dir(inode).map(|_| ())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = self.state.lock();
        state.check_power()?;
        let inode = state.look_up(path)?;
        Ok(state.dir(inode)?.live.keys().map(|name| path.join(name)).collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.state.lock().look_up(path).is_ok()
    }

    fn is_dir(&self, path: &Path) -> bool {
        let mut state = self.state.lock();
        state.look_up(path).is_ok_and(|inode| state.dir(inode).is_ok())
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.check_power()?;
        let inode = state.look_up(path)?;
        Ok(state.file(inode)?.live.len() as u64)
    }

    fn modified_ms(&self, _: &Path) -> io::Result<i64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = state.look_up(from)?;
        let (from_dir, name) = state.parent(from)?;
        let (to_dir, new_name) = state.parent(to)?;
        state.begin(op(OpKind::Rename, from))?;
        state.dir(from_dir)?.live.remove(&name);
        state.dir(to_dir)?.live.insert(new_name.clone(), inode);
        state.names.push(NameChange::Rename { from: from_dir, name, to: to_dir, new_name, inode });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.remove(path, OpKind::RemoveFile)
    }

    /// Removes file by file, as the real one does: a cut may come between.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        for child in self.read_dir(path)? {
            if self.is_dir(&child) { self.remove_dir_all(&child)? } else { self.remove_file(&child)? }
        }
        self.remove(path, OpKind::RemoveDir)
    }

    fn sync_dir(&self, path: &Path, site: SyncSite) -> io::Result<()> {
        let mut state = self.state.lock();
        let dir = state.look_up(path)?;
        state.dir(dir)?;
        state.begin(sync_op(OpKind::SyncDir, path.to_owned(), site))?;
        let outcome = state.sync_outcome(site);
        state.sync_dir(dir, site, outcome)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        state.check_power()?;
        state.look_up(path).map_err(|_| not_found(path))?;
        Ok(state.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(state.used())))
    }

    fn total_space(&self, path: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        state.check_power()?;
        state.look_up(path).map_err(|_| not_found(path))?;
        Ok(state.capacity.unwrap_or(u64::MAX / 2))
    }

    fn file_system(&self, path: &Path) -> io::Result<Arc<dyn FileSystem>> {
        let state = self.state.lock();
        state.check_power()?;
        state.look_up(path)?;
        Ok(Arc::new(SimFileSystem {
            state: Arc::clone(&self.state),
            generation: state.generation,
            path: path.to_owned(),
        }))
    }

    fn lock(&self, _path: &Path) -> io::Result<DiskLock> {
        self.state.lock().check_power()?;
        Ok(DiskLock::none())
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    inode: InodeId,
    generation: u64,
    path: PathBuf,
}

impl SimFile {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock();
        state.check_power()?;
        if state.generation != self.generation {
            return Err(io::Error::other("file was opened before the simulated restart"));
        }
        f(&mut state)
    }
}

impl DiskFile for SimFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        match self.read_at(buf, offset)? {
            read if read == buf.len() => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|state| {
            let live = &state.file(self.inode)?.live;
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(live.len());
            let len = buf.len().min(live.len() - start);
            buf[..len].copy_from_slice(&live[start..start + len]);
            Ok(len)
        })
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.with(|state| {
            state.begin(Op { offset, len: buf.len() as u64, ..op(OpKind::Write, &self.path) })?;
            let end = offset + buf.len() as u64;
            let growth = end.saturating_sub(state.file(self.inode)?.live.len() as u64);
            if let Some(capacity) = state.capacity
                && growth > 0
                && state.used() + growth > capacity
            {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let file = state.file(self.inode)?;
            let change = Change::Write { offset, bytes: buf.to_vec() };
            super::state::apply(&mut file.live, &change, |_| true);
            file.pending.push(change);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|state| {
            if state.file(self.inode)?.live.len() as u64 == len {
                return Ok(());
            }
            state.begin(Op { offset: len, ..op(OpKind::SetLen, &self.path) })?;
            let file = state.file(self.inode)?;
            let change = Change::SetLen(len);
            super::state::apply(&mut file.live, &change, |_| true);
            file.pending.push(change);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|state| Ok(state.file(self.inode)?.live.len() as u64))
    }

    fn preallocate(&self, _len: u64) -> io::Result<()> {
        self.with(|_| Ok(()))
    }

    fn sync_data(&self, site: SyncSite) -> io::Result<()> {
        self.with(|state| {
            state.begin(sync_op(OpKind::SyncFile, self.path.clone(), site))?;
            let outcome = state.sync_outcome(site);
            state.sync_file(self.inode, site, outcome)
        })
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.with(|state| {
            let file = state.file(self.inode)?;
            file.live = file.durable.clone();
            for change in &file.pending {
                super::state::apply(&mut file.live, change, |_| true);
            }
            Ok(())
        })
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

struct SimFileSystem {
    state: Arc<Mutex<State>>,
    generation: u64,
    path: PathBuf,
}

impl FileSystem for SimFileSystem {
    fn syncfs_is_trustworthy(&self) -> bool {
        true
    }

    fn syncfs(&self, site: SyncSite) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.generation != self.generation {
            return Err(io::Error::other("file system was opened before the simulated restart"));
        }
        state.begin(sync_op(OpKind::SyncFs, self.path.clone(), site))?;
        let outcome = state.sync_outcome(site);
        state.sync_all(site, outcome)
    }
}
