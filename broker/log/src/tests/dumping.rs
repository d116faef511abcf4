//! What `dump` says of sound files, and that it finds every kind of damage.

use super::fixture::*;
use crate::{
    DataDir, LogConfig, Options,
    dump::{Entry, Field, dump, files},
};
use logmill_disk::RealDisk;
use logmill_protocol::{compression::Compression, records::BatchBuilder};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A closed data directory with a log of several segments, whose batches are of one producer and of every codec.
fn written(root: &Path) -> PathBuf {
    let dir = DataDir::open(root, options(Arc::new(RealDisk))).unwrap();
    let log = open_log(&dir, LogConfig { segment_bytes: 1500, index_interval_bytes: 200, ..LogConfig::default() });
    for n in 0..40 {
        let codec = Compression::ALL[n % 5];
        let builder = BatchBuilder::new(codec).producer(9, 1, i32::try_from(2 * n).unwrap());
        let value = format!("{n} {}", "x".repeat(150));
        log.append(&mut build(builder, NOW + 1000 * n as i64, &["a", &value]), CLIENT).unwrap();
    }
    dir.commit();
    dir.close().unwrap();
    root.join("t-0")
}

fn entries(path: &Path) -> Vec<Entry> {
    let mut found = Vec::new();
    dump(path, true, &mut |entry| {
        found.push(entry);
        Ok(())
    })
    .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    found
}

fn problems(path: &Path) -> Vec<String> {
    entries(path).into_iter().filter_map(|entry| entry.problem).collect()
}

fn numbers(entries: &[Entry], kind: &str, field: &str) -> Vec<i64> {
    let of_kind = entries.iter().filter(|entry| entry.kind == kind);
    let value = |entry: &Entry| entry.fields.iter().find(|(name, _)| *name == field).unwrap().1.clone();
    let number = |entry: &Entry| if let Field::Number(n) = value(entry) { n } else { panic!("{field} is no number") };
    of_kind.map(number).collect()
}

#[test]
fn a_sound_directory_is_told_whole_and_without_complaint() {
    let root = tempfile::tempdir().unwrap();
    let dir = written(root.path());
    let all = files(&dir).unwrap();
    let of = |extension: &'static str| all.iter().filter(move |path| path.extension().is_some_and(|e| e == extension));
    assert!(of("log").count() > 2 && of("index").count() > 2 && of("snapshot").count() > 2, "{all:?}");
    let logs: Vec<Entry> = of("log").flat_map(|path| entries(path)).collect();
    assert_eq!(numbers(&logs, "record", "offset"), (0..80).collect::<Vec<_>>());
    assert_eq!(numbers(&logs, "batch", "base_sequence"), (0..80).step_by(2).collect::<Vec<_>>());
    for path in all.iter().chain(&files(root.path()).unwrap()) {
        assert_eq!(problems(path), Vec::<String>::new(), "{}", path.display());
    }
    let times: Vec<i64> = of("timeindex").flat_map(|path| numbers(&entries(path), "time_index", "timestamp")).collect();
    assert!(times.len() > 10 && times.is_sorted(), "{times:?}");
    let last = entries(of("snapshot").next_back().unwrap());
    assert_eq!(numbers(&last, "producer", "last_sequence"), [79]);
    let recovery = entries(&root.path().join("recovery-point-offset-checkpoint"));
    assert_eq!(numbers(&recovery, "offset", "offset"), [80]);
}

#[test]
fn every_byte_of_a_segment_is_looked_at() {
    let root = tempfile::tempdir().unwrap();
    let path = written(root.path()).join("00000000000000000000.log");
    let sound = fs::read(&path).unwrap();
    // The leader epoch is not under the checksum: brokers set it.
    let batch_len = 12 + usize::try_from(u32::from_be_bytes(sound[8..12].try_into().unwrap())).unwrap();
    for at in (0..batch_len).filter(|at| !(12..16).contains(at)) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x80;
        fs::write(&path, &damaged).unwrap();
        assert!(!problems(&path).is_empty(), "byte {at}");
    }
    fs::write(&path, &sound[..sound.len() - 1]).unwrap();
    assert_eq!(problems(&path).len(), 1);
}

#[test]
fn damage_of_what_lies_beside_segments_is_found() {
    let root = tempfile::tempdir().unwrap();
    let dir = written(root.path());
    let base = "00000000000000000000";
    let beside = [format!("{base}.index"), format!("{base}.timeindex"), "partition.metadata".to_owned()];
    let snapshot = files(&dir).unwrap().into_iter().find(|path| path.extension().is_some_and(|e| e == "snapshot"));
    let paths = beside
        .iter()
        .map(|name| dir.join(name))
        .chain(snapshot)
        .chain([dir.join("leader-epoch-checkpoint"), root.path().join("recovery-point-offset-checkpoint")]);
    for path in paths {
        let sound = fs::read(&path).unwrap();
        assert!(!sound.is_empty(), "{}", path.display());
        for (how, damaged) in [
            ("cut", sound[..sound.len() - 3].to_vec()),
            ("garbled", sound.iter().map(|byte| byte ^ 0x55).collect()),
            ("continued", [&sound[..], b"!!!"].concat()),
        ] {
            fs::write(&path, damaged).unwrap();
            assert!(!problems(&path).is_empty(), "{} {how}", path.display());
        }
        fs::write(&path, sound).unwrap();
        assert_eq!(problems(&path), Vec::<String>::new());
    }
    // As Apache Kafka writes it.
    let path = dir.join("partition.metadata");
    let text = fs::read(&path).unwrap();
    fs::write(&path, text.trim_ascii_end()).unwrap();
    assert_eq!(problems(&path), Vec::<String>::new());
    assert!(dump(Path::new("/etc/hostname"), false, &mut |_| Ok(())).is_err());
}

#[test]
fn no_option_is_needed_to_see_what_a_broker_left() {
    // A broker that was killed: blocks reserved ahead of the end are not content.
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path(), Options { free_space_reserve: 0, ..Options::default() }).unwrap();
    let log = open_log(&dir, LogConfig::default());
    append(&log, &["a", "b"]).unwrap();
    dir.commit();
    assert_eq!(problems(&root.path().join("t-0/00000000000000000000.log")), Vec::<String>::new());
}
