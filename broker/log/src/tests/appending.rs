//! Appends: offsets, refusals, duplicates, the high watermark.

use super::fixture::*;
use crate::{
    AppendAs, AppendError, DataDir, Durability, LogConfig, LogListener, Options, Origin, ReadLimit, TimestampType,
};
use logmill_disk::sim::SimDisk;
use logmill_protocol::{
    compression::Compression,
    records::{Batch, BatchBuilder},
};
use parking_lot::Mutex;
use std::{path::Path, sync::Arc};

#[derive(Default)]
struct Heard(Mutex<Vec<i64>>);

impl LogListener for Heard {
    fn high_watermark_moved(&self, high_watermark: i64) {
        self.0.lock().push(high_watermark);
    }

    fn fenced(&self, durable_end: i64) {
        self.0.lock().push(-1 - durable_end);
    }
}

#[test]
fn the_high_watermark_follows_the_commit_not_the_append() {
    let dir = open_dir(&SimDisk::new());
    let log = open_log(&dir, small());
    let heard = Arc::new(Heard::default());
    log.set_listener(heard.clone());
    let appended = append(&log, &["a", "b"]).unwrap();
    assert_eq!((appended.base_offset, appended.last_offset, appended.log_append_time), (0, 1, -1));
    append(&log, &["c"]).unwrap();
    assert_eq!((log.log_end_offset(), log.high_watermark()), (3, 0));
    assert!(log.read(0, 1000, ReadLimit::HighWatermark, true).unwrap().is_none());
    assert!(log.read(0, 1000, ReadLimit::LogEnd, true).unwrap().is_some());
    assert_eq!(dir.commit(), 1);
    assert_eq!(log.high_watermark(), 3);
    assert_eq!(*heard.0.lock(), [3]);
    assert_eq!(all(&log), ["a", "b", "c"]);
    assert_eq!(dir.commit(), 0);
}

#[test]
fn in_page_cache_mode_it_follows_the_append() {
    let disk = SimDisk::new();
    let options = Options { durability: Durability::PageCache, ..options(Arc::new(disk.clone())) };
    let dir = DataDir::open(Path::new("/data"), options).unwrap();
    let log = open_log(&dir, small());
    append(&log, &["a", "b"]).unwrap();
    assert_eq!(log.high_watermark(), 2);
    assert_eq!(all(&log), ["a", "b"]);
}

#[test]
fn duplicates_get_their_first_offsets_and_gaps_are_refused() {
    let dir = open_dir(&SimDisk::new());
    let log = open_log(&dir, small());
    append(&log, &["x"]).unwrap();
    log.append(&mut idempotent(5, 0, 0, &["a", "b"]), CLIENT).unwrap();
    log.append(&mut idempotent(5, 0, 2, &["c"]), CLIENT).unwrap();
    let again = log.append(&mut idempotent(5, 0, 0, &["a", "b"]), CLIENT).unwrap_err();
    assert!(matches!(again, AppendError::DuplicateSequence { base_offset: 1, last_offset: 2, .. }), "{again}");
    let gap = log.append(&mut idempotent(5, 0, 9, &["d"]), CLIENT).unwrap_err();
    assert!(matches!(gap, AppendError::OutOfOrderSequence { expected: 3, found: 9, .. }), "{gap}");
    log.append(&mut idempotent(5, 1, 0, &["d"]), CLIENT).unwrap();
    let old = log.append(&mut idempotent(5, 0, 3, &["d"]), CLIENT).unwrap_err();
    assert!(matches!(old, AppendError::InvalidProducerEpoch { current: 1, found: 0, .. }), "{old}");
    assert_eq!(log.log_end_offset(), 5);
}

#[test]
fn what_is_too_large_too_old_or_broken_is_refused_and_leaves_no_trace() {
    let dir = open_dir(&SimDisk::new());
    let config = LogConfig { max_message_bytes: 300, timestamp_before_max_ms: Some(1000), ..small() };
    let log = open_log(&dir, config);
    let large = "x".repeat(300);
    assert!(matches!(append(&log, &[&large]), Err(AppendError::MessageTooLarge { max: 300, .. })));
    let at = |time| build(BatchBuilder::new(Compression::None), time, &["v"]);
    let refused = |time| matches!(log.append(&mut at(time), CLIENT), Err(AppendError::InvalidTimestamp { .. }));
    assert!(refused(NOW - 1001) && refused(NOW + 3_600_001));
    assert!(!refused(NOW - 1000) && !refused(NOW + 3_600_000));
    let mut cut = batch(&["abc"]);
    cut.truncate(70);
    assert!(matches!(log.append(&mut cut, CLIENT), Err(AppendError::Corrupt(_))));
    assert!(matches!(log.append(&mut [], CLIENT), Err(AppendError::Corrupt(_))));
    let mut control = build(BatchBuilder::new(Compression::None).control(), NOW, &["v"]);
    assert!(matches!(log.append(&mut control, CLIENT), Err(AppendError::Corrupt(_))));
    assert!(log.append(&mut control, AppendAs { leader_epoch: 3, origin: Origin::Coordinator }).is_ok());
    assert!(matches!(append(&log, &["v"]), Err(AppendError::FencedLeaderEpoch { current: 3, found: 0 })));
    assert_eq!(log.log_end_offset(), 3);
    assert_eq!(log.end_offset_for_epoch(0), Some((0, 2)));
    assert_eq!(log.end_offset_for_epoch(3), Some((3, 3)));
    assert_eq!(log.end_offset_for_epoch(9), None);
}

#[test]
fn log_append_time_is_set_with_a_valid_crc() {
    let dir = open_dir(&SimDisk::new());
    let log = open_log(&dir, LogConfig { timestamp_type: TimestampType::LogAppendTime, ..small() });
    let mut old = build(BatchBuilder::new(Compression::Lz4), 5, &["v", "w"]);
    assert_eq!(log.append(&mut old, CLIENT).unwrap().log_append_time, NOW);
    let (batch, _) = Batch::split(&old).unwrap();
    batch.check_crc().unwrap();
    assert_eq!(batch.header.max_timestamp, NOW);
    dir.commit();
    assert_eq!(all(&log), ["v", "w"]);
}

#[test]
fn below_the_free_space_reserve_appends_are_refused_and_go_on_when_there_is_room() {
    let disk = SimDisk::new();
    let options = Options { free_space_reserve: 10_000, ..options(Arc::new(disk.clone())) };
    let dir = DataDir::open(Path::new("/data"), options).unwrap();
    let log = open_log(&dir, small());
    append(&log, &["a"]).unwrap();
    disk.set_capacity(Some(10_000));
    let mut refused = None;
    // What one look at the file system allowed may still be used.
    for _ in 0..40 {
        let value = "v".repeat(1500);
        match append(&log, &[&value]) {
            Ok(_) => {}
            Err(e) => {
                refused = Some(e);
                break;
            }
        }
    }
    assert!(matches!(refused, Some(AppendError::NoSpace { .. } | AppendError::Io(_))), "{refused:?}");
    disk.set_capacity(None);
    dir.commit();
    let end = log.log_end_offset();
    assert_eq!(append(&log, &["b"]).unwrap().base_offset, end);
    dir.commit();
    assert_eq!(all(&log).last().unwrap(), "b");
}
