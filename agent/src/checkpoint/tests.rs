//! The checkpoint under crashes, damage and missing syncs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use logmill_disk::{
    Disk,
    sim::{CutEverywhere, SimDisk},
};

use super::*;
use crate::{
    identity::Generation,
    ledger::{Ledger, Reason},
};

const DIR: &str = "/state";

fn file(id: u64) -> Entry {
    Entry::File(FileEntry {
        id,
        generation: Generation([id as u8; 16]),
        dev: 1,
        ino: 100 + id,
        birth: 5,
        truncations: 0,
        start: 0,
        input: "app".into(),
        path: format!("/var/log/{id}.log").into(),
    })
}

/// What a run was told is durable.
#[derive(Default)]
struct Told {
    /// Things a record may hang on: (file, extent) and (file, boundary).
    extents: Vec<(u64, Extent)>,
    boundaries: Vec<(u64, u64)>,
    files: Vec<u64>,
    /// The most that was ever written: a position beyond it would pass lines over.
    positions: BTreeMap<u64, u64>,
    stopped: bool,
    lines: u64,
}

/// An agent's writing: files, extents before they are used, positions now and then, a stop at the end.
fn workload(disk: &SimDisk, seed: u64, told: &mut Told) {
    drop(try_workload(disk, seed, told));
}

fn try_workload(disk: &SimDisk, seed: u64, told: &mut Told) -> std::io::Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    disk.create_dir_all(Path::new(DIR))?;
    disk.sync_dir(Path::new("/"), "test")?;
    for start in 0..2_u64 {
        let (mut log, _) = Log::open(Arc::new(disk.clone()), Path::new(DIR))?;
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        for step in 0..6 {
            let id = start * 10 + rng.u64(0..3);
            let mut batch = Vec::new();
            if !ends.contains_key(&id) && !log.state().files.contains_key(&id) {
                batch.push(file(id));
            }
            let from = *ends.get(&id).unwrap_or(&0);
            let extent = Extent { start: from, end: from + rng.u64(1..500), time_ms: 1000 + step, mark: rng.u64(..) };
            batch.push(Entry::Extent(id, extent));
            if rng.bool() {
                batch.push(Entry::Boundary(id, extent.end));
            }
            log.append(&batch, true)?;
            ends.insert(id, extent.end);
            for entry in &batch {
                match entry {
                    Entry::File(f) => told.files.push(f.id),
                    Entry::Extent(id, e) => told.extents.push((*id, *e)),
                    Entry::Boundary(id, at) => told.boundaries.push((*id, *at)),
                    _ => {}
                }
            }
            if rng.bool() {
                let position = rng.u64(from..=extent.end);
                told.positions.entry(id).and_modify(|p| *p = position.max(*p)).or_insert(position);
                told.lines += 1;
                let ledger = Ledger { acknowledged: told.lines, ..log.state().ledger };
                log.append(&[Entry::Position(id, position), Entry::Ledger(ledger)], false)?;
            }
        }
        log.append(&[], true)?;
    }
    told.stopped = true;
    Ok(())
}

fn verify(disk: &SimDisk, _seed: u64, told: &Told) -> Result<(), String> {
    let dir = Path::new(DIR);
    disk.create_dir_all(dir).map_err(|e| e.to_string())?;
    let (log, opened) = Log::open(Arc::new(disk.clone()), dir).map_err(|e| e.to_string())?;
    let state = log.state();
    if opened == Opened::New && !told.files.is_empty() {
        return Err("the checkpoint is gone".into());
    }
    for id in &told.files {
        let Some(file) = state.files.get(id) else { return Err(format!("file {id} is forgotten")) };
        let written = told.positions.get(id).copied().unwrap_or(0);
        if file.position > written || told.stopped && file.position != written {
            return Err(format!("file {id} is at {}, written was {written}", file.position));
        }
        for (_, extent) in told.extents.iter().filter(|(i, e)| i == id && e.end > file.position) {
            if !file.extents.contains(extent) {
                return Err(format!("file {id}: {extent:?} was used and is forgotten"));
            }
        }
        for (_, at) in told.boundaries.iter().filter(|(i, at)| i == id && *at >= file.position) {
            if !file.boundaries.contains(at) {
                return Err(format!("file {id}: boundary {at} was used and is forgotten"));
            }
        }
    }
    if told.stopped && state.ledger.acknowledged != told.lines || state.ledger.acknowledged > told.lines {
        return Err(format!("the ledger says {}, it was {}", state.ledger.acknowledged, told.lines));
    }
    Ok(())
}

#[test]
fn nothing_that_was_used_is_forgotten_wherever_the_power_goes() {
    let report = CutEverywhere::default().run(workload, verify).unwrap_or_else(|f| panic!("{f}"));
    assert!(report.crashes > 500, "{report:?}");
}

#[test]
fn each_missing_sync_is_noticed() {
    let uncaught = CutEverywhere::default().uncaught_sites(&["test"], workload, verify);
    assert_eq!(Vec::<&str>::new(), uncaught);
}

fn sample() -> (SimDisk, State) {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let (mut log, opened) = Log::open(Arc::new(disk.clone()), Path::new(DIR)).unwrap();
    assert_eq!(Opened::New, opened);
    log.append(&[Entry::Input("app".into()), file(1), file(2)], true).unwrap();
    let extent = Extent { start: 0, end: 90, time_ms: -5, mark: 0 };
    log.append(
        &[
            Entry::Extent(1, extent),
            Entry::Boundary(1, 90),
            Entry::Beginning(2, 4, 77),
            Entry::Mark(1, Mark { at: 9, hash: 5 }),
            Entry::Done(1),
            Entry::Since("app".into(), Since { globs: 6, ms: -8 }),
        ],
        true,
    )
    .unwrap();
    let ledger = Ledger { acknowledged: 3, dropped: [1, 0, 2, 0, 0, 4, 5, 6], bytes_lost: 9 };
    log.append(&[Entry::Position(1, 50), Entry::Ledger(ledger), Entry::Written(7), Entry::Gone(2)], true).unwrap();
    let state = log.state().clone();
    (disk, state)
}

#[test]
fn what_is_written_is_read_back() {
    let (disk, state) = sample();
    let (log, opened) = Log::open(Arc::new(disk), Path::new(DIR)).unwrap();
    assert_eq!((Opened::Whole, &state), (opened, log.state()));
    assert_eq!(3 + 1 + 2 + 4 + 5 + 6, state.ledger.finished());
    assert_eq!(2, state.ledger.dropped[Reason::Truncated as usize]);
    assert_eq!(3, state.next_id, "a number is not given twice, even when its file is gone");
}

#[test]
fn damage_anywhere_is_told_and_never_moves_a_position_forward() {
    let (disk, state) = sample();
    let path = Path::new(DIR).join("checkpoint.log");
    let whole = logmill_disk::read_file(&disk, &path, 1 << 20).unwrap();
    for at in 0..whole.len() {
        for cut in [false, true] {
            let mut bytes = whole.clone();
            if cut {
                bytes.truncate(at)
            } else {
                bytes[at] ^= 0x40
            }
            let disk = SimDisk::new();
            disk.create_dir_all(Path::new(DIR)).unwrap();
            disk.open(&path, true).unwrap().write_all_at(&bytes, 0).unwrap();
            let (log, opened) = Log::open(Arc::new(disk), Path::new(DIR)).unwrap();
            let known = &log.state().files;
            assert!(known.get(&1).is_none_or(|f| f.position <= state.files[&1].position), "byte {at}");
            if !cut {
                assert_eq!(Opened::Damaged, opened, "byte {at}");
            }
        }
    }
}

#[test]
fn a_long_run_stays_small() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let (mut log, _) = Log::open(Arc::new(disk.clone()), Path::new(DIR)).unwrap();
    log.append(&[file(1)], true).unwrap();
    for n in 0..40_000_u64 {
        let extent = Extent { start: n * 10, end: n * 10 + 10, time_ms: 0, mark: 0 };
        log.append(&[Entry::Extent(1, extent), Entry::Position(1, n * 10)], false).unwrap();
    }
    let len = disk.file_len(log.path()).unwrap();
    assert!(len < 2 << 20, "{len} bytes");
    assert_eq!(399_990, log.state().files[&1].position);
}
