//! Counters of a data directory.

mod cleaner;

use crate::{COMMIT_SECONDS, StatsSnapshot};
use cleaner::CleanerStats;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

#[derive(Default)]
pub(crate) struct Stats {
    pub commits: AtomicU64,
    pub commits_by_syncfs: AtomicU64,
    pub committed_partitions: AtomicU64,
    pub commit_nanos_sum: AtomicU64,
    pub commit_nanos_max: AtomicU64,
    pub commit_times: [AtomicU64; COMMIT_SECONDS.len()],
    pub failed_syncs: AtomicU64,
    pub appended_batches: AtomicU64,
    pub appended_bytes: AtomicU64,
    pub fenced_partitions: AtomicU64,
    pub recovery_points_written: AtomicU64,
    pub cleaner: CleanerStats,
}

impl Stats {
    pub(crate) fn commit(&self, partitions: usize, by_syncfs: bool, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Relaxed);
        self.commits_by_syncfs.fetch_add(u64::from(by_syncfs), Relaxed);
        self.committed_partitions.fetch_add(partitions as u64, Relaxed);
        self.commit_nanos_sum.fetch_add(nanos, Relaxed);
        self.commit_nanos_max.fetch_max(nanos, Relaxed);
        let class = COMMIT_SECONDS.partition_point(|bound| *bound < took.as_secs_f64());
        if let Some(commits) = self.commit_times.get(class) {
            commits.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> StatsSnapshot {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        StatsSnapshot {
            commits: get(&self.commits),
            commits_by_syncfs: get(&self.commits_by_syncfs),
            committed_partitions: get(&self.committed_partitions),
            commit_time_sum: Duration::from_nanos(get(&self.commit_nanos_sum)),
            commit_time_max: Duration::from_nanos(get(&self.commit_nanos_max)),
            commit_times: self.commit_times.each_ref().map(get),
            failed_syncs: get(&self.failed_syncs),
            appended_batches: get(&self.appended_batches),
            appended_bytes: get(&self.appended_bytes),
            fenced_partitions: get(&self.fenced_partitions),
            recovery_points_written: get(&self.recovery_points_written),
            cleaner: self.cleaner.snapshot(),
        }
    }
}

impl StatsSnapshot {
    /// Of several data directories together: sums, and of what is largest, latest or a share, the largest.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            commits: self.commits + other.commits,
            commits_by_syncfs: self.commits_by_syncfs + other.commits_by_syncfs,
            committed_partitions: self.committed_partitions + other.committed_partitions,
            commit_time_sum: self.commit_time_sum + other.commit_time_sum,
            commit_time_max: self.commit_time_max.max(other.commit_time_max),
            commit_times: std::array::from_fn(|class| self.commit_times[class] + other.commit_times[class]),
            failed_syncs: self.failed_syncs + other.failed_syncs,
            appended_batches: self.appended_batches + other.appended_batches,
            appended_bytes: self.appended_bytes + other.appended_bytes,
            fenced_partitions: self.fenced_partitions + other.fenced_partitions,
            recovery_points_written: self.recovery_points_written + other.recovery_points_written,
            cleaner: self.cleaner.and(&other.cleaner),
        }
    }
}
