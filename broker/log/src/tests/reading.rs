//! Reads: whole batches, limits, segments, times, retention.

use super::{compaction::SharedClock, fixture::*};
use crate::{DataDir, LogConfig, MaintenanceError, Options, ReadError, ReadLimit, TimestampOffset};
use logmill_disk::{RealDisk, sim::SimDisk};
use logmill_protocol::{compression::Compression, records::BatchBuilder};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// 200 batches of 1 to 4 records over many segments; the values are their offsets.
fn filled(dir: &DataDir, config: LogConfig) -> Arc<crate::Log> {
    let log = open_log(dir, config);
    for n in 0..200 {
        let base = log.log_end_offset();
        let values: Vec<String> = (0..=n % 4).map(|k| (base + k).to_string()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let compression = if n % 2 == 0 { Compression::None } else { Compression::Lz4 };
        let mut batch = build(BatchBuilder::new(compression), NOW + base * 10, &values);
        log.append(&mut batch, CLIENT).unwrap();
        if n % 7 == 0 {
            dir.commit();
        }
    }
    dir.commit();
    log
}

#[test]
fn every_offset_is_found_with_any_size_of_read() {
    let dir = open_dir(&SimDisk::new());
    let log = filled(&dir, small());
    let end = log.high_watermark();
    assert_eq!(end, 500);
    for max_bytes in [1, 100, 333, 5000, 1 << 20] {
        for offset in [0, 1, 7, 123, 250, 251, 252, 253, 498, 499] {
            let found = values(&log, offset, ReadLimit::HighWatermark, max_bytes).unwrap();
            assert_eq!(found.len() as i64, end - offset, "{offset} {max_bytes}");
            assert!(found.iter().all(|(at, value)| at.to_string() == *value));
        }
    }
    assert!(log.read(3, 10, ReadLimit::HighWatermark, false).unwrap().is_none());
    assert!(log.read(end, 10, ReadLimit::HighWatermark, true).unwrap().is_none());
    let slice = log.read(100, 400, ReadLimit::HighWatermark, false).unwrap().unwrap();
    assert!(slice.len <= 400);
    let refused = log.read(501, 10, ReadLimit::HighWatermark, true).err().unwrap();
    assert!(matches!(refused, ReadError::OffsetOutOfRange { log_start_offset: 0, log_end_offset: 500, .. }));
}

#[test]
fn records_are_found_by_time() {
    let dir = open_dir(&SimDisk::new());
    let log = filled(&dir, small());
    // Batches begin at NOW + 10 × their base; records in a batch are 1 ms apart.
    let at = |time| log.offset_for_time(time).unwrap().map(|found| found.offset);
    assert_eq!(at(0), Some(0));
    assert_eq!(at(NOW), Some(0));
    assert_eq!(at(NOW + 10), Some(1));
    assert_eq!(at(NOW + 11), Some(2));
    assert_eq!(at(NOW + 12), Some(3));
    for base in [10, 100, 260, 490] {
        assert_eq!(at(NOW + base * 10), Some(base));
    }
    assert_eq!(at(NOW + 10_000), None);
    let newest = log.max_timestamp().unwrap();
    assert_eq!(newest, Some(TimestampOffset { timestamp: NOW + 4963, offset: 499, leader_epoch: 0 }));
}

#[test]
fn deleted_records_are_out_of_range_and_their_segments_go_but_readers_keep_theirs() {
    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = filled(&dir, small());
    let slice = log.read(0, 1000, ReadLimit::HighWatermark, true).unwrap().unwrap();
    let size = log.size_bytes();
    assert_eq!(log.delete_records_before(123).unwrap(), 123);
    assert!(log.size_bytes() < size);
    assert!(slice.to_vec().is_ok());
    assert!(matches!(log.read(122, 10, ReadLimit::HighWatermark, true), Err(ReadError::OffsetOutOfRange { .. })));
    assert_eq!(values(&log, 123, ReadLimit::HighWatermark, 500).unwrap().len(), 377);
    let refused = log.delete_records_before(501).unwrap_err();
    assert!(matches!(refused, MaintenanceError::OffsetOutOfRange { .. }));
    assert_eq!(log.delete_records_before(-1).unwrap(), 500);
    append(&log, &["500"]).unwrap();
    dir.commit();
    dir.close().unwrap();
    let dir = open_dir(&disk);
    assert!(dir.was_clean());
    let log = open_log(&dir, small());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (500, 501));
    assert_eq!(all(&log), ["500"]);
}

#[test]
fn retention_deletes_by_size_and_by_age() {
    let dir = open_dir(&SimDisk::new());
    let config = LogConfig { retention_bytes: Some(5000), ..small() };
    let log = filled(&dir, config.clone());
    assert!(log.delete_old_segments(NOW).unwrap() > 0);
    assert!((5000..7500).contains(&log.size_bytes()), "{}", log.size_bytes());
    assert_eq!(all(&log).first().unwrap(), &log.log_start_offset().to_string());
    log.set_config(Arc::new(LogConfig { retention_ms: Some(1000), ..config }));
    assert_eq!(log.delete_old_segments(NOW).unwrap(), 0);
    // Past the newest record of all: even the active segment goes.
    log.delete_old_segments(NOW + 10_000).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.size_bytes()), (500, 500, 0));
    append(&log, &["500"]).unwrap();
    dir.commit();
    assert_eq!(all(&log), ["500"]);
}

#[test]
fn deleted_segments_go_after_their_delay_or_with_the_next_start() {
    let (disk, clock) = (SimDisk::new(), Arc::new(AtomicI64::new(NOW)));
    let options = Options { clock: Arc::new(SharedClock(clock.clone())), ..options(Arc::new(disk.clone())) };
    let dir = DataDir::open(Path::new("/data"), options).unwrap();
    let log = filled(&dir, LogConfig { file_delete_delay: Duration::from_millis(100), ..small() });
    log.delete_records_before(100).unwrap();
    let first = deleted(&disk);
    assert!(first >= 3, "{first}: log and indexes of each segment");
    clock.fetch_add(99, Ordering::Relaxed);
    assert!(!dir.has_deleted());
    dir.remove_deleted();
    assert_eq!(deleted(&disk), first);
    // An altered delay is that of what is deleted from now on.
    log.set_config(Arc::new(LogConfig { file_delete_delay: Duration::from_millis(1), ..small() }));
    log.delete_records_before(200).unwrap();
    clock.fetch_add(1, Ordering::Relaxed);
    assert!(deleted(&disk) > first && dir.has_deleted());
    dir.remove_deleted();
    assert_eq!((deleted(&disk), dir.has_deleted()), (0, false));

    log.delete_records_before(300).unwrap();
    assert!(deleted(&disk) > 0);
    drop((log, dir));
    disk.power_cycle(1).unwrap();
    let dir = open_dir(&disk);
    let log = open_log(&dir, small());
    assert_eq!((deleted(&disk), log.log_start_offset(), all(&log).len()), (0, 300, 200));
    dir.delete_log("t", 0).unwrap();
}

#[test]
fn truncation_takes_the_end_with_its_producers() {
    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = filled(&dir, small());
    log.append(&mut idempotent(5, 0, 0, &["500"]), CLIENT).unwrap();
    log.append(&mut idempotent(5, 0, 1, &["501"]), CLIENT).unwrap();
    dir.commit();
    log.truncate_to(501).unwrap();
    assert_eq!(log.log_end_offset(), 501);
    let again = log.append(&mut idempotent(5, 0, 1, &["501"]), CLIENT).unwrap();
    assert_eq!(again.base_offset, 501);
    log.truncate_to(200).unwrap();
    assert_eq!(log.log_end_offset(), 200);
    dir.commit();
    assert_eq!(log.high_watermark(), 200);
    append(&log, &["200"]).unwrap();
    dir.commit();
    drop(dir);
    let dir = open_dir(&disk.crash(1));
    let log = open_log(&dir, small());
    assert_eq!(all(&log).len(), 201);
}

#[test]
fn truncated_segments_go_after_their_delay_and_readers_keep_theirs() {
    let (disk, clock) = (SimDisk::new(), Arc::new(AtomicI64::new(NOW)));
    let options = Options { clock: Arc::new(SharedClock(clock.clone())), ..options(Arc::new(disk.clone())) };
    let dir = DataDir::open(Path::new("/data"), options).unwrap();
    let log = filled(&dir, small());
    let slice = log.read(400, 100, ReadLimit::HighWatermark, true).unwrap().unwrap();
    let before = slice.to_vec().unwrap();
    log.truncate_to(200).unwrap();
    assert!(deleted(&disk) >= 3);
    clock.fetch_add(59_999, Ordering::Relaxed);
    assert!(!dir.has_deleted());
    clock.fetch_add(1, Ordering::Relaxed);
    dir.remove_deleted();
    assert_eq!((deleted(&disk), slice.to_vec().unwrap()), (0, before));
}

#[test]
fn on_a_real_disk_slices_have_a_descriptor_to_send_from() {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path(), options(Arc::new(RealDisk))).unwrap();
    let log = filled(&dir, small());
    let slice = log.read(250, 1000, ReadLimit::HighWatermark, true).unwrap().unwrap();
    assert!(slice.file.fd().is_some());
    assert_eq!(values(&log, 0, ReadLimit::HighWatermark, 777).unwrap().len(), 500);
}
