//! Opening and closing: locks, clean and unclean starts, deletion, checkpoints, the committing thread on a real disk.

use super::fixture::*;
use crate::{
    AppendAs, Clock, Committer, DataDir, GroupCommit, LogConfig, OpenError, Options, PartitionDir, ReadLimit,
    SystemClock, names,
};
use logmill_disk::{Disk, RealDisk, sim::SimDisk};
use logmill_protocol::{compression::Compression, records::BatchBuilder};
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

#[test]
fn the_index_of_a_segment_that_a_crash_has_taken_is_not_taken_up_again() {
    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = open_log(&dir, small());
    append(&log, &["a"]).unwrap();
    dir.commit();
    let end = log.log_end_offset();
    let stray = names::segment_file(Path::new("/data/t-0"), end + 7, names::INDEX);
    disk.open(&stray, true).unwrap().write_all_at(&[0, 0, 0, 9, 0, 0, 0, 0], 0).unwrap();
    disk.sync_dir(Path::new("/data/t-0"), "test").unwrap();
    drop((log, dir));
    let disk = disk.crash(1);
    let dir = open_dir(&disk);
    let log = open_log(&dir, small());
    assert_eq!(log.high_watermark(), end);
    assert!(!disk.exists(&stray));
}

#[test]
fn a_directory_put_in_the_place_of_ours_may_have_gaps() {
    let batch_at = |offset: i64| {
        let builder = BatchBuilder::new(Compression::None).base_offset(offset);
        build(builder, NOW, &["v", "w"])
    };
    for (clean, end) in [(true, 32), (false, 2)] {
        let disk = SimDisk::new();
        let dir = open_dir(&disk);
        open_log(&dir, small());
        dir.close().unwrap();
        let put = |base: i64, offsets: &[i64]| {
            let path = names::segment_file(Path::new("/data/t-0"), base, names::LOG);
            let bytes: Vec<u8> = offsets.iter().flat_map(|offset| batch_at(*offset)).collect();
            disk.open(&path, true).unwrap().write_all_at(&bytes, 0).unwrap();
        };
        // As Apache Kafka compacts: offsets are missing within segments and between them.
        put(0, &[0, 10]);
        put(20, &[25, 30]);
        if !clean {
            disk.remove_file(Path::new("/data/.kafka_cleanshutdown")).unwrap();
        }
        let dir = open_dir(&disk);
        assert_eq!(dir.size_of("t", 0).unwrap(), 4 * batch_at(0).len() as u64);
        assert_eq!(dir.size_of("t", 1).unwrap(), 0);
        let log = open_log(&dir, small());
        assert_eq!(log.log_end_offset(), end, "stopped in an orderly way: {clean}");
        let read = |offset| log.read(offset, 1000, ReadLimit::HighWatermark, true).ok().flatten();
        let offset = |offset| read(offset).map(|slice| slice.base_offset);
        assert_eq!(offset(0), Some(0));
        assert_eq!(offset(3), clean.then_some(10));
        drop((log, dir));
        let disk = disk.crash(5);
        let dir = open_dir(&disk);
        let log = open_log(&dir, small());
        assert_eq!(log.log_end_offset(), end, "after a crash");
        assert_eq!(append(&log, &["x"]).unwrap().base_offset, end);
    }
}

#[test]
fn the_old_list_of_offsets_is_where_segments_begin() {
    let dir = open_dir(&SimDisk::new());
    let log = open_log(&dir, small());
    for n in 0..60 {
        let builder = BatchBuilder::new(Compression::None);
        log.append(&mut build(builder, NOW + n, &[&"v".repeat(100)]), CLIENT).unwrap();
    }
    dir.commit();
    let all = log.starts_before(i64::MAX).unwrap();
    assert_eq!((all.first(), all.last()), (Some(&60), Some(&0)));
    assert!(all.len() > 4 && all.is_sorted_by(|a, b| a > b), "{all:?}");
    // Nothing newer than the time: segments that began later or were still written are left out.
    let some = log.starts_before(NOW + 30).unwrap();
    assert!(some.len() < all.len() && some[0] < 30 && some.ends_with(&[0]), "{some:?}");
    assert_eq!(log.starts_before(NOW - 1).unwrap(), []);
}

/// Apache Kafka's compaction leaves a segment of which nothing stays as an empty file, also the first; the active one may have nothing yet.
#[test]
fn segments_that_compaction_emptied_take_nothing_with_them() {
    let root = tempfile::tempdir().unwrap();
    let open = || DataDir::open(root.path(), options(Arc::new(RealDisk))).unwrap();
    let config = LogConfig { compact: true, ..small() };
    let dir = open();
    let log = open_log(&dir, config.clone());
    for n in 0..100 {
        append(&log, &[&format!("{n}{}", "x".repeat(100))]).unwrap();
    }
    dir.commit();
    let (end, before) = (log.log_end_offset(), offsets(&log));
    dir.close().unwrap();
    let partition = root.path().join("t-0");
    let mut bases: Vec<i64> = std::fs::read_dir(&partition)
        .unwrap()
        .filter_map(|entry| match names::parse_segment_file(&entry.unwrap().path()) {
            Some((base, names::LOG)) => Some(base),
            _ => None,
        })
        .collect();
    bases.sort_unstable();
    assert!(bases.len() > 4, "{bases:?}");
    let empty = |base| {
        for extension in [names::LOG, names::INDEX, names::TIME_INDEX] {
            std::fs::write(names::segment_file(&partition, base, extension), "").unwrap();
        }
    };
    // As if moved here: no recovery point is known.
    std::fs::remove_file(root.path().join("recovery-point-offset-checkpoint")).unwrap();
    [bases[0], bases[2], end].into_iter().for_each(empty);
    let dir = open();
    let log = open_log(&dir, config.clone());
    let kept: Vec<i64> = before.into_iter().filter(|n| *n >= bases[1] && !(bases[2]..bases[3]).contains(n)).collect();
    assert_eq!((log.log_end_offset(), offsets(&log)), (end, kept.clone()));
    append(&log, &["more"]).unwrap();
    dir.commit();
    drop((dir, log));
    let log = open_log(&open(), config);
    assert_eq!((log.log_end_offset(), offsets(&log)), (end + 1, [kept, vec![end]].concat()));
}

/// Of the batches that a reader finds, which may leave gaps.
fn offsets(log: &crate::Log) -> Vec<i64> {
    let (mut next, mut found) = (0, Vec::new());
    while let Some(slice) = log.read(next, 1, ReadLimit::HighWatermark, true).unwrap() {
        found.push(slice.base_offset);
        next = slice.base_offset + 1;
    }
    found
}

#[test]
fn a_log_without_records_knows_its_epoch() {
    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = open_log(&dir, small());
    log.append(&mut batch(&["a", "b"]), AppendAs { leader_epoch: 3, ..CLIENT }).unwrap();
    dir.commit();
    log.delete_records_before(2).unwrap();
    dir.close().unwrap();
    // As a power cut leaves it before the next segment has a name.
    for path in disk.read_dir(log.dir()).unwrap() {
        if path.extension().is_some_and(|extension| extension == names::LOG) {
            disk.remove_file(&path).unwrap();
        }
    }
    let dir = open_dir(&disk);
    let log = open_log(&dir, small());
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.latest_epoch()), (2, 2, Some(3)));
}
