//! A simulated disk that forgets what was not synced, and a harness that cuts the power everywhere.
//!
//! [`SimDisk`] keeps, beside what the program sees, what a power cut would leave: each write, truncation, creation,
//! rename and removal is pending until a sync of its file, directory or file system makes it durable. A crash keeps
//! or loses each pending operation by seed, writes even sector by sector and out of order, names apart from content. That is
//! harsher than any one file system, on purpose. [`CutEverywhere`] runs a workload with the power cut after each of its
//! operations, and [`CutEverywhere::uncaught_sites`] checks that a missing sync would be noticed.

mod crash;
mod disk;
mod harness;
mod state;

#[cfg(test)]
mod tests;

pub use disk::SimDisk;
pub use harness::{CutEverywhere, Failure, Report};

use crate::SyncSite;
use std::path::PathBuf;

/// What a crash loses or tears at once: writes are cut at multiples of this many bytes.
pub const SECTOR: u64 = 512;

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Every sync at this site returns at once and does nothing: as if the call were missing.
    Skip(SyncSite),
    /// The nth sync at this site (from 0) fails with EIO, and what it should have written is lost but still seen until the
    /// power goes, as on ext4: later syncs succeed without it.
    FailOnce { site: SyncSite, nth: u64 },
    /// The nth sync at this site (from 0) panics, having done nothing.
    PanicOnce { site: SyncSite, nth: u64 },
}

/// What kind of operation changed the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpKind {
    Create,
    CreateDir,
    Write,
    SetLen,
    Rename,
    RemoveFile,
    RemoveDir,
    SyncFile,
    SyncDir,
    SyncFs,
}

/// One operation of the record: for traces and for comparing runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    pub kind: OpKind,
    pub path: PathBuf,
    /// Of a write, or the new length.
    pub offset: u64,
    /// Bytes written.
    pub len: u64,
    pub site: Option<SyncSite>,
}
