//! Whether to sync dirty files one by one or the file system as a whole: by count and by what each has cost so far.
//!
//! The first guess is from ext4 (some KB to each of N files, then durable): fdatasync about 0.3 ms a file with four threads at it, syncfs about 0.4 ms and
//! 0.02 ms a file. A slower disk is slower at both. But syncfs also writes what others have dirty there, which may take a minute: after a dear one the
//! next is tried only so much later that they cost little in the whole.

use crate::GroupCommit;
use std::time::Duration;

/// Files that are synced side by side.
pub(crate) const SYNC_THREADS: usize = 4;
/// Of each of them.
const FDATASYNC_US: f64 = 300.0;
/// Of one fdatasync.
const SYNCFS: f64 = 1.3;
const SYNCFS_PER_FILE: f64 = 0.06;
/// Weight of the newest measurement.
const NEWEST: f64 = 0.2;
/// A syncfs that took longer than the files one by one on any disk that is well is not tried again before so many times its own
/// time has passed.
const REST: u32 = 10;
const LONGEST_REST: Duration = Duration::from_secs(3600);
const FDATASYNC_AT_MOST_US: f64 = 2000.0;

/// What syncs have cost lately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Costs {
    /// Of one file or directory, in microseconds.
    fdatasync: f64,
    /// How much dearer syncfs is than the first guess: it also writes what others have dirty.
    syncfs_factor: f64,
    /// No syncfs before, by the clock that `choose` is told.
    rests_until: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Fdatasync,
    Syncfs,
}

impl Default for Costs {
    fn default() -> Self {
        Self { fdatasync: FDATASYNC_US, syncfs_factor: 1.0, rests_until: Duration::ZERO }
    }
}

impl Costs {
    /// `logs`: how many would be synced one by one.
    pub(crate) fn choose(&mut self, logs: usize, option: GroupCommit, now: Duration) -> Method {
        let syncfs = match option {
            GroupCommit::Fdatasync => false,
            GroupCommit::Syncfs => true,
            GroupCommit::Auto => {
                // What is not measured any more drifts back to the guess, so that it is tried again.
                self.syncfs_factor += (1.0 - self.syncfs_factor) * 0.01;
                now >= self.rests_until && self.syncfs_us(logs) < self.fdatasync * logs as f64 / SYNC_THREADS as f64
            }
        };
        if syncfs && logs > 0 { Method::Syncfs } else { Method::Fdatasync }
    }

    /// What the chosen method took, until `now`.
    pub(crate) fn measured(&mut self, method: Method, syncs: usize, took: Duration, now: Duration) {
        if syncs == 0 {
            return;
        }
        let us = took.as_secs_f64() * 1e6;
        match method {
            Method::Fdatasync => self.fdatasync += (us / syncs as f64 - self.fdatasync) * NEWEST,
            Method::Syncfs => {
                let factor = us * self.syncfs_factor / self.syncfs_us(syncs);
                self.syncfs_factor += (factor.clamp(0.05, 50.0) - self.syncfs_factor) * NEWEST;
                if us > self.fdatasync.max(FDATASYNC_AT_MOST_US) * syncs as f64 {
                    self.rests_until = now + took.saturating_mul(REST).min(LONGEST_REST);
                }
            }
        }
    }

    fn syncfs_us(&self, syncs: usize) -> f64 {
        self.syncfs_factor * self.fdatasync * (SYNCFS + SYNCFS_PER_FILE * syncs as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn few_files_go_one_by_one_and_many_at_once() {
        let mut costs = Costs::default();
        assert_eq!(costs.choose(1, GroupCommit::Auto, NOW), Method::Fdatasync);
        assert_eq!(costs.choose(4, GroupCommit::Auto, NOW), Method::Fdatasync);
        assert_eq!(costs.choose(10, GroupCommit::Auto, NOW), Method::Syncfs);
        assert_eq!(costs.choose(1, GroupCommit::Syncfs, NOW), Method::Syncfs);
        assert_eq!(costs.choose(1000, GroupCommit::Fdatasync, NOW), Method::Fdatasync);
    }

    #[test]
    fn a_slow_disk_is_slow_at_both() {
        let mut costs = Costs::default();
        for _ in 0..50 {
            costs.measured(Method::Fdatasync, 2, Duration::from_millis(20), NOW);
        }
        assert_eq!(costs.choose(2, GroupCommit::Auto, NOW), Method::Fdatasync);
        assert_eq!(costs.choose(10, GroupCommit::Auto, NOW), Method::Syncfs);
    }

    #[test]
    fn a_syncfs_that_writes_for_others_is_avoided_and_tried_again_later() {
        let mut costs = Costs::default();
        for _ in 0..20 {
            costs.measured(Method::Syncfs, 10, Duration::from_millis(100), NOW);
        }
        let rested = NOW + Duration::from_secs(2);
        assert_eq!(costs.choose(10, GroupCommit::Auto, rested), Method::Fdatasync);
        let tried = (0..2000).any(|_| costs.choose(10, GroupCommit::Auto, rested) == Method::Syncfs);
        assert!(tried);
    }

    #[test]
    fn one_that_takes_a_minute_is_not_tried_again_for_long() {
        let mut costs = Costs::default();
        costs.measured(Method::Syncfs, 1000, Duration::from_secs(60), NOW);
        let soon = NOW + Duration::from_secs(590);
        assert!((0..2000).all(|_| costs.choose(1000, GroupCommit::Auto, soon) == Method::Fdatasync));
        let later = NOW + Duration::from_secs(601);
        assert_eq!(costs.choose(1000, GroupCommit::Auto, later), Method::Syncfs);
    }
}
