//! The crash simulator on a disk that fills up again and again: what was acknowledged stays, what was refused is not there, and there being room mends all.

use super::{
    fixture::*,
    model::{ROOT, config},
    workload::run_options,
};
use crate::{DataDir, GroupCommit, Log, Options, ReadLimit};
use fastrand::Rng;
use logmill_disk::{
    Disk,
    sim::{CutEverywhere, SimDisk},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// More than any of these tests writes.
const AMPLE: u64 = 1 << 40;

#[derive(Default)]
struct Told {
    acknowledged: BTreeMap<i64, String>,
    /// Everything that may be at an offset.
    appended: BTreeMap<i64, BTreeSet<String>>,
    pending: Vec<(i64, String)>,
    /// The highest log start asked for.
    start: i64,
    refused: u64,
    broken: Option<String>,
}

/// Leaves so many bytes free.
pub(super) fn fill(disk: &SimDisk, free: u64) {
    disk.set_capacity(Some(AMPLE));
    let used = disk.free_space(Path::new("/")).map_or(0, |free| AMPLE - free);
    disk.set_capacity(Some(used + free));
}

pub(super) fn has_power(disk: &SimDisk) -> bool {
    disk.read_dir(Path::new("/")).is_ok()
}

fn try_open(disk: &SimDisk, reserve: u64) -> Result<(Arc<DataDir>, Arc<Log>), String> {
    let options = Options { free_space_reserve: reserve, ..run_options(disk, GroupCommit::Fdatasync) };
    let dir = DataDir::open(Path::new(ROOT), options).map_err(|e| e.to_string())?;
    let log = dir.open_log("t", 0, ID, Arc::new(config())).map_err(|e| e.to_string())?;
    Ok((dir, log))
}

/// A start may fail on a full disk, but not once there is room.
fn open(disk: &SimDisk, reserve: u64, told: &mut Told) -> Option<(Arc<DataDir>, Arc<Log>)> {
    let opened = try_open(disk, reserve).or_else(|_| {
        disk.set_capacity(None);
        try_open(disk, reserve)
    });
    let checked = opened.and_then(|(dir, log)| told.check(&log).map(|()| (dir, log)));
    match checked {
        Ok((dir, log)) => {
            // What is there now is served: it stays.
            told.pending.clear();
            told.acknowledged =
                values(&log, log.log_start_offset(), ReadLimit::HighWatermark, 1 << 20).ok()?.into_iter().collect();
            Some((dir, log))
        }
        Err(reason) => {
            told.broken = has_power(disk).then_some(reason);
            None
        }
    }
}

impl Told {
    fn acknowledge(&mut self, high_watermark: i64) {
        for (at, value) in self.pending.extract_if(.., |(at, _)| *at < high_watermark) {
            self.acknowledged.insert(at, value);
        }
    }

    fn check(&self, log: &Log) -> Result<(), String> {
        let (start, end) = (log.log_start_offset(), log.high_watermark());
        // Of a log of which nothing was acknowledged, a power cut may leave the name of its second segment only.
        if start > self.start && !self.acknowledged.is_empty() {
            return Err(format!("starts at {start}, asked for was {}", self.start));
        }
        if self.acknowledged.last_key_value().is_some_and(|(last, _)| end <= *last) {
            return Err(format!("ends at {end}, acknowledged was more"));
        }
        let found: BTreeMap<i64, String> = values(log, start, ReadLimit::HighWatermark, 700)?.into_iter().collect();
        for (at, value) in self.acknowledged.range(start..) {
            if found.get(at) != Some(value) {
                return Err(format!("{value:.8} was acknowledged at {at}"));
            }
        }
        let foreign = |(at, value): &(&i64, &String)| !self.appended.get(at).is_some_and(|all| all.contains(*value));
        match found.iter().find(foreign) {
            Some((at, value)) => Err(format!("{value:.8} at {at} was refused")),
            None => Ok(()),
        }
    }
}

/// `None`: the power went, or a promise was broken.
fn workload(disk: &SimDisk, seed: u64, told: &mut Told) -> Option<()> {
    let mut rng = Rng::with_seed(seed);
    let reserve = [0, 700][rng.usize(0..2)];
    let (mut dir, mut log) = open(disk, reserve, told)?;
    let mut counter = 0;
    for _ in 0..70 {
        match rng.u8(0..100) {
            0..45 => {
                counter += 1;
                let value = format!("{counter}-{}", "x".repeat(rng.usize(0..400)));
                let base = log.log_end_offset();
                match append(&log, &[&value]) {
                    Ok(_) => {
                        told.appended.entry(base).or_default().insert(value.clone());
                        told.pending.push((base, value));
                    }
                    Err(_) if has_power(disk) => told.refused += 1,
                    Err(_) => {
                        // It may have been written before the power went.
                        told.appended.entry(base).or_default().insert(value);
                        return None;
                    }
                }
            }
            45..60 => {
                dir.commit();
                told.acknowledge(log.high_watermark());
            }
            60..70 => fill(disk, rng.u64(0..1500)),
            70..75 => disk.set_capacity(None),
            75..81 => drop(dir.write_checkpoints()),
            81..84 => {
                told.start = told.start.max(rng.i64(log.log_start_offset()..=log.high_watermark()));
                let _ = log.delete_records_before(told.start);
            }
            84..86 => drop(dir.housekeeping()),
            n => {
                if n < 91 {
                    let closed = dir.close();
                    if closed.is_ok() {
                        told.acknowledge(log.high_watermark());
                    }
                }
                drop((dir, log));
                if n >= 91 {
                    if n < 96 { disk.power_cycle(rng.u64(..)) } else { disk.kill() }.ok()?;
                }
                (dir, log) = open(disk, reserve, told)?;
            }
        }
    }
    disk.set_capacity(None);
    let value = "at last".to_owned();
    told.appended.entry(log.log_end_offset()).or_default().insert(value.clone());
    told.pending.push((log.log_end_offset(), value.clone()));
    let taken = append(&log, &[&value]).map_err(|e| e.to_string());
    dir.commit();
    if let Err(reason) = taken
        && has_power(disk)
    {
        told.broken = Some(format!("there is room again, but: {reason}"));
    }
    told.acknowledge(log.high_watermark());
    Some(())
}

fn run(disk: &SimDisk, seed: u64, told: &mut Told) {
    let _ = workload(disk, seed, told);
}

fn verify(disk: &SimDisk, _: u64, told: &Told) -> Result<(), String> {
    if let Some(broken) = &told.broken {
        return Err(broken.clone());
    }
    disk.set_capacity(None);
    let (_dir, log) = try_open(disk, 0)?;
    told.check(&log)
}

#[test]
fn a_disk_that_fills_up_breaks_no_promise_wherever_the_power_goes() {
    let seeds = std::env::var("LOGMILL_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let plan = CutEverywhere { seeds: 0..seeds, cuts_per_seed: 60, crashes_per_cut: 2, ..CutEverywhere::default() };
    plan.run(run, verify).unwrap_or_else(|failure| panic!("{failure}"));
    let refused: u64 = (0..seeds)
        .map(|seed| {
            let mut told = Told::default();
            run(&SimDisk::new(), seed, &mut told);
            told.refused
        })
        .sum();
    assert!(refused > seeds, "the disk was hardly ever full: {refused} appends were refused");
}
