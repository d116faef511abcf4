//! The write-ahead log: what makes `_bulk` durable before it answers.
//!
//! One log for all indices. It is a stream of bytes addressed by `u64` positions, cut into files of about
//! [`FILE_BYTES`] named by the position of their first byte (`00000000000000000000.wal`). A file is
//!
//! ```text
//! file  = header frame*
//! header= "LMWAL\0\0\1" base:u64
//! frame = length:u32 crc32c:u32 position:u64 durable:u64 record*      (integers little-endian)
//! record= length:u32 body
//! ```
//!
//! `length` counts the bytes of the records, `crc32c` covers everything behind itself, `position` is the frame's own,
//! `durable` the position up to which the log was known to be on disk when the frame was written.
//!
//! Invariants:
//! - A request is answered only when its frames lie before the durable position (fdatasync without error, and the
//!   directory synced since the file was made). One sync serves all requests that were written before it.
//! - A file is removed only when every index has committed all its records in it; oldest first, the directory synced
//!   after each, so that what is left is always a suffix.
//! - A damaged frame that no later frame calls durable is a torn tail: it was never acknowledged and is cut. Any other
//!   damage is reported, not skipped.
//! - After an error of a write or a sync nothing more is written: what the disk holds is unknown until a restart, which
//!   commits all it reads to the indices before it serves.

mod frame;
mod record;
mod replay;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use logmill_disk::{Disk, DiskFile};
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

pub(crate) use frame::{Batch, Place};
pub(crate) use record::Record;
#[cfg(test)]
use replay::Replayed;
pub(crate) use replay::replay;

/// A file is closed and the next one begun at this size.
pub(crate) const FILE_BYTES: u64 = 32 * 1024 * 1024;
const FILE_HEADER: u64 = 16;
const MAGIC: &[u8; 8] = b"LMWAL\0\0\x01";

/// How far the log is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Durable {
    pub(crate) position: u64,
    /// The error after which nothing is written any more.
    pub(crate) failed: Option<Arc<str>>,
}

/// The open log. All methods may be called from any thread; appends must come in the order their positions were taken.
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file_bytes: u64,
    state: Mutex<State>,
    written: Condvar,
    durable: watch::Sender<Durable>,
}

struct State {
    /// Open files by their first position.
    files: BTreeMap<u64, Arc<dyn DiskFile>>,
    next: u64,
    /// Files written to since the last sync.
    dirty: Vec<Arc<dyn DiskFile>>,
    stop: bool,
}

fn file_name(base: u64) -> String {
    format!("{base:020}.wal")
}

impl Wal {
    /// Begins a new file at `position`, which must lie behind everything ever written.
    ///
    /// # Errors
    /// The file cannot be made or synced.
    pub(crate) fn create(disk: Arc<dyn Disk>, dir: &Path, position: u64, file_bytes: u64) -> io::Result<Self> {
        let (durable, _) = watch::channel(Durable { position, failed: None });
        let wal = Self {
            disk,
            dir: dir.to_owned(),
            file_bytes,
            state: Mutex::new(State { files: BTreeMap::new(), next: position, dirty: Vec::new(), stop: false }),
            written: Condvar::new(),
            durable,
        };
        {
            let mut state = wal.state.lock();
            wal.begin_file(&mut state)?;
        }
        wal.sync_once()?;
        Ok(wal)
    }

    /// The position the next frame gets. Stable only while the caller keeps others from appending.
    pub(crate) fn next_position(&self) -> u64 {
        self.state.lock().next
    }

    pub(crate) fn durable(&self) -> Durable {
        self.durable.borrow().clone()
    }

    /// Frames to be filled at the present end; [`Wal::append`] must follow before anyone else appends.
    pub(crate) fn batch(&self) -> Batch {
        let durable = self.durable.borrow().position;
        Batch::new(self.next_position(), durable)
    }

    /// Writes a batch to the page cache and wakes the syncing thread; returns its end position.
    ///
    /// # Errors
    /// The disk refuses, or has refused before.
    pub(crate) fn append(&self, batch: Batch) -> Result<u64, Arc<str>> {
        if let Some(failed) = &self.durable.borrow().failed {
            return Err(failed.clone());
        }
        let mut state = self.state.lock();
        let (start, bytes) = batch.finish();
        if start != state.next {
            return Err("write-ahead log: a batch was made for another position".into());
        }
        match self.write(&mut state, start, &bytes) {
            Ok(()) => {
                self.written.notify_all();
                Ok(state.next)
            }
            Err(error) => {
                drop(state);
                Err(self.fail(&format!("cannot write to {}: {error}", self.dir.display())))
            }
        }
    }

    fn write(&self, state: &mut State, start: u64, bytes: &[u8]) -> io::Result<()> {
        let (base, file) =
            state.files.last_key_value().map(|(base, file)| (*base, file.clone())).ok_or_else(no_file)?;
        file.write_all_at(bytes, start - base)?;
        if !state.dirty.iter().any(|dirty| Arc::ptr_eq(dirty, &file)) {
            state.dirty.push(file);
        }
        state.next = start + bytes.len() as u64;
        if state.next - base >= self.file_bytes {
            self.begin_file(state)?;
        }
        Ok(())
    }

    fn begin_file(&self, state: &mut State) -> io::Result<()> {
        let base = state.next;
        let file = self.disk.open(&self.dir.join(file_name(base)), true)?;
        let mut header = [0; FILE_HEADER as usize];
        header[..8].copy_from_slice(MAGIC);
        header[8..].copy_from_slice(&base.to_le_bytes());
        file.write_all_at(&header, 0)?;
        // The name must be durable before any frame in the file counts as durable.
        self.disk.sync_dir(&self.dir, "write-ahead log file")?;
        state.files.insert(base, file.clone());
        state.dirty.push(file);
        state.next = base + FILE_HEADER;
        Ok(())
    }

    /// Syncs what was written so far and announces it; `true` if there was anything to do.
    ///
    /// # Errors
    /// The sync failed: the log is closed for good.
    pub(crate) fn sync_once(&self) -> io::Result<bool> {
        let (dirty, end) = {
            let mut state = self.state.lock();
            (std::mem::take(&mut state.dirty), state.next)
        };
        if dirty.is_empty() {
            return Ok(false);
        }
        for file in &dirty {
            if let Err(error) = file.sync_data("write-ahead log") {
                self.fail(&format!("cannot sync {}: {error}", self.dir.display()));
                return Err(error);
            }
        }
        self.durable.send_if_modified(|durable| {
            let ahead = durable.failed.is_none() && durable.position < end;
            if ahead {
                durable.position = end;
            }
            ahead
        });
        Ok(true)
    }

    /// The syncing thread: one sync after the other while there is something to sync, until [`Wal::stop`].
    pub(crate) fn sync_until_stopped(&self, synced: impl Fn()) {
        loop {
            {
                let mut state = self.state.lock();
                while state.dirty.is_empty() && !state.stop {
                    self.written.wait(&mut state);
                }
                if state.dirty.is_empty() {
                    return;
                }
            }
            let failed = self.sync_once().is_err();
            synced();
            if failed {
                return;
            }
        }
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.written.notify_all();
    }

    pub(crate) fn fail(&self, reason: &str) -> Arc<str> {
        tracing::error!(reason, "write-ahead log failed; nothing is accepted until a restart");
        let mut kept: Arc<str> = reason.into();
        self.durable.send_modify(|durable| kept = durable.failed.get_or_insert(kept.clone()).clone());
        kept
    }

    /// Waits until everything before `position` is durable.
    ///
    /// # Errors
    /// The disk failed.
    pub(crate) async fn wait_durable(&self, position: u64) -> Result<(), Arc<str>> {
        let mut receiver = self.durable.subscribe();
        let state = receiver
            .wait_for(|durable| durable.position >= position || durable.failed.is_some())
            .await
            .map_err(|_| Arc::<str>::from("write-ahead log is closed"))?;
        if state.position >= position {
            Ok(())
        } else {
            Err(state.failed.clone().unwrap_or_else(|| "write-ahead log failed".into()))
        }
    }

    /// Reads the body of the record at `position`, of `length` bytes.
    ///
    /// # Errors
    /// The file is gone or unreadable.
    pub(crate) fn read(&self, position: u64, length: u32) -> io::Result<Vec<u8>> {
        let (base, file) = {
            let state = self.state.lock();
            let (base, file) = state.files.range(..=position).next_back().ok_or_else(no_file)?;
            (*base, file.clone())
        };
        read_at(base, file.as_ref(), Place { position, length })
    }

    /// Removes the files that end at or before `needed`.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(crate) fn release(&self, needed: u64) -> io::Result<()> {
        loop {
            let first = {
                let state = self.state.lock();
                let mut bases = state.files.keys();
                match (bases.next(), bases.next()) {
                    (Some(first), Some(second)) if *second <= needed => *first,
                    _ => return Ok(()),
                }
            };
            self.disk.remove_file(&self.dir.join(file_name(first)))?;
            self.disk.sync_dir(&self.dir, "write-ahead log removal")?;
            self.state.lock().files.remove(&first);
        }
    }

    /// Bytes in the files that are still kept.
    pub(crate) fn bytes(&self) -> u64 {
        let state = self.state.lock();
        state.next - state.files.keys().next().copied().unwrap_or(state.next)
    }
}

/// Behind a record.
pub(crate) fn record_end(place: Place) -> u64 {
    place.position + record::LENGTH_BYTES + u64::from(place.length)
}

/// The body of a record in files by their first position.
///
/// # Errors
/// No file holds it, or it is unreadable.
pub(crate) fn read_record(files: &BTreeMap<u64, Arc<dyn DiskFile>>, place: Place) -> io::Result<Vec<u8>> {
    let (base, file) = files.range(..=place.position).next_back().ok_or_else(no_file)?;
    read_at(*base, file.as_ref(), place)
}

/// Removes the files of an old log, oldest first, each removal durable before the next: what is left is always the newest.
///
/// # Errors
/// The disk refuses.
pub(crate) fn retire(disk: &dyn Disk, dir: &Path, files: &[PathBuf]) -> io::Result<()> {
    for path in files {
        disk.remove_file(path)?;
        disk.sync_dir(dir, "write-ahead log removal")?;
    }
    Ok(())
}

fn read_at(base: u64, file: &dyn DiskFile, place: Place) -> io::Result<Vec<u8>> {
    let mut body = vec![0; place.length as usize];
    file.read_exact_at(&mut body, place.position - base + record::LENGTH_BYTES)?;
    Ok(body)
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "write-ahead log file is gone")
}
