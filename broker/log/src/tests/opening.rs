//! Opening and closing: locks, clean and unclean starts, deletion, checkpoints, the committing thread on a real disk.

use super::fixture::*;
use crate::{
    Clock, Committer, DataDir, GroupCommit, LogConfig, OpenError, Options, PartitionDir, ReadLimit, SystemClock, names,
};
use logmill_disk::{Disk, RealDisk, sim::SimDisk};
use std::{path::Path, sync::Arc, time::Duration};

#[test]
fn a_second_broker_on_the_directory_gets_one_clear_error() {
    let root = tempfile::tempdir().unwrap();
    let first = DataDir::open(root.path(), options(Arc::new(RealDisk))).unwrap();
    let second = DataDir::open(root.path(), options(Arc::new(RealDisk))).err().unwrap();
    assert!(matches!(second, OpenError::Locked { .. }));
    assert!(second.to_string().contains("in use by another broker"), "{second}");
    drop(first);
    DataDir::open(root.path(), options(Arc::new(RealDisk))).unwrap();
}

#[test]
fn a_clean_close_leaves_nothing_to_recover_and_knows_its_producers() {
    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = open_log(&dir, small());
    for n in 0..100 {
        log.append(&mut idempotent(5, 0, n, &[&n.to_string()]), CLIENT).unwrap();
    }
    dir.close().unwrap();
    assert!(append(&log, &["late"]).is_err());
    let checkpoint = logmill_disk::read_file(&disk, Path::new("/data/recovery-point-offset-checkpoint"), 100).unwrap();
    assert_eq!(String::from_utf8(checkpoint).unwrap(), "0\n1\nt 0 100\n");
    let operations = disk.operations();
    let disk = disk.crash(3);
    let dir = open_dir(&disk);
    assert!(dir.was_clean());
    assert_eq!(dir.found(), [PartitionDir { topic: "t".into(), partition: 0, topic_id: Some(ID) }]);
    let log = open_log(&dir, small());
    // Removing the mark and syncing that is all it took.
    assert_eq!(disk.operations(), 2, "of {operations}");
    assert_eq!(log.high_watermark(), 100);
    assert!(log.append(&mut idempotent(5, 0, 99, &["99"]), CLIENT).is_err());
    log.append(&mut idempotent(5, 0, 100, &["100"]), CLIENT).unwrap();
    dir.commit();
    assert_eq!(all(&log).len(), 101);
}

#[test]
fn recovery_reads_only_what_is_past_the_recovery_point() {
    let root = tempfile::tempdir().unwrap();
    let open = || {
        let options = Options { recovery_point_bytes: 100 << 10, ..options(Arc::new(RealDisk)) };
        DataDir::open(root.path(), options).unwrap()
    };
    let config = LogConfig { segment_bytes: 64 << 10, ..LogConfig::default() };
    let dir = open();
    let log = open_log(&dir, config.clone());
    let value = "v".repeat(1000);
    for _ in 0..500 {
        append(&log, &[&value]).unwrap();
        dir.commit();
    }
    assert!(log.recovery_point() > 300, "{}", log.recovery_point());
    assert!(dir.stats().recovery_points_written >= 4);
    drop(log);
    drop(dir);
    // Damage before the recovery point is not looked at, past it it is cut.
    let flip = |base: i64, at: u64| {
        let file = RealDisk.open(&names::segment_file(&root.path().join("t-0"), base, "log"), false).unwrap();
        file.write_all_at(b"!", at).unwrap();
    };
    flip(0, 500);
    let dir = open();
    assert!(!dir.was_clean());
    let log = open_log(&dir, config.clone());
    assert_eq!(log.log_end_offset(), 500);
    drop((log, dir));
    let bases: Vec<i64> = std::fs::read_dir(root.path().join("t-0"))
        .unwrap()
        .filter_map(|e| {
            names::parse_segment_file(&e.unwrap().path()).filter(|(_, x)| *x == "log").map(|(base, _)| base)
        })
        .collect();
    flip(*bases.iter().max().unwrap(), 500);
    let dir = open();
    let log = open_log(&dir, config);
    assert_eq!(log.log_end_offset(), *bases.iter().max().unwrap());
    append(&log, &["next"]).unwrap();
    dir.commit();
    assert_eq!(values(&log, 400, ReadLimit::HighWatermark, 3000).unwrap().last().unwrap().1, "next");
}

#[test]
fn a_deleted_log_is_gone_and_a_new_one_of_its_name_begins_anew() {
    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = open_log(&dir, small());
    for _ in 0..50 {
        append(&log, &["a", "b", "c"]).unwrap();
    }
    dir.commit();
    log.delete_records_before(40).unwrap();
    dir.write_checkpoints().unwrap();
    dir.delete_log("t", 0).unwrap();
    assert!(append(&log, &["x"]).is_err());
    assert!(dir.log("t", 0).is_none());
    let other = [9; 16];
    let log = dir.open_log("t", 0, other, Arc::new(small())).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 0));
    append(&log, &["new"]).unwrap();
    dir.commit();
    let mismatch = dir.open_log("t", 0, ID, Arc::new(small())).err().unwrap();
    assert!(mismatch.to_string().contains("expected BwcHBwcHBwcHBwcHBwcHBw"), "{mismatch}");
    drop(dir);
    let disk = disk.crash(5);
    let dir = open_dir(&disk);
    assert_eq!(dir.found(), [PartitionDir { topic: "t".into(), partition: 0, topic_id: Some(other) }]);
    let log = dir.open_log("t", 0, other, Arc::new(small())).unwrap();
    assert_eq!(all(&log), ["new"]);
    dir.housekeeping();
    let left = disk.read_dir(Path::new("/data")).unwrap();
    assert!(!left.iter().any(|path| names::is_deleted_dir(path)), "{left:?}");
    assert!(dir.open_log("../x", 0, ID, Arc::new(small())).is_err());
}

#[test]
fn the_committing_thread_makes_many_partitions_durable_by_either_method() {
    for group_commit in [GroupCommit::Fdatasync, GroupCommit::Syncfs, GroupCommit::Auto] {
        let root = tempfile::tempdir().unwrap();
        let options = Options {
            committer: Committer::Thread,
            group_commit,
            recovery_point_bytes: 5000,
            ..options(Arc::new(RealDisk))
        };
        let dir = DataDir::open(root.path(), options).unwrap();
        let logs: Vec<_> =
            (0..20).map(|n| dir.open_log("many", n, ID, Arc::new(LogConfig::default())).unwrap()).collect();
        for _ in 0..5 {
            for log in &logs {
                append(log, &["a", "b"]).unwrap();
            }
        }
        let clock = SystemClock::default();
        let deadline = clock.elapsed() + Duration::from_secs(20);
        while logs.iter().any(|log| log.high_watermark() < 10) {
            assert!(clock.elapsed() < deadline, "not committed in time");
            std::thread::yield_now();
        }
        dir.close().unwrap();
        let stats = dir.stats();
        assert!(stats.commits > 0 && stats.appended_bytes > 5000, "{stats:?}");
        drop((dir, logs));
        let dir = DataDir::open(root.path(), super::fixture::options(Arc::new(RealDisk))).unwrap();
        assert!(dir.was_clean());
        let log = dir.open_log("many", 19, ID, Arc::default()).unwrap();
        assert_eq!(all(&log).len(), 10);
    }
}
