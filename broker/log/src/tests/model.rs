//! What a client was told, and whether a data directory still holds to it.

use super::fixture::*;
use crate::{
    AppendError, DataDir, Log, LogConfig, ReadLimit, TopicId,
    checkpoint_file::{parse_epochs, parse_offsets},
    names,
    sparse_index::{Entry, OffsetEntry},
};
use logmill_disk::{Disk, read_file, sim::SimDisk};
use logmill_protocol::records::Batches;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

pub(super) const ROOT: &str = "/var/data";

/// All partitions, by topic name; each topic has partition 0 only.
#[derive(Default)]
pub(super) struct Model {
    pub partitions: BTreeMap<String, Partition>,
    /// Ids of topics whose deletion was acknowledged.
    pub deleted: BTreeSet<TopicId>,
    /// `close` returned and nothing has been opened since.
    pub closed: bool,
    /// The data directory was opened.
    pub opened: bool,
}

#[derive(Default, Clone)]
pub(super) struct Partition {
    pub id: TopicId,
    /// Offsets and values that were acknowledged or seen by a consumer.
    pub acknowledged: BTreeMap<i64, String>,
    /// Everything that may be at an offset.
    pub appended: BTreeMap<i64, BTreeSet<String>>,
    /// The highest log start acknowledged, and the highest asked for.
    pub start: i64,
    pub start_asked: i64,
    /// Producer id → acknowledged idempotent batches: sequence, offset, values.
    pub batches: Vec<(i32, i64, Vec<String>)>,
    /// Epoch of the last acknowledged batch.
    pub epoch: Option<i32>,
    /// A deletion was asked for: it may be there or not.
    pub maybe_deleted: bool,
    pub next_sequence: i32,
}

impl Partition {
    /// Everything below the high watermark counts as acknowledged.
    pub(super) fn acknowledge(&mut self, pending: &mut Vec<(i64, Vec<String>, Option<i32>, i32)>, high_watermark: i64) {
        pending.retain(|(base, values, sequence, epoch)| {
            if base + values.len() as i64 > high_watermark {
                return true;
            }
            for (n, value) in values.iter().enumerate() {
                self.acknowledged.insert(base + n as i64, value.clone());
            }
            if let Some(sequence) = sequence {
                self.batches.push((*sequence, *base, values.clone()));
            }
            self.epoch = Some(*epoch);
            false
        });
    }
}

pub(super) fn config() -> LogConfig {
    LogConfig { segment_bytes: 2500, index_interval_bytes: 300, ..LogConfig::default() }
}

/// Checks the files as they are, before anything is opened (and repaired).
pub(super) fn check_files(disk: &SimDisk, model: &Model) -> Result<(), String> {
    let root = Path::new(ROOT);
    let parse = |name: &str| match read_file(disk, &root.join(name), 1 << 20) {
        Ok(text) => parse_offsets(&text).map(Some).map_err(|e| format!("{name}: {e}")),
        Err(_) => Ok(None),
    };
    let recovery_points = parse(names::RECOVERY_POINTS)?;
    parse(names::LOG_STARTS)?;
    parse(names::HIGH_WATERMARKS)?;
    parse(names::FENCES)?;
    let mark = read_file(disk, &root.join(names::CLEAN_SHUTDOWN), 1 << 20);
    if let Ok(mark) = &mark
        && mark != b"{\"version\":0,\"brokerEpoch\":-1}"
    {
        return Err("torn clean-shutdown mark".into());
    }
    if model.closed && mark.is_err() {
        return Err("closed, but no clean-shutdown mark".into());
    }
    if model.opened && !disk.is_dir(root) {
        return Err("the data directory is gone".into());
    }
    for topic in model.partitions.keys() {
        let dir = root.join(format!("{topic}-0"));
        if let Ok(text) = read_file(disk, &dir.join(names::LEADER_EPOCHS), 1 << 20) {
            parse_epochs(&text).map_err(|e| format!("{topic}: leader epochs: {e}"))?;
        }
        if mark.is_ok() {
            check_closed(disk, &dir, recovery_points.as_ref().and_then(|all| all.get(&(topic.clone(), 0)).copied()))?;
        }
    }
    Ok(())
}

/// With the mark in place the log must end at its recovery point, undamaged: Apache Kafka would look no further.
fn check_closed(disk: &SimDisk, dir: &Path, recovery_point: Option<i64>) -> Result<(), String> {
    let Ok(children) = disk.read_dir(dir) else { return Ok(()) };
    let mut bases: Vec<i64> = children
        .iter()
        .filter_map(|path| names::parse_segment_file(path))
        .filter(|(_, extension)| *extension == names::LOG)
        .map(|(base, _)| base)
        .collect();
    bases.sort_unstable();
    let Some(last) = bases.last() else { return Ok(()) };
    let bytes = read_file(disk, &names::segment_file(dir, *last, names::LOG), 1 << 20).map_err(|e| e.to_string())?;
    let mut end = *last;
    for batch in Batches::new(&bytes) {
        let batch = batch.map_err(|e| format!("marked clean, but {e}"))?;
        batch.check_crc().map_err(|e| format!("marked clean, but {e}"))?;
        end = batch.header.next_offset();
    }
    match recovery_point {
        Some(point) if point == end => Ok(()),
        other => Err(format!("{}: marked clean, but it ends at {end}, recovery point {other:?}", dir.display())),
    }
}

/// Checks every promise on an opened data directory; opens its logs.
pub(super) fn check(dir: &DataDir, disk: &SimDisk, model: &Model) -> Result<BTreeMap<String, Arc<Log>>, String> {
    let mut logs = BTreeMap::new();
    if model.closed && !dir.was_clean() {
        return Err("closed, but not clean".into());
    }
    for found in dir.found() {
        if found.topic_id.is_some_and(|id| model.deleted.contains(&id)) {
            return Err(format!("{} is back after its deletion", found.topic));
        }
    }
    for (topic, partition) in &model.partitions {
        let found = dir.found().iter().find(|found| found.topic == *topic);
        if partition.maybe_deleted && found.is_none_or(|found| found.topic_id != Some(partition.id)) {
            continue;
        }
        let promised = !partition.acknowledged.is_empty();
        match found {
            None if promised => return Err(format!("{topic} is gone")),
            Some(found) if promised && found.topic_id != Some(partition.id) => {
                return Err(format!("{topic} has topic id {:?}", found.topic_id));
            }
            _ => {}
        }
        let open = dir.open_log(topic, 0, partition.id, Arc::new(config()));
        let log = open.map_err(|e| format!("{topic} does not open: {e}"))?;
        if partition.maybe_deleted {
            // What it promised went with the wish to delete it.
            logs.insert(topic.clone(), log);
            continue;
        }
        check_partition(&log, partition).map_err(|e| format!("{topic}: {e}"))?;
        check_indexes(&log, disk).map_err(|e| format!("{topic}: {e}"))?;
        logs.insert(topic.clone(), log);
    }
    Ok(logs)
}

fn check_partition(log: &Log, partition: &Partition) -> Result<(), String> {
    let (start, end) = (log.log_start_offset(), log.high_watermark());
    if start < partition.start || start > partition.start_asked.max(partition.start) {
        return Err(format!("starts at {start}, promised {}..={}", partition.start, partition.start_asked));
    }
    if let Some((last, _)) = partition.acknowledged.last_key_value()
        && end <= *last
    {
        return Err(format!("ends at {end}, but {last} was acknowledged"));
    }
    for max_bytes in [1 << 20, 300] {
        let found: BTreeMap<i64, String> =
            values(log, start, ReadLimit::HighWatermark, max_bytes)?.into_iter().collect();
        if found.len() as i64 != end - start {
            return Err(format!("{} records from {start} to {end}", found.len()));
        }
        for (offset, value) in partition.acknowledged.range(start..) {
            if found.get(offset) != Some(value) {
                return Err(format!("{offset} was acknowledged as {value:.20}, found {:.20}", found[offset]));
            }
        }
        for (offset, value) in &found {
            if !partition.appended.get(offset).is_some_and(|all| all.contains(value)) {
                return Err(format!("{value:.20} was never (or no more) at {offset}"));
            }
        }
    }
    for offset in (start..end).step_by(7) {
        values(log, offset, ReadLimit::HighWatermark, 1)?;
    }
    if partition.epoch.is_some() && log.latest_epoch() < partition.epoch {
        return Err(format!("epoch {:?}, acknowledged {:?}", log.latest_epoch(), partition.epoch));
    }
    // Only what is remembered after a restart: the last batch for certain.
    if let Some((sequence, base, values)) = partition.batches.last()
        && *base >= start
    {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let again = crate::AppendAs { leader_epoch: i32::MAX, origin: crate::Origin::Client };
        match log.append(&mut idempotent(5, 0, *sequence, &values), again) {
            Err(AppendError::DuplicateSequence { base_offset, .. }) if base_offset == *base => {}
            // Later batches of the same producer, written but not acknowledged, survived.
            Err(AppendError::OutOfOrderSequence { expected, .. }) if expected > *sequence => {}
            other => return Err(format!("repeat of sequence {sequence} at {base} gave {other:?}")),
        }
    }
    Ok(())
}

/// Each index entry names a batch's place, and none is missing: what is before the recovery point was not rebuilt.
pub(super) fn check_indexes(log: &Arc<Log>, disk: &SimDisk) -> Result<(), String> {
    // Brings what is in memory to the files.
    for path in disk.read_dir(log.dir()).map_err(|e| e.to_string())? {
        let Some((base, names::LOG)) = names::parse_segment_file(&path) else { continue };
        let bytes = read_file(disk, &path, 1 << 20).map_err(|e| e.to_string())?;
        let index = read_file(disk, &names::segment_file(log.dir(), base, names::INDEX), 1 << 20).unwrap_or_default();
        let mut entries: BTreeMap<u64, i64> = BTreeMap::new();
        for entry in index.chunks_exact(OffsetEntry::BYTES).filter_map(OffsetEntry::decode) {
            entries.insert(u64::from(entry.position), base + i64::from(entry.relative));
        }
        let in_file = entries.keys().last().copied().unwrap_or(0);
        let (mut position, mut since, mut count) = (0u64, 0u64, 0);
        for batch in Batches::new(&bytes) {
            let batch = batch.map_err(|e| e.to_string())?;
            match entries.get(&position) {
                Some(last) if *last == batch.header.last_offset() => (since, count) = (0, count + 1),
                Some(last) => return Err(format!("index of {base} has {last} at {position}")),
                // The newest entries may still be in memory, and a restart begins the interval anew.
                None if since > 3000 && (position < in_file || log.recovery_point() > batch.header.base_offset) => {
                    return Err(format!("index of {base} lacks entries before {position}"));
                }
                None => {}
            }
            since += batch.bytes.len() as u64;
            position += batch.bytes.len() as u64;
        }
        if count != entries.len() {
            return Err(format!("index of {base} has {} entries, {count} of them for batches", entries.len()));
        }
    }
    Ok(())
}
