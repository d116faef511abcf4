//! The crash simulator on whole logs: cut everywhere, each sync removed in turn, failed syncs.
//! `LOGMILL_SEEDS` sets how many seeds are tried (default: few, for seconds).

use super::{
    model::{Model, ROOT, check, check_files},
    workload::{run, run_options},
};
use crate::{DataDir, GroupCommit};
use logmill_disk::{
    Disk,
    sim::{CutEverywhere, SimDisk},
};
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

#[test]
fn debug_one() {
    let var = |n: &str| std::env::var(n).ok().and_then(|v| v.parse::<u64>().ok());
    let (Some(seed), Some(crash)) = (var("SEED"), var("CRASH")) else { return };
    let method = METHODS[var("METHOD").unwrap_or(0) as usize];
    let disk = SimDisk::new();
    if let Some(site) = std::env::var("SITE").ok() {
        disk.plant(logmill_disk::sim::Fault::Skip(Box::leak(site.into_boxed_str())));
    }
    if let Some(cut) = var("CUT") {
        disk.cut_after(cut);
    }
    let mut told = Told::default();
    workload(method, false)(&disk, seed, &mut told);
    let record = disk.record();
    for (n, op) in record.iter().enumerate().skip(record.len().saturating_sub(var("LAST").unwrap_or(60) as usize)) {
        println!("{n} {:?} {} {} {} {:?}", op.kind, op.path.display(), op.offset, op.len, op.site);
    }
    let found = disk.crash(crash);
    for path in found.read_dir(Path::new(ROOT)).unwrap_or_default() {
        println!("{}", path.display());
        if found.is_dir(&path) {
            for path in found.read_dir(&path).unwrap() {
                println!("   {} {}", path.display(), found.file_len(&path).unwrap_or(0));
            }
        } else {
            println!(
                "   {}",
                String::from_utf8_lossy(&logmill_disk::read_file(&found, &path, 10000).unwrap()).replace('\n', "|")
            );
        }
    }
    for (topic, p) in &told.model.partitions {
        println!(
            "{topic} start {}..{} acked {:?} deleted {}",
            p.start,
            p.start_asked,
            p.acknowledged.keys().last(),
            p.maybe_deleted
        );
    }
    println!("{:?}", verify(method)(&found, 0, &told));
}
