//! The write-ahead log under crashes, damage and missing syncs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use logmill_disk::{
    Disk,
    sim::{CutEverywhere, SimDisk},
};

use super::*;

const DIR: &str = "/data/log";

/// What a run wrote and was told.
#[derive(Default)]
struct Told {
    /// Every record ever written, by position.
    written: BTreeMap<u64, Vec<u8>>,
    /// Behind the last record that was acknowledged.
    acknowledged: u64,
    /// Behind the last record that the indices committed.
    committed: u64,
}

fn put(source: &[u8]) -> Record<'_> {
    Record::Put { index: 7, seq_no: 1, version: 1, replaces: false, id: "id", source }
}

fn replayed(disk: &SimDisk) -> Result<(Replayed, BTreeMap<u64, Vec<u8>>), String> {
    let mut found = BTreeMap::new();
    let replayed = replay(disk, Path::new(DIR), |place, record| {
        if let Record::Put { source, .. } = record {
            found.insert(place.position, source.to_vec());
        }
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    Ok((replayed, found))
}

/// Three starts, each replaying, committing what it found, and writing some more.
fn workload(disk: &SimDisk, seed: u64, told: &mut Told) {
    drop(try_workload(disk, seed, told));
}

fn try_workload(disk: &SimDisk, seed: u64, told: &mut Told) -> std::io::Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let other = std::io::Error::other::<String>;
    disk.create_dir_all(Path::new(DIR))?;
    disk.sync_dir(Path::new("/"), "test")?;
    disk.sync_dir(Path::new("/data"), "test")?;
    for _ in 0..3 {
        let (old, _) = replayed(disk).map_err(other)?;
        told.committed = told.committed.max(old.end);
        retire(disk, Path::new(DIR), &old.files)?;
        let wal = Wal::create(Arc::new(disk.clone()), Path::new(DIR), told.committed, 700)?;
        for _ in 0..rng.u32(3..9) {
            let mut batch = wal.batch();
            for _ in 0..rng.u32(1..4) {
                let source = vec![rng.u8(..); rng.usize(1..300)];
                let place = batch.push(&put(&source)).unwrap();
                told.written.insert(place.position, source);
            }
            let end = wal.append(batch).map_err(|error| other(error.to_string()))?;
            if rng.bool() {
                wal.sync_once()?;
                assert_eq!(wal.durable().position, wal.next_position());
                told.acknowledged = end;
                if rng.bool() {
                    let reached =
                        told.written.range(..end).nth_back(rng.usize(0..3)).map_or(0, |(position, _)| *position);
                    told.committed = told.committed.max(reached);
                    wal.release(told.committed)?;
                }
            }
        }
    }
    Ok(())
}

fn verify(disk: &SimDisk, _seed: u64, told: &Told) -> Result<(), String> {
    disk.create_dir_all(Path::new(DIR)).map_err(|error| error.to_string())?;
    let (_, found) = replayed(disk)?;
    for (position, source) in &found {
        if told.written.get(position) != Some(source) {
            return Err(format!("record {position} was never written so"));
        }
    }
    for (position, _) in told.written.range(told.committed..told.acknowledged.max(told.committed)) {
        if !found.contains_key(position) {
            return Err(format!("record {position} was acknowledged and is lost"));
        }
    }
    // What is left is one unbroken stretch: a creation never comes back without what followed it.
    if let (Some((first, _)), Some((last, _))) = (found.first_key_value(), found.last_key_value())
        && told.written.range(*first..=*last).count() != found.len()
    {
        return Err("records are missing in the middle".into());
    }
    Ok(())
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes() {
    let report = CutEverywhere::default().run(workload, verify).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.crashes > 500, "{report:?}");
}

#[test]
fn each_missing_sync_is_noticed() {
    let harness = CutEverywhere { seeds: 0..24, ..CutEverywhere::default() };
    assert_eq!(Vec::<&str>::new(), harness.uncaught_sites(&["test"], workload, verify));
}

fn log_with(disk: &SimDisk, batches: usize) -> (Wal, Vec<Place>) {
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let wal = Wal::create(Arc::new(disk.clone()), Path::new(DIR), 0, FILE_BYTES).unwrap();
    let places = (0..batches)
        .map(|number| {
            let mut batch = wal.batch();
            let place = batch.push(&put(&[b'a' + u8::try_from(number).unwrap(); 50])).unwrap();
            wal.append(batch).unwrap();
            wal.sync_once().unwrap();
            place
        })
        .collect();
    (wal, places)
}

fn flip(disk: &SimDisk, offset: u64) {
    let file = disk.open(&Path::new(DIR).join(file_name(0)), false).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn a_damaged_tail_is_cut_and_damage_before_it_is_reported() {
    let disk = SimDisk::new();
    let (_, places) = log_with(&disk, 4);
    flip(&disk, places[3].position + 10);
    let (left, found) = replayed(&disk).unwrap();
    assert_eq!((found.len(), left.cut > 0), (3, true));
    flip(&disk, places[1].position + 10);
    let error = replayed(&disk).unwrap_err();
    assert!(error.contains("unreadable") && error.contains("restore the file"), "{error}");
}

#[test]
fn any_damage_is_survived() {
    for offset in 0..400 {
        let disk = SimDisk::new();
        log_with(&disk, 3);
        let length = disk.open(&Path::new(DIR).join(file_name(0)), false).unwrap().len().unwrap();
        if offset < length {
            flip(&disk, offset);
        }
        if let Ok((_, found)) = replayed(&disk) {
            assert!(found.len() <= 3);
        }
    }
}

#[test]
fn a_failed_sync_closes_the_log() {
    let disk = SimDisk::new();
    disk.plant(logmill_disk::sim::Fault::FailOnce { site: "write-ahead log", nth: 1 });
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let wal = Wal::create(Arc::new(disk.clone()), Path::new(DIR), 0, FILE_BYTES).unwrap();
    let mut batch = wal.batch();
    batch.push(&put(b"{}")).unwrap();
    let end = wal.append(batch).unwrap();
    assert!(wal.sync_once().is_err());
    assert!(wal.durable().position < end);
    let mut batch = wal.batch();
    batch.push(&put(b"{}")).unwrap();
    assert!(wal.append(batch).is_err());
}

#[test]
fn records_are_read_back_by_their_place() {
    let disk = SimDisk::new();
    let (wal, places) = log_with(&disk, 3);
    let body = wal.read(places[1].position, places[1].length).unwrap();
    assert_eq!(Record::decode(&body), Some(put(&[b'b'; 50])));
    assert!(wal.read(1 << 40, 10).is_err());
    for end in 0..body.len() {
        let _ = Record::decode(&body[..end]);
    }
}
