//! A client and an operator at work, by seed, until the power goes.

use super::{
    fixture::*,
    model::{Model, Partition, ROOT, check, check_files, config},
};
use crate::{AppendAs, DataDir, GroupCommit, Log, Options, Origin, ReadLimit, names};
use fastrand::Rng;
use logmill_disk::{Disk, sim::SimDisk};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// A batch not acknowledged yet: base offset, values, sequence, epoch.
type Pending = (i64, Vec<String>, Option<i32>, i32);

pub(super) struct Workload<'a> {
    disk: &'a SimDisk,
    rng: Rng,
    group_commit: GroupCommit,
    /// A planted fault of the client's: takes appends for acknowledged.
    early: bool,
    dir: Option<Arc<DataDir>>,
    logs: BTreeMap<String, Arc<Log>>,
    pending: BTreeMap<String, Vec<Pending>>,
    counter: u64,
    epoch: i32,
}

/// Stops the workload: the power is off, or a promise was broken (`Some`).
type Stop = Option<String>;

pub(super) fn run_options(disk: &SimDisk, group_commit: GroupCommit) -> Options {
    // Segments are small: zeros ahead of a log's end shall be in many of them.
    Options { group_commit, recovery_point_bytes: 3000, ahead_bytes: 100..=400, ..options(Arc::new(disk.clone())) }
}

/// Runs until done or cut; the model then holds what was promised. `Err`: a promise was broken on the way.
pub(super) fn run(
    disk: &SimDisk,
    seed: u64,
    group_commit: GroupCommit,
    early: bool,
    model: &mut Model,
) -> Result<(), String> {
    let mut work = Workload {
        disk,
        rng: Rng::with_seed(seed),
        group_commit,
        early,
        dir: None,
        logs: BTreeMap::new(),
        pending: BTreeMap::new(),
        counter: 0,
        epoch: 0,
    };
    let stopped = work.steps(model);
    match stopped {
        Ok(()) | Err(None) => Ok(()),
        Err(Some(reason)) => Err(reason),
    }
}

fn power<T, E>(result: Result<T, E>) -> Result<T, Stop> {
    result.map_err(|_| None)
}

impl Workload<'_> {
    fn steps(&mut self, model: &mut Model) -> Result<(), Stop> {
        self.open(model)?;
        for _ in 0..60 {
            match self.rng.u8(0..100) {
                0..50 => self.append(model)?,
                50..72 => self.commit(model)?,
                72..76 => power(self.dir()?.write_checkpoints())?,
                76..80 => self.delete_records(model)?,
                80..83 => self.truncate(model)?,
                83..86 => self.delete_topic(model)?,
                86..88 => drop(self.dir()?.housekeeping()),
                88..91 => {
                    self.close(model)?;
                    self.open(model)?;
                }
                91..96 => self.restart(model, true)?,
                _ => self.restart(model, false)?,
            }
        }
        if self.rng.bool() { self.close(model) } else { self.commit(model) }
    }

    fn dir(&self) -> Result<Arc<DataDir>, Stop> {
        self.dir.clone().ok_or(None)
    }

    fn open(&mut self, model: &mut Model) -> Result<(), Stop> {
        let files = check_files(self.disk, model);
        // From here on the mark may go.
        let closed = std::mem::take(&mut model.closed);
        let dir = power(DataDir::open(Path::new(ROOT), run_options(self.disk, self.group_commit)))?;
        files.map_err(Some)?;
        if closed && !dir.was_clean() {
            return Err(Some("closed, but not clean".into()));
        }
        let logs = check(&dir, self.disk, model);
        // What fails because the power went is no broken promise.
        let logs = match logs {
            Ok(logs) => logs,
            Err(reason) => return Err(self.disk.read_dir(Path::new("/")).is_ok().then_some(reason)),
        };
        model.opened = true;
        self.logs = logs;
        self.pending.clear();
        // Everything there is now served to consumers: it must stay.
        for (topic, log) in &self.logs {
            let Some(partition) = model.partitions.get_mut(topic) else { continue };
            let found = power(values(log, log.log_start_offset(), ReadLimit::HighWatermark, 1 << 20))?;
            partition.start = log.log_start_offset();
            partition.start_asked = partition.start;
            partition.maybe_deleted = false;
            partition.appended = found.iter().map(|(at, value)| (*at, [value.clone()].into())).collect();
            partition.acknowledged = found.into_iter().collect();
        }
        model.partitions.retain(|topic, _| self.logs.contains_key(topic));
        self.dir = Some(dir);
        Ok(())
    }

    fn log(&mut self, model: &mut Model) -> Result<(String, Arc<Log>), Stop> {
        let topic = ["a", "b", "c"][self.rng.usize(0..3)].to_owned();
        if let Some(log) = self.logs.get(&topic) {
            return Ok((topic, Arc::clone(log)));
        }
        let mut id = [0; 16];
        self.rng.fill(&mut id);
        model.partitions.insert(topic.clone(), Partition { id, ..Partition::default() });
        let log = power(self.dir()?.open_log(&topic, 0, id, Arc::new(config())))?;
        if log.log_end_offset() != 0 {
            return Err(Some(format!("{topic} is new but ends at {}", log.log_end_offset())));
        }
        self.logs.insert(topic.clone(), Arc::clone(&log));
        Ok((topic, log))
    }

    fn append(&mut self, model: &mut Model) -> Result<(), Stop> {
        let (topic, log) = self.log(model)?;
        let partition = model.partitions.get_mut(&topic).ok_or(None)?;
        if self.rng.u8(0..20) == 0 {
            self.epoch += 1;
        }
        let mut values = Vec::new();
        for _ in 0..self.rng.usize(1..4) {
            self.counter += 1;
            values.push(format!("{}-{}", self.counter, "x".repeat(self.rng.usize(0..300))));
        }
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let sequence = self.rng.bool().then_some(partition.next_sequence);
        let mut bytes = match sequence {
            Some(sequence) => idempotent(5, 0, sequence, &texts),
            None => batch(&texts),
        };
        let base = log.log_end_offset();
        for (n, value) in values.iter().enumerate() {
            partition.appended.entry(base + n as i64).or_default().insert(value.clone());
        }
        let as_ = AppendAs { leader_epoch: self.epoch, origin: Origin::Client };
        match log.append(&mut bytes, as_) {
            Ok(appended) if appended.base_offset == base => {}
            Ok(appended) => return Err(Some(format!("appended at {}, expected {base}", appended.base_offset))),
            Err(crate::AppendError::OutOfOrderSequence { expected, .. }) if sequence.is_some() => {
                // Batches that were lost without acknowledgement: the client goes on from there.
                partition.next_sequence = expected;
                return Ok(());
            }
            Err(crate::AppendError::DuplicateSequence { .. }) if sequence.is_some() => {
                partition.next_sequence += 1;
                return Ok(());
            }
            Err(_) => return Err(None),
        }
        if sequence.is_some() {
            partition.next_sequence += values.len() as i32;
        }
        self.pending.entry(topic.clone()).or_default().push((base, values, sequence, self.epoch));
        if self.early {
            let end = log.log_end_offset();
            partition.acknowledge(self.pending.entry(topic).or_default(), end);
        }
        Ok(())
    }

    fn commit(&mut self, model: &mut Model) -> Result<(), Stop> {
        self.dir()?.commit();
        self.acknowledge(model);
        if self.logs.values().any(|log| log.fenced_at().is_some()) { Err(None) } else { Ok(()) }
    }

    fn acknowledge(&mut self, model: &mut Model) {
        for (topic, log) in &self.logs {
            if let (Some(partition), Some(pending)) = (model.partitions.get_mut(topic), self.pending.get_mut(topic)) {
                partition.acknowledge(pending, log.high_watermark());
            }
        }
    }

    fn delete_records(&mut self, model: &mut Model) -> Result<(), Stop> {
        let (topic, log) = self.log(model)?;
        let partition = model.partitions.get_mut(&topic).ok_or(None)?;
        let offset = self.rng.i64(log.log_start_offset()..=log.high_watermark());
        partition.start_asked = offset;
        partition.start = power(log.delete_records_before(offset))?;
        Ok(())
    }

    /// Cuts what nobody was told of, as a follower does.
    fn truncate(&mut self, model: &mut Model) -> Result<(), Stop> {
        let (topic, log) = self.log(model)?;
        let partition = model.partitions.get_mut(&topic).ok_or(None)?;
        power(log.truncate_to(log.high_watermark()))?;
        let end = log.log_end_offset();
        partition.appended.retain(|offset, _| *offset < end);
        if log.log_start_offset() == end {
            // No record is left whose epoch were to be known.
            partition.epoch = None;
        }
        partition.next_sequence =
            partition.batches.last().map_or(0, |(sequence, _, values)| sequence + values.len() as i32);
        self.pending.remove(&topic);
        Ok(())
    }

    fn delete_topic(&mut self, model: &mut Model) -> Result<(), Stop> {
        let (topic, _) = self.log(model)?;
        let partition = model.partitions.get_mut(&topic).ok_or(None)?;
        partition.maybe_deleted = true;
        let id = partition.id;
        // Its log start may be forgotten before it goes.
        partition.start = 0;
        power(self.dir()?.delete_log(&topic, 0))?;
        model.partitions.remove(&topic);
        model.deleted.insert(id);
        self.logs.remove(&topic);
        self.pending.remove(&topic);
        if self.disk.exists(&names::partition_dir(Path::new(ROOT), &topic, 0)) {
            return Err(Some(format!("{topic} was deleted but is there")));
        }
        Ok(())
    }

    fn close(&mut self, model: &mut Model) -> Result<(), Stop> {
        let dir = self.dir()?;
        let closed = dir.close();
        self.acknowledge(model);
        power(closed)?;
        model.closed = true;
        self.logs.clear();
        self.dir = None;
        Ok(())
    }

    /// kill -9, or a power cut, and a new start.
    fn restart(&mut self, model: &mut Model, power_cut: bool) -> Result<(), Stop> {
        let cut = if power_cut { self.disk.power_cycle(self.rng.u64(..)) } else { self.disk.kill() };
        power(cut)?;
        self.logs.clear();
        self.dir = None;
        self.open(model)
    }
}
