//! The crash simulator on whole logs: cut everywhere, each sync removed in turn, failed syncs.
//! `LOGMILL_SEEDS` sets how many seeds are tried (default: few, for seconds).

use super::{
    fixture::{ID, all, append},
    model::{Model, ROOT, check, check_files, config},
    workload::{run, run_options},
};
use crate::{DataDir, GroupCommit};
use logmill_disk::sim::{CutEverywhere, Fault, SimDisk};
use std::{path::Path, sync::Arc};

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
const HARMLESS: [&str; 3] = [
    // An older recovery point is as good: more is checked.
    "recovery point directory",
    // Written for Apache Kafka; never read here.
    "high watermark directory",
    // Seldom matters; has its own test below.
    "truncate directory",
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

/// What a log was told to keep, and to forget.
#[derive(Default)]
struct Cut {
    kept: Vec<String>,
    forgotten: Vec<String>,
}

/// Writes past the end of segments, takes it back and writes anew, so that segments that should be gone could follow seamlessly.
fn truncating(disk: &SimDisk, seed: u64, told: &mut Cut) -> Option<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let dir = DataDir::open(Path::new(ROOT), run_options(disk, GroupCommit::Fdatasync)).ok()?;
    let log = dir.open_log("t", 0, ID, Arc::new(config())).ok()?;
    let mut counter = 0;
    let mut fill = |count: usize| -> Option<Vec<String>> {
        let mut values = Vec::new();
        for _ in 0..count {
            counter += 1;
            values.push(format!("{counter}-{}", "x".repeat(700)));
            append(&log, &[values.last()?]).ok()?;
        }
        Some(values)
    };
    for _ in 0..6 {
        let kept = fill(rng.usize(1..4))?;
        dir.commit();
        if log.high_watermark() < log.log_end_offset() {
            return None;
        }
        told.kept.extend(kept);
        let gone = fill(rng.usize(2..7))?;
        log.truncate_to(log.high_watermark()).ok()?;
        told.forgotten.extend(gone);
    }
    Some(())
}

fn verify_cut(disk: &SimDisk, _: u64, told: &Cut) -> Result<(), String> {
    let dir = DataDir::open(Path::new(ROOT), run_options(disk, GroupCommit::Fdatasync)).map_err(|e| e.to_string())?;
    let log = dir.open_log("t", 0, ID, Arc::new(config())).map_err(|e| e.to_string())?;
    let found = all(&log);
    if !found.starts_with(&told.kept) {
        return Err(format!("{} of {} are left", found.len(), told.kept.len()));
    }
    match found.iter().find(|value| told.forgotten.contains(value)) {
        Some(value) => Err(format!("{value:.5} is back")),
        None => Ok(()),
    }
}

#[test]
fn what_was_truncated_does_not_come_back() {
    let workload = |disk: &SimDisk, seed, told: &mut Cut| {
        let _ = truncating(disk, seed, told);
    };
    let plan =
        CutEverywhere { seeds: 0..seeds(20), cuts_per_seed: 150, crashes_per_cut: 4, ..CutEverywhere::default() };
    plan.run(workload, verify_cut).unwrap_or_else(|failure| panic!("{failure}"));
    for site in ["truncate file", "truncate directory"] {
        let planted = CutEverywhere { faults: vec![Fault::Skip(site)], ..plan.clone() };
        assert!(planted.run(workload, verify_cut).is_err(), "nobody noticed that {site} was missing");
    }
}
