//! Transactions found in a directory from elsewhere: where read_committed ends, and which were aborted.

use super::fixture::*;
use crate::{AbortedTransaction, AppendAs, Log, LogConfig, Origin, ReadLimit, aborted_index, names};
use logmill_disk::{Disk, sim::SimDisk};
use logmill_protocol::{
    compression::Compression,
    records::{BatchBuilder, NewRecord},
};
use std::path::Path;

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

fn abort(log: &Log, id: i64) {
    let mut builder = BatchBuilder::new(Compression::None).producer(id, 0, -1).transactional().control();
    builder.push(NewRecord { timestamp: NOW, key: Some(&[0; 4]), value: Some(&[0; 6]), headers: &[] });
    log.append(&mut builder.build().unwrap(), COORDINATOR).unwrap();
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
    assert_eq!(log.aborted_transactions(0).unwrap(), []);
    dir.close().unwrap();

    let path = names::segment_file(Path::new("/data/t-0"), 0, names::TXN_INDEX);
    list(&disk, 0, &[entry(5, 0, 3, 4)]);
    let dir = open_dir(&disk);
    let log = open_log(&dir, small());
    assert_eq!(log.last_stable_offset(), 4);
    let aborted = AbortedTransaction { producer_id: 5, first_offset: 0 };
    assert_eq!(log.aborted_transactions(2).unwrap(), [aborted]);
    assert_eq!(log.aborted_transactions(4).unwrap(), []);
    abort(&log, 6);
    dir.commit();
    assert_eq!(log.last_stable_offset(), 6);
    disk.open(&path, false).unwrap().write_all_at(b"??", 0).unwrap();
    assert!(log.aborted_transactions(2).is_err(), "damage is not passed over");
}

fn commit(log: &Log, id: i64) {
    let mut builder = BatchBuilder::new(Compression::None).producer(id, 0, -1).transactional().control();
    builder.push(NewRecord { timestamp: NOW, key: Some(&[0, 0, 0, 1]), value: Some(&[0; 6]), headers: &[] });
    log.append(&mut builder.build().unwrap(), COORDINATOR).unwrap();
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
fn what_recovery_checks_has_its_aborted_transactions_listed_anew() {
    for segment_bytes in [1 << 20, 200] {
        let config = LogConfig { segment_bytes, ..small() };
        let disk = SimDisk::new();
        let dir = open_dir(&disk);
        let log = open_log(&dir, config.clone());
        two_aborted(&log);
        dir.commit();
        drop((dir, log));
        disk.kill().unwrap();
        let dir = open_dir(&disk);
        let log = open_log(&dir, config.clone());
        let found: Vec<_> = (0..9).flat_map(|base| listed(&disk, base)).collect();
        assert_eq!(found, [entry(5, 0, 3, 2), entry(5, 4, 8, 9)]);
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
