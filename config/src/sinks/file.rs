//! A sink's `file:` section: lines of JSON in files that are set aside when they are large or old.

use std::{path::PathBuf, time::Duration};

use super::Bulk;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The file being written. Those set aside get the time of it behind their name.
    pub path: PathBuf,
    /// Default 128 MiB.
    pub max_bytes: u64,
    /// Since its first line. Default 1 h.
    pub max_age: Duration,
    /// Of files set aside.
    pub compression: FileCompression,
    /// How long lines are gathered for one sync. Default 200 ms.
    pub linger: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileCompression {
    #[default]
    None,
    Gzip,
    Zstd,
}

impl File {
    /// One write at a time: the order of a partition is kept.
    pub(super) fn batching(&self) -> Bulk {
        Bulk { max_bytes: 1 << 20, max_documents: 10_000, linger: self.linger, in_flight: 1 }
    }
}
