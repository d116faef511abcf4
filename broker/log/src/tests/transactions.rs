//! Transactions found in a directory from elsewhere: where read_committed ends, and which were aborted.

use super::fixture::*;
use crate::{AbortedTransaction, AppendAs, Log, Origin, ReadLimit, cleaner::transactions, names};
use logmill_disk::{Disk, sim::SimDisk};
use logmill_protocol::{
    compression::Compression,
    records::{BatchBuilder, NewRecord},
};
use std::path::Path;

const COORDINATOR: AppendAs = AppendAs { leader_epoch: 0, origin: Origin::Coordinator };

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

    let one =
        transactions::AbortedTransaction { producer_id: 5, first_offset: 0, last_offset: 3, last_stable_offset: 4 };
    let mut bytes = Vec::new();
    one.encode(&mut bytes);
    let path = names::segment_file(Path::new("/data/t-0"), 0, names::TXN_INDEX);
    disk.open(&path, true).unwrap().write_all_at(&bytes, 0).unwrap();
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
