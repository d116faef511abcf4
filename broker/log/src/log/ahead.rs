//! What is prepared on disk ahead of a log's end, so that a sync has little metadata to write.
//!
//! Blocks are reserved in steps. A sync then still writes to the file system's journal that the file is longer and that its blocks are in use, and of the
//! syncs of several logs each waits for the journal's commit before its own. Where commits are small, that costs more than the data: there the blocks
//! are also filled with zeros, and the syncs that follow are of data only, side by side. The file is then longer than the log: a segment gives its zeros back when it is sealed and when
//! the log is closed, and a recovery cuts them.

use crate::{Durability, LogConfig, Options};
use logmill_disk::DiskFile;
use std::{io, ops::Range};

/// Zeros are written for commits of less than this on average: the disk writes them besides the data.
const SMALL_COMMIT: u64 = 16 << 10;
/// So many bytes of zeros at most, which a sync has to write at once.
const LARGEST_FILL: u64 = 256 << 10;

/// Of the active segment's file.
#[derive(Default)]
pub(super) struct Ahead {
    /// Prepared from the end of the log when this step began up to here.
    from: u64,
    to: u64,
    /// Since then.
    commits: u64,
}

impl Ahead {
    /// Nothing is prepared behind the log's end.
    pub fn none(end: u64) -> Self {
        Self { from: end, to: end, commits: 0 }
    }

    /// Whether the file may go on behind the log's end.
    pub fn is_some(&self) -> bool {
        self.to > self.from
    }

    pub fn committed(&mut self) {
        self.commits += 1;
    }

    /// Reserves blocks for what is appended at `position` up to `end`, and more. Returns what is to be filled with zeros after that. Best effort: a disk that cannot
    /// refuses the write itself, if it must.
    pub fn reserve(
        &mut self,
        file: &dyn DiskFile,
        config: &LogConfig,
        options: &Options,
        position: u64,
        end: u64,
    ) -> Option<Range<u64>> {
        if end <= self.to {
            return None;
        }
        let small = position.saturating_sub(self.from) < self.commits.saturating_mul(SMALL_COMMIT);
        let fills = small && !config.preallocate && options.durability == Durability::Fsync;
        let segment = u64::from(config.segment_bytes);
        let (least, most) = options.ahead_bytes.clone().into_inner();
        let step = match config.preallocate {
            true => segment,
            false if fills => (2 * (self.to - self.from)).clamp(least, most.min(LARGEST_FILL)),
            false => (2 * (self.to - self.from)).clamp(least, most),
        };
        let to = (end + step).min(segment.max(end));
        let reserved = file.preallocate(to).is_ok();
        *self = Self { from: position, to, commits: 0 };
        (fills && reserved && end < to).then_some(end..to)
    }

    /// The file ends with the log again.
    pub fn give_back(&mut self, file: &dyn DiskFile, end: u64) -> io::Result<()> {
        if self.to > end {
            file.set_len(end)?;
        }
        *self = Self::none(end);
        Ok(())
    }
}

/// Best effort: a part is as good, and what is appended next is written over it.
pub(super) fn fill(file: &dyn DiskFile, zeros: Range<u64>) {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut at = zeros.start;
    while at < zeros.end {
        let len = usize::try_from(zeros.end - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
        let Some(block) = ZEROS.get(..len) else { return };
        if file.write_all_at(block, at).is_err() {
            return;
        }
        at += len as u64;
    }
}
