//! Transactions in a log: where read_committed ends, and which were aborted, as listed by who appends the marker and anew by recovery.

use super::{fixture::*, full_disk};
use crate::{
    AbortedTransaction, AppendAs, DataDir, GroupCommit, Log, LogConfig, Options, Origin, ReadLimit, aborted_index,
    names,
};
use logmill_disk::{Disk, sim::SimDisk};
use logmill_protocol::{
    compression::Compression,
    records::{BatchBuilder, NewRecord},
};
use std::{path::Path, sync::Arc};

const COORDINATOR: AppendAs = AppendAs { leader_epoch: 0, origin: Origin::Coordinator };

fn entry(
    producer_id: i64,
    first_offset: i64,
    last_offset: i64,
    last_stable_offset: i64,
) -> aborted_index::AbortedTransaction {
    aborted_index::AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset }
}

fn list(disk: &SimDisk, base: i64, entries: &[aborted_index::AbortedTransaction]) {
    aborted_index::rewrite(disk, Path::new("/data/t-0"), base, 0, entries, "test").unwrap();
}

fn listed(disk: &SimDisk, base: i64) -> Vec<aborted_index::AbortedTransaction> {
    aborted_index::read(disk, Path::new("/data/t-0"), base).unwrap()
}

fn data(log: &Log, id: i64, sequence: i32, values: &[&str]) {
    let builder = BatchBuilder::new(Compression::None).producer(id, 0, sequence).transactional();
    log.append(&mut build(builder, NOW, values), COORDINATOR).unwrap();
}

fn marker(id: i64, key: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None).producer(id, 0, -1).transactional().control();
    builder.push(NewRecord { timestamp: NOW, key: Some(key), value: Some(&[0; 6]), headers: &[] });
    builder.build().unwrap()
}

fn abort(log: &Log, id: i64) {
    log.append(&mut marker(id, &[0; 4]), COORDINATOR).unwrap();
}

#[test]
fn read_committed_ends_before_an_open_transaction_and_is_told_of_the_aborted() {
    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = open_log(&dir, small());
    data(&log, 5, 0, &["a", "b"]);
    append(&log, &["c"]).unwrap();
    dir.commit();
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (0, 3));
    assert!(log.read(0, 1000, ReadLimit::LastStable, true).unwrap().is_none());
    abort(&log, 5);
    data(&log, 6, 0, &["d"]);
    assert_eq!(log.last_stable_offset(), 3, "what is not durable is not stable");
    dir.commit();
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (4, 5));
    let slice = log.read(0, 1000, ReadLimit::LastStable, true).unwrap().unwrap();
    assert!(slice.len < log.size_bytes());
    let aborted = AbortedTransaction { producer_id: 5, first_offset: 0 };
    assert_eq!(log.aborted_transactions(0).unwrap(), [aborted]);
    dir.close().unwrap();

    let path = names::segment_file(Path::new("/data/t-0"), 0, names::TXN_INDEX);
    assert_eq!(listed(&disk, 0), [entry(5, 0, 3, 4)]);
    let dir = open_dir(&disk);
    let log = open_log(&dir, small());
    assert_eq!(log.last_stable_offset(), 4);
    assert_eq!(log.aborted_transactions(2).unwrap(), [aborted]);
    assert_eq!(log.aborted_transactions(4).unwrap(), []);
    abort(&log, 6);
    dir.commit();
    assert_eq!(log.last_stable_offset(), 6);
    disk.open(&path, false).unwrap().write_all_at(b"??", 0).unwrap();
    assert!(log.aborted_transactions(2).is_err(), "damage is not passed over");
}

fn commit(log: &Log, id: i64) {
    log.append(&mut marker(id, &[0, 0, 0, 1]), COORDINATOR).unwrap();
}

/// 5 aborts at 3 and at 8, between which 7, begun before, is open; 6 commits.
fn two_aborted(log: &Log) {
    data(log, 5, 0, &["a", "b"]);
    data(log, 7, 0, &["c"]);
    abort(log, 5);
    data(log, 5, 2, &["d"]);
    data(log, 6, 0, &["e"]);
    commit(log, 6);
    commit(log, 7);
    abort(log, 5);
}

#[test]
fn a_marker_is_listed_durably_with_the_recovery_point_or_not_appended() {
    for group_commit in [GroupCommit::Fdatasync, GroupCommit::Syncfs] {
        let disk = SimDisk::new();
        let options = Options { group_commit, ..options(Arc::new(disk.clone())) };
        let dir = DataDir::open(Path::new("/data"), options).unwrap();
        let log = open_log(&dir, LogConfig { segment_bytes: 300, ..small() });
        two_aborted(&log);
        dir.commit();
        dir.write_checkpoints().unwrap();
        let expected: Vec<_> = (0..9).flat_map(|base| listed(&disk, base)).collect();
        assert_eq!(expected.len(), 2);
        let found = disk.crash(3);
        assert_eq!((0..9).flat_map(|base| listed(&found, base)).collect::<Vec<_>>(), expected, "{group_commit:?}");
    }

    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = open_log(&dir, LogConfig::default());
    two_aborted(&log);
    data(&log, 8, 0, &["f"]);
    dir.commit();
    let (end, before) = (log.log_end_offset(), listed(&disk, 0));
    let mut marker = marker(8, &[0; 4]);
    full_disk::fill(&disk, marker.len() as u64 + 33);
    log.append(&mut marker, COORDINATOR).unwrap_err();
    assert_eq!((log.log_end_offset(), log.last_stable_offset(), listed(&disk, 0)), (end, end - 1, before.clone()));
    full_disk::fill(&disk, marker.len() as u64 + 34);
    log.append(&mut marker, COORDINATOR).unwrap();
    dir.commit();
    assert_eq!((log.last_stable_offset(), listed(&disk, 0).len()), (end + 1, before.len() + 1));
}

#[test]
fn what_recovery_checks_has_its_aborted_transactions_listed_anew() {
    for segment_bytes in [1 << 20, 200] {
        let config = LogConfig { segment_bytes, ..small() };
        let disk = SimDisk::new();
        let dir = open_dir(&disk);
        let log = open_log(&dir, config.clone());
        two_aborted(&log);
        dir.commit();
        let at_append: Vec<_> = (0..9).flat_map(|base| listed(&disk, base)).collect();
        drop((dir, log));
        disk.kill().unwrap();
        for path in disk.read_dir(Path::new("/data/t-0")).unwrap() {
            if path.extension().is_some_and(|extension| extension == names::TXN_INDEX) {
                disk.remove_file(&path).unwrap();
            }
        }
        let dir = open_dir(&disk);
        let log = open_log(&dir, config.clone());
        let found: Vec<_> = (0..9).flat_map(|base| listed(&disk, base)).collect();
        assert_eq!(found, [entry(5, 0, 3, 2), entry(5, 4, 8, 9)]);
        assert_eq!(found, at_append);
        let told =
            |from| log.aborted_transactions(from).unwrap().iter().map(|one| one.first_offset).collect::<Vec<_>>();
        assert_eq!((told(0).first(), told(4)), (Some(&0), vec![4]));
        // It is durable with what it tells of.
        drop((dir, log));
        let disk = disk.crash(1);
        open_log(&open_dir(&disk), config);
        assert_eq!((0..9).flat_map(|base| listed(&disk, base)).collect::<Vec<_>>(), found);
    }
}

#[test]
fn no_cut_leaves_an_aborted_transaction_listed_that_is_gone() {
    let path = names::segment_file(Path::new("/data/t-0"), 0, names::LOG);
    let all = [entry(5, 0, 3, 2), entry(5, 4, 8, 9)];
    for damage in ["power", "truncation", "entries"] {
        let disk = SimDisk::new();
        let dir = open_dir(&disk);
        let log = open_log(&dir, LogConfig::default());
        two_aborted(&log);
        dir.commit();
        dir.close().unwrap();
        drop((dir, log));
        list(&disk, 0, &all);
        let expected = match damage {
            "power" => {
                // The last marker is damaged, and nothing says that the log was closed.
                let file = disk.open(&path, false).unwrap();
                file.set_len(file.len().unwrap() - 1).unwrap();
                disk.remove_file(Path::new("/data/.kafka_cleanshutdown")).unwrap();
                &all[..1]
            }
            "truncation" => {
                open_log(&open_dir(&disk), LogConfig::default()).truncate_to(8).unwrap();
                &all[..1]
            }
            _ => {
                let file = disk.open(&path.with_extension(names::TXN_INDEX), false).unwrap();
                file.write_all_at(b"??", 34).unwrap();
                &all[..]
            }
        };
        let log = open_log(&open_dir(&disk), LogConfig::default());
        assert_eq!(listed(&disk, 0), expected, "{damage}");
        let told: Vec<_> = log.aborted_transactions(0).unwrap().iter().map(|one| one.first_offset).collect();
        assert_eq!(told, expected.iter().map(|one| one.first_offset).collect::<Vec<_>>(), "{damage}");
        assert_eq!(log.log_end_offset(), if expected.len() == 2 { 9 } else { 8 }, "{damage}");
    }
}
