//! The simulator must lose what was not synced, keep what was, and do the same for the same seed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::{Disk, ReplaceSites, read_file, replace_file};
use std::path::Path;

const SITES: ReplaceSites = ReplaceSites { data: "replace data", dir: "replace dir" };

fn disk_with(content: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    let file = disk.open(Path::new("/d/f"), true).unwrap();
    file.write_all_at(content, 0).unwrap();
    disk
}

fn outcomes(of: impl Fn(&SimDisk) -> String, make: impl Fn() -> SimDisk) -> std::collections::BTreeSet<String> {
    (0..200).map(|seed| of(&make().crash(seed))).collect()
}

#[test]
fn without_sync_anything_may_be_lost_names_and_content_apart() {
    let seen = outcomes(
        |disk| match read_file(disk, Path::new("/d/f"), 1 << 20) {
            Ok(bytes) if bytes.is_empty() => "empty".into(),
            Ok(bytes) if bytes == vec![7; 2000] => "whole".into(),
            Ok(_) => "torn".into(),
            Err(_) if disk.is_dir(Path::new("/d")) => "no file".into(),
            Err(_) => "no directory".into(),
        },
        || disk_with(&[7; 2000]),
    );
    let all: Vec<_> = seen.iter().map(String::as_str).collect();
    assert_eq!(all, ["empty", "no directory", "no file", "torn", "whole"]);
}

#[test]
fn synced_content_and_names_stay() {
    let seen = outcomes(
        |disk| format!("{:?}", read_file(disk, Path::new("/d/f"), 1 << 20).map_err(|e| e.kind())),
        || {
            let disk = disk_with(b"kept");
            disk.open(Path::new("/d/f"), false).unwrap().sync_data("file").unwrap();
            disk.sync_dir(Path::new("/d"), "dir").unwrap();
            disk.sync_dir(Path::new("/"), "root").unwrap();
            disk
        },
    );
    assert_eq!(seen.len(), 1);
    assert!(seen.first().unwrap().starts_with("Ok"));
}

#[test]
fn renames_removals_and_truncations_are_pending_too() {
    let make = || {
        let disk = disk_with(b"old");
        disk.file_system(Path::new("/")).unwrap().syncfs("all").unwrap();
        disk
    };
    let renamed = outcomes(
        |disk| format!("{} {}", disk.exists(Path::new("/d/f")), disk.exists(Path::new("/d/g"))),
        || {
            let disk = make();
            disk.rename(Path::new("/d/f"), Path::new("/d/g")).unwrap();
            disk
        },
    );
    assert_eq!(renamed.into_iter().collect::<Vec<_>>(), ["false true", "true false"]);
    let removed = outcomes(
        |disk| format!("{}", disk.exists(Path::new("/d/f"))),
        || {
            let disk = make();
            disk.remove_file(Path::new("/d/f")).unwrap();
            disk
        },
    );
    assert_eq!(removed.len(), 2);
    let truncated = outcomes(
        |disk| format!("{}", disk.file_len(Path::new("/d/f")).unwrap()),
        || {
            let disk = make();
            disk.open(Path::new("/d/f"), false).unwrap().set_len(1).unwrap();
            disk
        },
    );
    assert_eq!(truncated.into_iter().collect::<Vec<_>>(), ["1", "3"]);
}

#[test]
fn writes_are_torn_out_of_order() {
    let seen = outcomes(
        |disk| {
            let bytes = read_file(disk, Path::new("/d/f"), 1 << 20).unwrap();
            let sector = |n: usize| bytes.get(n * 512..(n + 1) * 512).is_some_and(|s| s == [2; 512]);
            format!("{} {} {}", sector(0), sector(1), sector(2))
        },
        || {
            let disk = disk_with(&[1; 1536]);
            disk.file_system(Path::new("/")).unwrap().syncfs("all").unwrap();
            disk.open(Path::new("/d/f"), false).unwrap().write_all_at(&[2; 1536], 0).unwrap();
            disk
        },
    );
    assert_eq!(seen.len(), 8, "every subset of three sectors: {seen:?}");
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    for seed in 0..50 {
        let found = |disk: SimDisk| read_file(&disk.crash(seed), Path::new("/d/f"), 1 << 20).ok();
        assert_eq!(found(disk_with(&[9; 5000])), found(disk_with(&[9; 5000])));
    }
}

#[test]
fn the_power_goes_after_the_given_operation() {
    let disk = SimDisk::new();
    disk.cut_after(2);
    disk.create_dir_all(Path::new("/d")).unwrap();
    let file = disk.open(Path::new("/d/f"), true).unwrap();
    assert!(file.write_all_at(b"x", 0).is_err());
    assert!(file.read_at(&mut [0], 0).is_err());
    assert_eq!(disk.operations(), 2);
}

#[test]
fn a_failed_sync_loses_the_data_and_the_next_one_succeeds() {
    let disk = disk_with(b"first");
    disk.file_system(Path::new("/")).unwrap().syncfs("all").unwrap();
    disk.plant(Fault::FailOnce { site: "file", nth: 1 });
    let file = disk.open(Path::new("/d/f"), false).unwrap();
    file.sync_data("file").unwrap();
    file.write_all_at(b"second", 0).unwrap();
    assert!(file.sync_data("file").is_err());
    file.sync_data("file").unwrap();
    let mut seen = [0; 6];
    file.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"second");
    file.forget_cached().unwrap();
    assert_eq!(file.len().unwrap(), 5);
    assert_eq!(read_file(&disk.crash(0), Path::new("/d/f"), 10).unwrap(), b"first");
}

#[test]
fn a_full_disk_refuses_writes() {
    let disk = disk_with(&[0; 100]);
    disk.set_capacity(Some(150));
    assert_eq!(disk.free_space(Path::new("/")).unwrap(), 50);
    let file = disk.open(Path::new("/d/f"), false).unwrap();
    assert_eq!(file.write_all_at(&[1; 100], 100).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    file.write_all_at(&[1; 100], 0).unwrap();
}

#[test]
fn after_a_restart_in_place_old_files_are_dead() {
    let disk = disk_with(b"x");
    disk.file_system(Path::new("/")).unwrap().syncfs("all").unwrap();
    let file = disk.open(Path::new("/d/f"), false).unwrap();
    file.write_all_at(b"y", 0).unwrap();
    disk.kill().unwrap();
    assert!(file.len().is_err());
    assert_eq!(read_file(&disk, Path::new("/d/f"), 10).unwrap(), b"y");
    disk.power_cycle(0).unwrap();
    assert_eq!(disk.file_len(Path::new("/d/f")).unwrap(), 1);
}

/// The harness on the replacement of a small file: sound as it is, unsound without either sync.
#[test]
fn the_harness_finds_each_missing_sync() {
    let workload = |disk: &SimDisk, seed: u64, acknowledged: &mut u64| {
        let path = Path::new("/checkpoint");
        for n in 1..=3 + seed % 3 {
            let content = n.to_string().repeat(800);
            if replace_file(disk, path, content.as_bytes(), SITES).is_err() {
                return;
            }
            *acknowledged = n;
        }
    };
    let verify = |disk: &SimDisk, _seed: u64, acknowledged: &u64| {
        let found = match read_file(disk, Path::new("/checkpoint"), 1 << 20) {
            Ok(bytes) => bytes,
            Err(_) if *acknowledged == 0 => return Ok(()),
            Err(e) => return Err(e.to_string()),
        };
        let text = String::from_utf8(found).map_err(|e| e.to_string())?;
        let n: u64 = text.get(..1).unwrap_or("0").parse().map_err(|_| "not a number".to_string())?;
        if text != n.to_string().repeat(800) {
            return Err(format!("torn: {} bytes", text.len()));
        }
        if n < *acknowledged { Err(format!("{n} found, {acknowledged} acknowledged")) } else { Ok(()) }
    };
    let plan = CutEverywhere { crashes_per_cut: 8, ..CutEverywhere::default() };
    let report = plan.run(workload, verify).unwrap();
    assert_eq!(report.sites_seen, ["replace data", "replace dir"]);
    assert!(report.crashes > 100);
    assert_eq!(plan.uncaught_sites(&[], workload, verify), Vec::<&str>::new());
    // And says so when the workload acknowledges too early.
    let early = |disk: &SimDisk, seed: u64, acknowledged: &mut u64| {
        *acknowledged = 1;
        workload(disk, seed, acknowledged);
    };
    assert!(plan.run(early, verify).is_err());
}
