//! Page-cache durability with the syncs that a topic asks for; when segments are closed.

use super::fixture::*;
use crate::{DataDir, Durability, LogConfig, Options, names};
use logmill_disk::{Disk, sim::SimDisk};
use logmill_protocol::{compression::Compression, records::BatchBuilder};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

fn page_cache(disk: &SimDisk, clock: &Arc<AtomicI64>) -> Arc<DataDir> {
    let clock = Arc::new(super::compaction::SharedClock(clock.clone()));
    let options = Options { durability: Durability::PageCache, clock, ..options(Arc::new(disk.clone())) };
    DataDir::open(Path::new("/data"), options).unwrap()
}

#[test]
fn what_waits_for_a_sync_is_not_shown_before_it() {
    let dir = page_cache(&SimDisk::new(), &Arc::new(AtomicI64::new(NOW)));
    let log = open_log(&dir, LogConfig { flush_messages: 3, ..small() });
    append(&log, &["a"]).unwrap();
    assert_eq!(log.high_watermark(), 1);
    append(&log, &["b", "c"]).unwrap();
    append(&log, &["d"]).unwrap();
    assert_eq!(log.high_watermark(), 1, "the third record asked for a sync");
    assert_eq!(dir.commit(), 1);
    assert_eq!(log.high_watermark(), 4);
    append(&log, &["e"]).unwrap();
    assert_eq!((log.high_watermark(), dir.commit()), (5, 0));
}

#[test]
fn flush_ms_bounds_the_time_without_a_sync() {
    let clock = Arc::new(AtomicI64::new(NOW));
    let dir = page_cache(&SimDisk::new(), &clock);
    let log = open_log(&dir, LogConfig { flush_ms: 100, ..small() });
    append(&log, &["a"]).unwrap();
    clock.fetch_add(99, Ordering::Relaxed);
    append(&log, &["b"]).unwrap();
    dir.flush_due();
    assert_eq!(dir.commit(), 0);
    clock.fetch_add(1, Ordering::Relaxed);
    dir.flush_due();
    assert_eq!(dir.commit(), 1);
    clock.fetch_add(1000, Ordering::Relaxed);
    dir.flush_due();
    assert_eq!(dir.commit(), 0, "nothing new");
}

#[test]
fn jitter_closes_segments_at_different_ages_up_to_segment_ms() {
    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = open_log(&dir, LogConfig { segment_ms: 1000, segment_jitter_ms: 600, ..LogConfig::default() });
    for n in 0..500 {
        let builder = BatchBuilder::new(Compression::None);
        log.append(&mut build(builder, NOW + 10 * n, &["v"]), CLIENT).unwrap();
    }
    let mut bases: Vec<i64> = disk
        .read_dir(Path::new("/data/t-0"))
        .unwrap()
        .iter()
        .filter_map(|path| match names::parse_segment_file(path) {
            Some((base, names::LOG)) => Some(base),
            _ => None,
        })
        .collect();
    bases.sort_unstable();
    let mut ages: Vec<i64> = bases.windows(2).map(|pair| 10 * (pair[1] - pair[0])).collect();
    assert!(ages.len() > 4 && ages.iter().all(|age| (400..=1010).contains(age)), "{ages:?}");
    ages.dedup();
    assert!(ages.len() > 3, "{ages:?}");
}
