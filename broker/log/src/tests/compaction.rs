//! Compaction: what stays, what goes and when, and what does not notice it.

use super::fixture::*;
use crate::{Clock, DataDir, Log, LogConfig, Options, ReadLimit, names};
use logmill_disk::{Disk, sim::SimDisk};
use logmill_protocol::{
    compression::Compression,
    records::{BatchBuilder, Batches, NewRecord},
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// Key, value (none: a tombstone).
pub(super) type Pair<'a> = (&'a str, Option<&'a str>);

pub(super) struct SharedClock(pub Arc<AtomicI64>);

impl Clock for SharedClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

pub(super) fn compacted() -> LogConfig {
    LogConfig {
        compact: true,
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: 100,
        segment_bytes: 1000,
        index_interval_bytes: 150,
        retention_ms: None,
        ..LogConfig::default()
    }
}

pub(super) fn keyed(builder: BatchBuilder, records: &[Pair<'_>]) -> Vec<u8> {
    let mut builder = builder;
    for (n, (key, value)) in (0..).zip(records) {
        let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
        builder.push(NewRecord { timestamp: NOW + n, key, value, headers: &[] });
    }
    builder.build().unwrap()
}

/// Every record there is: offset, key, value. Offsets must ascend; they need not be dense.
pub(super) fn contents(log: &Log, max_bytes: u64) -> Result<BTreeMap<i64, (String, Option<String>)>, String> {
    let mut found = BTreeMap::new();
    let mut offset = log.log_start_offset();
    while let Some(slice) = log.read(offset, max_bytes, ReadLimit::HighWatermark, true).map_err(|e| e.to_string())? {
        for batch in Batches::new(&slice.to_vec().map_err(|e| e.to_string())?) {
            let batch = batch.map_err(|e| e.to_string())?;
            batch.check_crc().map_err(|e| e.to_string())?;
            let data = batch.decompress(1 << 20).map_err(|e| e.to_string())?;
            for record in batch.records_in(&data) {
                let record = record.map_err(|e| e.to_string())?;
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let at = batch.header.offset_of(&record);
                if at >= log.log_start_offset() {
                    found.insert(at, (text(record.key.unwrap_or_default()), record.value.map(text)));
                }
            }
            if batch.header.next_offset() <= offset {
                return Err(format!("a batch that ends at {} where {offset} was expected", batch.header.next_offset()));
            }
            offset = batch.header.next_offset();
        }
    }
    if offset != log.high_watermark() {
        return Err(format!("reads end at {offset}, the high watermark is {}", log.high_watermark()));
    }
    Ok(found)
}

struct Case {
    disk: SimDisk,
    clock: Arc<AtomicI64>,
    dir: Arc<DataDir>,
    log: Arc<Log>,
    config: LogConfig,
}

impl Case {
    fn new(config: LogConfig) -> Self {
        Self::with_memory(config, 1 << 20)
    }

    fn with_memory(config: LogConfig, memory: usize) -> Self {
        let (disk, clock) = (SimDisk::new(), Arc::new(AtomicI64::new(NOW)));
        let dir = open(&disk, &clock, memory);
        let log = open_log(&dir, config.clone());
        Self { disk, clock, dir, log, config }
    }

    fn append(&self, records: &[Pair<'_>]) {
        self.log.append(&mut keyed(BatchBuilder::new(Compression::None), records), CLIENT).unwrap();
    }

    /// `rounds` times every key, values of 100 bytes that name their round.
    fn rounds(&self, rounds: usize, keys: usize) {
        for round in 0..rounds {
            for key in 0..keys {
                self.append(&[(&format!("k{key}"), Some(&format!("{round}-{}", "x".repeat(100))))]);
            }
        }
        self.dir.commit();
    }

    fn values(&self) -> BTreeMap<String, Vec<(i64, Option<String>)>> {
        let mut by_key: BTreeMap<String, Vec<(i64, Option<String>)>> = BTreeMap::new();
        let all = contents(&self.log, 1 << 20).unwrap();
        for max_bytes in [1, 300] {
            assert_eq!(contents(&self.log, max_bytes).unwrap(), all);
        }
        for (offset, (key, value)) in all {
            by_key.entry(key).or_default().push((offset, value));
        }
        by_key
    }

    fn reopen(&mut self, crash: bool) {
        if crash {
            self.disk = self.disk.crash(7);
        } else {
            self.dir.close().unwrap();
        }
        self.dir = open(&self.disk, &self.clock, 1 << 20);
        self.log = open_log(&self.dir, self.config.clone());
    }

    fn sealed_from(&self) -> i64 {
        let paths = self.disk.read_dir(Path::new("/data/t-0")).unwrap();
        let bases = paths.iter().filter_map(|path| names::parse_segment_file(path));
        bases.filter(|(_, extension)| *extension == names::LOG).map(|(base, _)| base).max().unwrap()
    }
}

fn open(disk: &SimDisk, clock: &Arc<AtomicI64>, memory: usize) -> Arc<DataDir> {
    let options = Options {
        clock: Arc::new(SharedClock(clock.clone())),
        compaction_memory: memory,
        ..options(Arc::new(disk.clone()))
    };
    DataDir::open(Path::new("/data"), options).unwrap()
}

#[test]
fn only_the_newest_of_each_key_stays_and_offsets_do() {
    let mut case = Case::new(compacted());
    case.rounds(20, 5);
    let (size, active) = (case.log.size_bytes(), case.sealed_from());
    assert_eq!(case.dir.compact(), 1);
    assert!(case.log.size_bytes() < size / 4, "{} of {size}", case.log.size_bytes());
    assert_eq!((case.log.log_start_offset(), case.log.log_end_offset()), (0, 100));
    let check = |case: &Case| {
        for (key, found) in case.values() {
            let number: i64 = key[1..].parse().unwrap();
            let (last, value) = found.last().unwrap();
            assert_eq!((*last, value.as_ref().unwrap().split('-').next().unwrap()), (95 + number, "19"));
            let below = found.iter().filter(|(offset, _)| *offset < active).count();
            assert!(below <= 1, "{key} is there {below} times before the active segment");
        }
        let time = case.log.offset_for_time(NOW).unwrap().unwrap();
        assert!(time.offset > 70, "the first that is left: {time:?}");
        super::model::check_indexes(&case.log, &case.disk).unwrap();
    };
    check(&case);
    assert_eq!(case.dir.compact(), 0, "nothing is dirty");
    let stats = case.dir.stats().cleaner;
    assert_eq!((stats.runs, stats.keyless_records_removed), (1, 0));
    assert!(stats.records_removed > 70 && stats.recopy_percent < 20.0, "{stats:?}");
    for crash in [false, true] {
        case.reopen(crash);
        assert_eq!(case.log.log_end_offset(), 100);
        check(&case);
        assert_eq!(case.dir.compact(), 0, "what was compacted is remembered");
    }
    case.rounds(20, 5);
    assert_eq!(case.dir.compact(), 1);
    assert!(case.log.size_bytes() < size / 2);
    assert_eq!(case.values().len(), 5);
}

#[test]
fn a_tombstone_outlives_what_it_deletes_by_its_time() {
    let mut case = Case::new(compacted());
    case.rounds(3, 5);
    case.append(&[("k2", None), ("k3", None)]);
    case.rounds(3, 1);
    case.rounds(8, 1);
    case.dir.compact();
    let values = case.values();
    assert_eq!(values["k2"], [(15, None)]);
    assert!(values["k1"][0].1.is_some());
    case.clock.fetch_add(99, Ordering::Relaxed);
    case.rounds(10, 1);
    case.dir.compact();
    assert_eq!(case.values()["k3"], [(16, None)]);
    case.clock.fetch_add(1, Ordering::Relaxed);
    case.rounds(10, 1);
    case.dir.compact();
    let values = case.values();
    assert!(!values.contains_key("k2") && !values.contains_key("k3"), "{values:?}");
    assert!(values.contains_key("k4"));
    assert_eq!(case.dir.stats().cleaner.tombstones_removed, 2);
    case.reopen(true);
    assert!(!case.values().contains_key("k2"));
}

#[test]
fn more_keys_than_memory_take_several_passes() {
    let case = Case::with_memory(LogConfig { segment_bytes: 40_000, ..compacted() }, 0);
    let keys = 2500;
    for round in 0..2 {
        for first in (0..keys).step_by(50) {
            let records: Vec<_> = (first..first + 50).map(|n| (format!("key-{n}"), format!("{round}-{n}"))).collect();
            let records: Vec<_> = records.iter().map(|(k, v)| (k.as_str(), Some(v.as_str()))).collect();
            case.append(&records);
        }
    }
    case.append(&[("last", Some(&"x".repeat(39_900)))]);
    case.dir.commit();
    assert_eq!(case.dir.compact(), 1);
    let values = case.values();
    assert_eq!(values.len(), keys + 1);
    for (key, found) in values {
        assert_eq!(found.len(), 1, "{key}: {found:?}");
        assert!(found[0].0 >= keys as i64);
    }
    assert!(case.dir.stats().cleaner.buffer_utilization_percent > 85.0);
}

#[test]
fn readers_of_what_was_replaced_go_on() {
    let case = Case::new(compacted());
    case.rounds(20, 5);
    let slice = case.log.read(0, 1 << 20, ReadLimit::HighWatermark, true).unwrap().unwrap();
    let before = slice.to_vec().unwrap();
    case.dir.compact();
    assert_eq!(slice.to_vec().unwrap(), before);
    let after = case.log.read(0, 1 << 20, ReadLimit::HighWatermark, true).unwrap().unwrap();
    assert!(after.base_offset > 0 && after.len < before.len() as u64);
    assert!(deleted(&case.disk) >= 3 && !case.dir.has_deleted());
    case.clock.fetch_add(60_000, Ordering::Relaxed);
    case.dir.remove_deleted();
    assert_eq!((deleted(&case.disk), slice.to_vec().unwrap()), (0, before));
}

#[test]
fn what_was_replaced_goes_with_the_next_start_at_the_latest() {
    for crash in [true, false] {
        let mut case = Case::new(compacted());
        case.rounds(20, 5);
        case.dir.compact();
        let before = case.values();
        assert!(deleted(&case.disk) > 0);
        case.reopen(crash);
        assert_eq!((deleted(&case.disk), case.values()), (0, before));
    }
}

#[test]
fn a_producers_last_batch_is_remembered() {
    let mut case = Case::new(compacted());
    let batch = |sequence, value: &str| {
        keyed(BatchBuilder::new(Compression::Lz4).producer(5, 0, sequence), &[("p", Some(value)), ("p", Some(value))])
    };
    for n in 0..3 {
        case.log.append(&mut batch(2 * n, "mine"), CLIENT).unwrap();
    }
    case.append(&[("p", Some("of another"))]);
    case.rounds(20, 2);
    case.dir.compact();
    assert_eq!(case.values()["p"], [(6, Some("of another".to_owned()))]);
    // Whatever snapshot there is: from the log alone.
    for path in case.disk.read_dir(Path::new("/data/t-0")).unwrap() {
        if path.extension().is_some_and(|extension| extension == names::SNAPSHOT) {
            case.disk.remove_file(&path).unwrap();
        }
    }
    case.disk.sync_dir(Path::new("/data/t-0"), "test").unwrap();
    case.reopen(true);
    let again = case.log.append(&mut batch(4, "mine"), CLIENT).unwrap_err();
    assert!(matches!(again, crate::AppendError::DuplicateSequence { base_offset: 4, last_offset: 5, .. }), "{again}");
    case.log.append(&mut batch(6, "mine"), CLIENT).unwrap();
}

#[test]
fn lags_and_ratio_hold_it_back_or_hurry_it() {
    let case = Case::new(LogConfig { min_cleanable_dirty_ratio: 0.9, min_compaction_lag_ms: 50, ..compacted() });
    case.rounds(20, 5);
    assert_eq!(case.dir.compact(), 0, "too new");
    case.clock.fetch_add(100, Ordering::Relaxed);
    assert_eq!(case.dir.compact(), 1, "everything is dirty");
    case.rounds(4, 5);
    case.clock.fetch_add(100, Ordering::Relaxed);
    assert_eq!(case.dir.compact(), 0, "not dirty enough");
    case.log.set_config(Arc::new(LogConfig { max_compaction_lag_ms: 100, ..(*case.log.config()).clone() }));
    assert_eq!(case.dir.compact(), 1, "overdue");
    case.log.set_config(Arc::new(LogConfig { compact: false, min_cleanable_dirty_ratio: 0.0, ..compacted() }));
    case.rounds(20, 5);
    assert_eq!(case.dir.compact(), 0, "not compacted at all");
}

#[test]
fn altered_settings_count_from_the_next_run_on() {
    let case = Case::new(LogConfig { min_cleanable_dirty_ratio: 0.9, min_compaction_lag_ms: 50, ..compacted() });
    let alter = |change: fn(&mut LogConfig)| {
        let mut config = (*case.log.config()).clone();
        change(&mut config);
        case.log.set_config(Arc::new(config));
    };
    case.rounds(20, 5);
    assert_eq!(case.dir.compact(), 0, "too new");
    alter(|config| config.min_compaction_lag_ms = 0);
    assert_eq!(case.dir.compact(), 1);
    case.rounds(4, 5);
    assert_eq!(case.dir.compact(), 0, "not dirty enough");
    alter(|config| config.min_cleanable_dirty_ratio = 0.0);
    assert_eq!(case.dir.compact(), 1);
    // A tombstone's time is set when it is first compacted.
    let retentions: [(_, fn(&mut LogConfig)); 2] =
        [("k2", |config| config.delete_retention_ms = 1_000_000), ("k3", |config| config.delete_retention_ms = 0)];
    for (key, retention) in retentions {
        alter(retention);
        case.append(&[(key, None)]);
        case.rounds(10, 1);
        case.dir.compact();
    }
    case.rounds(10, 1);
    case.dir.compact();
    let values = case.values();
    assert!(values.contains_key("k2") && !values.contains_key("k3"), "{values:?}");
    alter(|config| config.compact = false);
    case.rounds(20, 5);
    assert_eq!(case.dir.compact(), 0, "not compacted at all");
}

#[test]
fn gaps_are_no_damage_even_when_the_policy_was_changed() {
    let mut case = Case::new(compacted());
    case.rounds(20, 5);
    case.dir.compact();
    case.config.compact = false;
    case.disk.remove_file(Path::new("/data/recovery-point-offset-checkpoint")).unwrap();
    case.disk.sync_dir(Path::new("/data"), "test").unwrap();
    case.reopen(true);
    assert_eq!(case.log.log_end_offset(), 100);
    assert_eq!(case.values().len(), 5);
}

#[test]
fn damage_is_left_alone_and_reported() {
    let case = Case::new(compacted());
    case.rounds(20, 5);
    let file = case.disk.open(&names::segment_file(Path::new("/data/t-0"), 0, names::LOG), false).unwrap();
    let mut sound = [0];
    file.read_exact_at(&mut sound, 100).unwrap();
    file.write_all_at(b"!", 100).unwrap();
    let size = case.log.size_bytes();
    assert_eq!(case.dir.compact(), 0);
    assert!(case.log.is_uncleanable());
    assert_eq!(case.log.size_bytes(), size);
    let left = case.disk.read_dir(Path::new("/data/t-0")).unwrap();
    assert!(!left.iter().any(|path| path.to_string_lossy().ends_with(names::CLEANED)), "{left:?}");
    case.append(&[("a", Some("b"))]);
    // It may have been a passing trouble: after a while it is tried again.
    let failures = || case.dir.stats().cleaner.failures;
    case.dir.compact();
    assert_eq!(failures(), 1);
    case.clock.fetch_add(30_000, Ordering::Relaxed);
    case.dir.compact();
    assert_eq!(failures(), 2);
    file.write_all_at(&sound, 100).unwrap();
    case.clock.fetch_add(60_000, Ordering::Relaxed);
    assert_eq!(case.dir.compact(), 1);
    assert!(!case.log.is_uncleanable() && case.log.size_bytes() < size);
}

#[test]
fn retention_and_deletion_of_records_go_together_with_it() {
    let mut case = Case::new(LogConfig { retention_bytes: Some(2500), ..compacted() });
    case.rounds(20, 40);
    case.dir.compact();
    assert!(case.log.size_bytes() > 5000);
    case.dir.housekeeping();
    let start = case.log.log_start_offset();
    assert!(case.log.size_bytes() < 4000 && start > 0, "{} from {start}", case.log.size_bytes());
    case.log.delete_records_before(start + 1).unwrap();
    case.rounds(2, 40);
    case.dir.compact();
    case.reopen(true);
    assert_eq!(case.log.log_start_offset(), start + 1);
    assert!(contents(&case.log, 500).unwrap().keys().all(|offset| *offset > start));
    case.dir.delete_log("t", 0).unwrap();
    assert_eq!(case.dir.compact(), 0);
}
