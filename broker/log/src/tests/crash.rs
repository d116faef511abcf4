//! The crash simulator on whole logs: cut everywhere, each sync removed in turn, failed syncs.
//! `LOGMILL_SEEDS` sets how many seeds are tried (default: few, for seconds).

use super::{
    model::{Model, ROOT, check, check_files},
    workload::{run, run_options},
};
use crate::{DataDir, GroupCommit};
use logmill_disk::sim::{CutEverywhere, SimDisk};
use std::path::Path;

const METHODS: [GroupCommit; 2] = [GroupCommit::Fdatasync, GroupCommit::Syncfs];

/// What the last run told, and the first promise it saw broken.
#[derive(Default)]
struct Told {
    model: Model,
    broken: Option<String>,
}

fn seeds(default: u64) -> u64 {
    std::env::var("LOGMILL_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn workload(group_commit: GroupCommit, early: bool) -> impl Fn(&SimDisk, u64, &mut Told) {
    move |disk, seed, told| told.broken = run(disk, seed, group_commit, early, &mut told.model).err()
}

fn verify(group_commit: GroupCommit) -> impl Fn(&SimDisk, u64, &Told) -> Result<(), String> {
    move |disk, _, told| {
        if let Some(broken) = &told.broken {
            return Err(broken.clone());
        }
        check_files(disk, &told.model)?;
        let dir = DataDir::open(Path::new(ROOT), run_options(disk, group_commit)).map_err(|e| e.to_string())?;
        check(&dir, disk, &told.model).map(|_| ())
    }
}

#[test]
fn whatever_was_promised_survives_a_cut_anywhere() {
    for group_commit in METHODS {
        let plan =
            CutEverywhere { seeds: 0..seeds(10), cuts_per_seed: 60, crashes_per_cut: 2, ..CutEverywhere::default() };
        let report = plan.run(workload(group_commit, false), verify(group_commit));
        let report = report.unwrap_or_else(|failure| panic!("{group_commit:?}: {failure}"));
        assert!(report.operations > 100, "{report:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for group_commit in METHODS {
        let record = || {
            let disk = SimDisk::new();
            run(&disk, 42, group_commit, false, &mut Model::default()).unwrap();
            disk.record()
        };
        let (first, second) = (record(), record());
        assert!(first.len() > 100);
        assert_eq!(first, second);
    }
}

/// Removing them loses time, not promises.
const HARMLESS: [&str; 2] = [
    // An older recovery point is as good: more is checked.
    "recovery point directory",
    // Written for Apache Kafka; never read here.
    "high watermark directory",
];

#[test]
fn each_sync_removed_is_noticed() {
    for group_commit in METHODS {
        let plan =
            CutEverywhere { seeds: 0..seeds(60), cuts_per_seed: 12, crashes_per_cut: 2, ..CutEverywhere::default() };
        let uncaught = plan.uncaught_sites(&HARMLESS, workload(group_commit, false), verify(group_commit));
        assert!(uncaught.is_empty(), "{group_commit:?}: nobody noticed that these were missing: {uncaught:?}");
    }
}

#[test]
fn acknowledging_before_the_commit_is_noticed() {
    for group_commit in METHODS {
        let plan = CutEverywhere { seeds: 0..5, cuts_per_seed: 20, crashes_per_cut: 2, ..CutEverywhere::default() };
        assert!(plan.run(workload(group_commit, true), verify(group_commit)).is_err());
    }
}
