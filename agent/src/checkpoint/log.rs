//! The checkpoint log: appended frame by frame, replaced by a fresh one when it has grown.
//!
//! Reading it takes every whole frame it can find, also beyond damage: positions only grow and file numbers are never
//! used again, so that whatever is missing makes lines be read again, never be passed over.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use logmill_disk::{Disk, DiskFile, ReplaceSites, read_file, replace_file};

use super::{
    format::{self, Entry},
    state::State,
};

const NAME: &str = "checkpoint.log";
/// A log is replaced when it is this much longer than its content needs.
const SLACK: u64 = 1 << 20;
/// A longer file than any that is written is damage.
const MAX_LOG: u64 = 1 << 30;
/// Entries are gathered into frames of about this size.
const FRAME: usize = 64 << 10;

const REPLACE: ReplaceSites = ReplaceSites { data: "checkpoint rewrite", dir: "checkpoint rename" };
const APPEND: &str = "checkpoint append";

/// An open checkpoint log and the state it stands for.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    end: u64,
    /// Length after the last rewrite.
    base: u64,
    unsynced: bool,
    frames: Vec<u8>,
    state: State,
}

/// What was found when opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// No checkpoint was there: the first start.
    New,
    Whole,
    /// Something could not be read: files the checkpoint does not know must be read from their beginning.
    Damaged,
}

impl Log {
    /// Reads the log in `dir` and replaces it by a compact one, durably.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> io::Result<(Self, Opened)> {
        let path = dir.join(NAME);
        let (state, opened) = if disk.exists(&path) {
            match read_file(&*disk, &path, MAX_LOG) {
                Ok(bytes) => recover(&bytes),
                Err(e) if e.kind() == io::ErrorKind::InvalidData => (State::default(), Opened::Damaged),
                Err(e) => return Err(e),
            }
        } else {
            (State::default(), Opened::New)
        };
        let (file, end) = rewrite(&*disk, &path, &state)?;
        Ok((Self { disk, path, file, end, base: end, unsynced: false, frames: Vec::new(), state }, opened))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Writes entries as one frame (several where they are many; `Position`s and their `Ledger` are few enough to
    /// be one); durable when it returns if `durable`. False when the disk is full: the log is as it was, and the same may be
    /// tried again. After an error it must not be used any more.
    pub(crate) fn append(&mut self, entries: &[Entry], durable: bool) -> io::Result<bool> {
        if !entries.is_empty() {
            self.frames.clear();
            encode(entries, usize::MAX, &mut self.frames);
            match self.file.write_all_at(&self.frames, self.end) {
                Err(error) if is_full(&error) => return Ok(false),
                written => written?,
            }
            self.end += self.frames.len() as u64;
            self.unsynced = true;
            entries.iter().for_each(|e| self.state.apply(e));
        }
        if self.end > self.base.saturating_mul(4).max(SLACK) {
            match rewrite(&*self.disk, &self.path, &self.state) {
                // The long log is as good; the next try is when it is much longer.
                Err(error) if is_full(&error) => self.base = self.end,
                rewritten => {
                    (self.file, self.end) = rewritten?;
                    (self.base, self.unsynced) = (self.end, false);
                }
            }
        }
        if durable && self.unsynced {
            self.file.sync_data(APPEND)?;
            self.unsynced = false;
        }
        Ok(true)
    }
}

/// Whether there is no room for more, which may change.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn encode(entries: &[Entry], frame_size: usize, out: &mut Vec<u8>) {
    let mut rest = entries.iter().peekable();
    while rest.peek().is_some() {
        let at = format::begin_frame(out);
        while let Some(entry) = rest.next_if(|_| out.len() - at < frame_size.min(format::MAX_PAYLOAD / 2)) {
            entry.encode(out);
        }
        format::end_frame(out, at);
    }
}

fn rewrite(disk: &dyn Disk, path: &Path, state: &State) -> io::Result<(Arc<dyn DiskFile>, u64)> {
    let mut bytes = Vec::new();
    encode(&state.entries(), FRAME, &mut bytes);
    replace_file(disk, path, &bytes, REPLACE)?;
    Ok((disk.open(path, false)?, bytes.len() as u64))
}

fn recover(bytes: &[u8]) -> (State, Opened) {
    let mut state = State::default();
    let mut opened = if bytes.is_empty() { Opened::Damaged } else { Opened::Whole };
    let mut rest = bytes;
    while !rest.is_empty() {
        let known = format::frame(rest).and_then(|payload| Some((payload.len(), format::entries(payload)?)));
        if let Some((len, entries)) = known {
            entries.iter().for_each(|e| state.apply(e));
            rest = &rest[format::HEADER + len..];
        } else {
            opened = Opened::Damaged;
            let magic = memchr::memmem::find(&rest[1..], &format::MAGIC.to_le_bytes());
            rest = magic.map_or(&[], |at| &rest[1 + at..]);
        }
    }
    (state, opened)
}
