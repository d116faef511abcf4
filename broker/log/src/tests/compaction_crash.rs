//! The crash simulator on compaction: no newest value lost, no deleted key back, whatever was half done, on a disk that fills up too.

use super::{
    compaction::{SharedClock, compacted, contents, keyed},
    fixture::*,
    full_disk::{fill, has_power},
    model::{ROOT, check_indexes},
};
use crate::{AppendError, DataDir, Log, LogConfig, Options};
use fastrand::Rng;
use logmill_disk::sim::{CutEverywhere, Fault, SimDisk};
use logmill_protocol::{compression::Compression, records::BatchBuilder};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

const KEYS: usize = 6;
const PRODUCER: i64 = 5;

/// Key and value.
type Pair = (String, Option<String>);
/// Base offset, records, first sequence.
type Written = (i64, Vec<Pair>, Option<i32>);
/// First sequence, records, base offset.
type Batch = (i32, Vec<Pair>, i64);

/// What a client knows.
#[derive(Default)]
struct Told {
    /// The newest acknowledged record of each key: offset, value.
    newest: BTreeMap<String, (i64, Option<String>)>,
    /// Everything that may be at an offset.
    appended: BTreeMap<i64, BTreeSet<Pair>>,
    /// Last acknowledged batch of the idempotent producer: sequence, records, base offset.
    last: Option<Batch>,
    pending: Vec<Written>,
    end: i64,
    /// Compactions that failed for want of room.
    failed: u64,
    broken: Option<String>,
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 700, ..compacted() }
}

fn open(disk: &SimDisk, clock: &Arc<AtomicI64>) -> Option<(Arc<DataDir>, Arc<Log>)> {
    let options = Options {
        clock: Arc::new(SharedClock(clock.clone())),
        recovery_point_bytes: 1500,
        ahead_bytes: 50..=200,
        ..options(Arc::new(disk.clone()))
    };
    let dir = DataDir::open(Path::new(ROOT), options).ok()?;
    let log = dir.open_log("t", 0, ID, Arc::new(config())).ok()?;
    Some((dir, log))
}

fn batch(sequence: Option<i32>, records: &[Pair]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(if records.len() == 2 { Compression::Lz4 } else { Compression::None });
    if let Some(sequence) = sequence {
        builder = builder.producer(PRODUCER, 0, sequence);
    }
    let records: Vec<_> = records.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
    keyed(builder, &records)
}

/// A start may fail on a full disk, but not once there is room.
fn reopen(disk: &SimDisk, clock: &Arc<AtomicI64>) -> Option<(Arc<DataDir>, Arc<Log>)> {
    open(disk, clock).or_else(|| {
        disk.set_capacity(None);
        open(disk, clock)
    })
}

/// `None`: the power went, or a promise was broken. `fills_up`: so does the disk, again and again.
fn workload(disk: &SimDisk, seed: u64, told: &mut Told, fills_up: bool) -> Option<()> {
    let mut rng = Rng::with_seed(seed);
    let clock = Arc::new(AtomicI64::new(NOW));
    let (mut dir, mut log) = open(disk, &clock)?;
    let (mut sequence, mut counter) = (0, 0);
    for _ in 0..70 {
        clock.fetch_add(rng.i64(0..60), Ordering::Relaxed);
        if fills_up {
            match rng.u8(0..20) {
                0..4 => fill(disk, rng.u64(0..3000)),
                4..6 => disk.set_capacity(None),
                _ => {}
            }
        }
        match rng.u8(0..100) {
            0..60 => {
                let records: Vec<_> = (0..rng.usize(1..4))
                    .map(|_| {
                        counter += 1;
                        let value = (rng.u8(0..4) > 0).then(|| format!("{counter}-{}", "x".repeat(rng.usize(0..150))));
                        (format!("k{}", rng.usize(0..KEYS)), value)
                    })
                    .collect();
                let number = (rng.u8(0..3) == 0).then_some(sequence);
                let base = log.log_end_offset();
                for (n, record) in (base..).zip(&records) {
                    told.appended.entry(n).or_default().insert(record.clone());
                }
                match log.append(&mut batch(number, &records), CLIENT) {
                    Ok(_) => {}
                    Err(AppendError::OutOfOrderSequence { expected, .. }) => {
                        sequence = expected;
                        continue;
                    }
                    Err(AppendError::DuplicateSequence { .. }) => {
                        sequence += 1;
                        continue;
                    }
                    Err(_) if fills_up && has_power(disk) => continue,
                    Err(_) => return None,
                }
                if number.is_some() {
                    sequence += records.len() as i32;
                }
                told.pending.push((base, records, number));
            }
            60..75 => acknowledge(&dir, &log, told)?,
            75..92 => {
                if fills_up {
                    // With room for the checkpoint that it needs, but not for all of the rest.
                    disk.set_capacity(None);
                    drop(dir.write_checkpoints());
                    fill(disk, rng.u64(40..600));
                }
                dir.compact();
                if log.is_uncleanable() && fills_up && has_power(disk) {
                    told.failed += 1;
                    // Until it is tried again.
                    clock.fetch_add(4_000_000, Ordering::Relaxed);
                } else if log.is_uncleanable() {
                    return None;
                }
                if fills_up {
                    disk.set_capacity(None);
                }
                if log.fenced_at().is_some() {
                    told.broken = has_power(disk).then(|| "a compaction has fenced the log".to_owned());
                    return None;
                }
            }
            92..96 => {
                match dir.close() {
                    Ok(()) => told.acknowledge(log.high_watermark()),
                    Err(_) if fills_up && has_power(disk) => {}
                    Err(_) => return None,
                }
                drop((dir, log));
                (dir, log) = reopen(disk, &clock)?;
                if let Err(reason) = told.check(&log, disk) {
                    told.broken = has_power(disk).then_some(reason);
                    return None;
                }
                told.pending.clear();
                told.seen(&log)?;
            }
            n => {
                drop((dir, log));
                if n < 98 { disk.power_cycle(rng.u64(..)) } else { disk.kill() }.ok()?;
                told.pending.clear();
                (dir, log) = reopen(disk, &clock)?;
                if let Err(reason) = told.check(&log, disk) {
                    // What fails because the power went is no broken promise.
                    told.broken = has_power(disk).then_some(reason);
                    return None;
                }
                // What is there now is served: it stays.
                told.seen(&log)?;
            }
        }
    }
    acknowledge(&dir, &log, told)
}

fn acknowledge(dir: &DataDir, log: &Log, told: &mut Told) -> Option<()> {
    dir.commit();
    told.acknowledge(log.high_watermark());
    log.fenced_at().is_none().then_some(())
}

impl Told {
    fn acknowledge(&mut self, high_watermark: i64) {
        for (base, records, number) in std::mem::take(&mut self.pending) {
            if base + records.len() as i64 > high_watermark {
                self.pending.push((base, records, number));
                continue;
            }
            for (at, (key, value)) in (base..).zip(&records) {
                self.newest.insert(key.clone(), (at, value.clone()));
            }
            self.end = self.end.max(base + records.len() as i64);
            if let Some(number) = number {
                self.last = Some((number, records, base));
            }
        }
    }

    fn seen(&mut self, log: &Log) -> Option<()> {
        for (at, (key, value)) in contents(log, 1 << 20).ok()? {
            if self.newest.get(&key).is_none_or(|(known, _)| *known < at) {
                self.newest.insert(key, (at, value));
            }
        }
        self.end = self.end.max(log.high_watermark());
        Some(())
    }

    fn check(&self, log: &Arc<Log>, disk: &SimDisk) -> Result<(), String> {
        if log.high_watermark() < self.end {
            return Err(format!("ends at {}, {} was acknowledged", log.high_watermark(), self.end));
        }
        let mut last: BTreeMap<String, i64> = BTreeMap::new();
        for (at, record) in contents(log, 400)? {
            if !self.appended.get(&at).is_some_and(|all| all.contains(&record)) {
                return Err(format!("{record:?} was never at {at}"));
            }
            last.insert(record.0, at);
        }
        for (key, (at, value)) in &self.newest {
            match (last.get(key), value) {
                (None, Some(_)) => return Err(format!("{key} at {at} is lost")),
                (Some(found), _) if found < at => return Err(format!("{key} at {at} is gone, {found} is back")),
                _ => {}
            }
        }
        check_indexes(log, disk)?;
        if let Some((sequence, records, base)) = &self.last {
            match log.append(&mut batch(Some(*sequence), records), CLIENT) {
                Err(AppendError::DuplicateSequence { base_offset, .. }) if base_offset == *base => {}
                Err(AppendError::OutOfOrderSequence { expected, .. }) if expected > *sequence => {}
                other => return Err(format!("repeat of sequence {sequence} at {base} gave {other:?}")),
            }
        }
        Ok(())
    }
}

fn run(disk: &SimDisk, seed: u64, told: &mut Told) {
    let _ = workload(disk, seed, told, false);
}

fn run_and_fill(disk: &SimDisk, seed: u64, told: &mut Told) {
    let _ = workload(disk, seed, told, true);
}

fn verify(disk: &SimDisk, _: u64, told: &Told) -> Result<(), String> {
    if let Some(broken) = &told.broken {
        return Err(broken.clone());
    }
    disk.set_capacity(None);
    let clock = Arc::new(AtomicI64::new(NOW + 1_000_000_000));
    let (dir, log) = open(disk, &clock).ok_or("does not open")?;
    told.check(&log, disk)?;
    // And once more after another compaction, with every tombstone's time over.
    dir.forget_compaction();
    dir.compact();
    if log.is_uncleanable() {
        return Err("cannot be compacted any more".into());
    }
    told.check(&log, disk)
}

fn seeds(default: u64) -> u64 {
    std::env::var("LOGMILL_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[test]
fn a_cut_anywhere_in_compaction_loses_no_value_and_brings_none_back() {
    let plan =
        CutEverywhere { seeds: 0..seeds(16), cuts_per_seed: 120, crashes_per_cut: 2, ..CutEverywhere::default() };
    let report = plan.run(run, verify).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.operations > 100, "{report:?}");
    for site in SITES {
        assert!(report.sites_seen.contains(&site), "{site} was never reached");
    }
}

#[test]
fn nor_does_a_full_disk() {
    let seeds = seeds(12);
    let plan = CutEverywhere { seeds: 0..seeds, cuts_per_seed: 60, crashes_per_cut: 2, ..CutEverywhere::default() };
    plan.run(run_and_fill, verify).unwrap_or_else(|failure| panic!("{failure}"));
    let failed = |seed| {
        let mut told = Told::default();
        run_and_fill(&SimDisk::new(), seed, &mut told);
        told.failed
    };
    let failed: u64 = (0..seeds).map(failed).sum();
    assert!(failed > seeds / 2, "compaction hardly ever lacked room: {failed} times");
}

const SITES: [&str; 5] =
    ["compaction data", "compaction index", "compaction commit", "compaction removal", "compaction end"];

#[test]
fn each_sync_of_compaction_removed_is_noticed() {
    for site in SITES {
        let plan = CutEverywhere {
            seeds: 0..seeds(400),
            cuts_per_seed: 60,
            crashes_per_cut: 3,
            faults: vec![Fault::Skip(site)],
        };
        assert!(plan.run(run, verify).is_err(), "nobody noticed that {site} was missing");
    }
}
