//! Whether to sync dirty files one by one or the file system as a whole: by count and by what each has cost so far.
//!
//! First guesses are from ext4 (16 KiB to each of N files, then durable): fdatasync about 0.2 ms a file, syncfs about 0.4 ms and 0.03 ms a file.

use crate::GroupCommit;
use std::time::Duration;

const FDATASYNC_US: f64 = 200.0;
const SYNCFS_US: f64 = 400.0;
const SYNCFS_PER_FILE_US: f64 = 30.0;
/// Weight of the newest measurement.
const NEWEST: f64 = 0.2;

/// What syncs have cost lately, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Costs {
    fdatasync: f64,
    /// How much dearer syncfs is than the first guess: it also writes what others have dirty.
    syncfs_factor: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Fdatasync,
    Syncfs,
}

impl Default for Costs {
    fn default() -> Self {
        Self { fdatasync: FDATASYNC_US, syncfs_factor: 1.0 }
    }
}

impl Costs {
    /// `syncs`: files and directories that would be synced one by one.
    pub(crate) fn choose(&mut self, syncs: usize, option: GroupCommit, syncfs_possible: bool) -> Method {
        let syncfs = match option {
            GroupCommit::Fdatasync => false,
            GroupCommit::Syncfs => true,
            GroupCommit::Auto => {
                // What is not measured any more drifts back to the guess, so that it is tried again.
                self.syncfs_factor += (1.0 - self.syncfs_factor) * 0.01;
                self.syncfs_us(syncs) < self.fdatasync * syncs as f64
            }
        };
        if syncfs && syncfs_possible { Method::Syncfs } else { Method::Fdatasync }
    }

    pub(crate) fn measured(&mut self, method: Method, syncs: usize, took: Duration) {
        if syncs == 0 {
            return;
        }
        let took = took.as_secs_f64() * 1e6;
        match method {
            Method::Fdatasync => self.fdatasync += (took / syncs as f64 - self.fdatasync) * NEWEST,
            Method::Syncfs => {
                let factor = took / (SYNCFS_US + SYNCFS_PER_FILE_US * syncs as f64);
                self.syncfs_factor += (factor.clamp(0.05, 50.0) - self.syncfs_factor) * NEWEST;
            }
        }
    }

    fn syncfs_us(&self, syncs: usize) -> f64 {
        self.syncfs_factor * (SYNCFS_US + SYNCFS_PER_FILE_US * syncs as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_go_one_by_one_and_many_at_once() {
        let mut costs = Costs::default();
        assert_eq!(costs.choose(1, GroupCommit::Auto, true), Method::Fdatasync);
        assert_eq!(costs.choose(2, GroupCommit::Auto, true), Method::Fdatasync);
        assert_eq!(costs.choose(10, GroupCommit::Auto, true), Method::Syncfs);
        assert_eq!(costs.choose(1000, GroupCommit::Auto, false), Method::Fdatasync);
        assert_eq!(costs.choose(1, GroupCommit::Syncfs, true), Method::Syncfs);
        assert_eq!(costs.choose(1000, GroupCommit::Fdatasync, true), Method::Fdatasync);
    }

    #[test]
    fn a_syncfs_that_writes_for_others_is_avoided_and_tried_again_later() {
        let mut costs = Costs::default();
        for _ in 0..20 {
            costs.measured(Method::Syncfs, 10, Duration::from_millis(100));
        }
        assert_eq!(costs.choose(10, GroupCommit::Auto, true), Method::Fdatasync);
        let tried = (0..2000).any(|_| costs.choose(10, GroupCommit::Auto, true) == Method::Syncfs);
        assert!(tried);
    }
}
