//! What is prepared on disk behind a log's end: there for small commits only, and gone where the file's length must be the log's.

use super::fixture::*;
use crate::{DataDir, Log, LogConfig, Options, dump::dump, names};
use logmill_disk::{Disk, RealDisk, sim::SimDisk};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const STEP: u64 = 200;

fn open(disk: Arc<dyn Disk>, root: &Path) -> Arc<DataDir> {
    DataDir::open(root, Options { ahead_bytes: STEP..=2 * STEP, ..options(disk) }).unwrap()
}

/// Appends and commits until the log's only file is longer than the log.
fn fill(dir: &DataDir, log: &Log, disk: &dyn Disk) -> PathBuf {
    let path = names::segment_file(log.dir(), 0, names::LOG);
    for _ in 0..20 {
        append(log, &["v"]).unwrap();
        dir.commit();
        if disk.file_len(&path).unwrap() > log.size_bytes() {
            return path;
        }
    }
    panic!("no zeros behind a log with small commits");
}

#[test]
fn small_commits_have_zeros_ahead_until_the_segment_is_sealed_or_the_log_closed() {
    let disk = SimDisk::new();
    let dir = open(Arc::new(disk.clone()), Path::new("/data"));
    let log = open_log(&dir, LogConfig { segment_bytes: 2000, ..LogConfig::default() });
    let path = fill(&dir, &log, &disk);
    assert!(disk.file_len(&path).unwrap() <= log.size_bytes() + 2 * STEP);
    let (mut sealed, mut base) = (log.size_bytes(), log.log_end_offset());
    let active = loop {
        append(&log, &["v"]).unwrap();
        let next = names::segment_file(log.dir(), base, names::LOG);
        if disk.exists(&next) {
            break next;
        }
        (sealed, base) = (log.size_bytes(), log.log_end_offset());
    };
    assert_eq!(disk.file_len(&path).unwrap(), sealed);
    dir.commit();
    let end = log.size_bytes();
    drop(log);
    dir.close().unwrap();
    assert_eq!(disk.file_len(&path).unwrap() + disk.file_len(&active).unwrap(), end);
}

#[test]
fn large_commits_have_none() {
    let disk = SimDisk::new();
    let dir = DataDir::open(Path::new("/data"), options(Arc::new(disk.clone()))).unwrap();
    let log = open_log(&dir, LogConfig::default());
    let large = "v".repeat(20_000);
    for _ in 0..20 {
        append(&log, &[&large]).unwrap();
        dir.commit();
        let path = names::segment_file(log.dir(), 0, names::LOG);
        assert_eq!(disk.file_len(&path).unwrap(), log.size_bytes());
    }
}

#[test]
fn a_killed_broker_leaves_zeros_that_the_next_one_cuts_and_a_dump_passes_over() {
    let root = tempfile::tempdir().unwrap();
    let dir = open(Arc::new(RealDisk), root.path());
    let log = open_log(&dir, LogConfig::default());
    let path = fill(&dir, &log, &RealDisk);
    let (end, size) = (log.log_end_offset(), log.size_bytes());
    let copy = tempfile::tempdir().unwrap();
    let copied = copy.path().join("t-0");
    std::fs::create_dir(&copied).unwrap();
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copied.join(entry.file_name())).unwrap();
    }
    let segment = copied.join(path.file_name().unwrap());
    let mut batches = 0;
    dump(&segment, false, &mut |entry| {
        assert_eq!(entry.problem, None);
        batches += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(batches, end);
    let again = open(Arc::new(RealDisk), copy.path());
    let log = open_log(&again, LogConfig::default());
    assert_eq!((log.log_end_offset(), RealDisk.file_len(&segment).unwrap()), (end, size));
    append(&log, &["w"]).unwrap();
    again.commit();
    assert_eq!(all(&log).last().unwrap(), "w");
}
