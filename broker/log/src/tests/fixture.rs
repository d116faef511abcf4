//! What the tests build their logs from.

use crate::{
    AppendAs, AppendError, Appended, Clock, Committer, DataDir, Durability, GroupCommit, Log, LogConfig, Options,
    Origin, ReadLimit, TopicId,
};
use logmill_disk::{Disk, sim::SimDisk};
use logmill_protocol::{
    compression::Compression,
    records::{BatchBuilder, Batches, NewRecord},
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

pub(super) const ID: TopicId = [7; 16];
pub(super) const CLIENT: AppendAs = AppendAs { leader_epoch: 0, origin: Origin::Client };
pub(super) const NOW: i64 = 1_700_000_000_000;

/// A clock that stands still unless told otherwise.
pub(super) struct TestClock(pub AtomicI64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// Commits by hand, so that a run is repeatable.
pub(super) fn options(disk: Arc<dyn Disk>) -> Options {
    Options {
        disk,
        committer: Committer::Manual,
        group_commit: GroupCommit::Fdatasync,
        durability: Durability::Fsync,
        clock: Arc::new(TestClock(AtomicI64::new(NOW))),
        free_space_reserve: 0,
        ..Options::default()
    }
}

pub(super) fn small() -> LogConfig {
    LogConfig { segment_bytes: 2000, index_interval_bytes: 200, ..LogConfig::default() }
}

pub(super) fn open_dir(disk: &SimDisk) -> Arc<DataDir> {
    DataDir::open(Path::new("/data"), options(Arc::new(disk.clone()))).unwrap()
}

pub(super) fn open_log(dir: &DataDir, config: LogConfig) -> Arc<Log> {
    dir.open_log("t", 0, ID, Arc::new(config)).unwrap()
}

/// A batch of records with these values, timestamps `NOW`, `NOW + 1`, ….
pub(super) fn batch(values: &[&str]) -> Vec<u8> {
    build(BatchBuilder::new(Compression::None), NOW, values)
}

pub(super) fn idempotent(id: i64, epoch: i16, sequence: i32, values: &[&str]) -> Vec<u8> {
    build(BatchBuilder::new(Compression::None).producer(id, epoch, sequence), NOW, values)
}

pub(super) fn build(mut builder: BatchBuilder, time: i64, values: &[&str]) -> Vec<u8> {
    for (n, value) in values.iter().enumerate() {
        builder.push(NewRecord { timestamp: time + n as i64, value: Some(value.as_bytes()), ..NewRecord::default() });
    }
    builder.build().unwrap()
}

pub(super) fn append(log: &Log, values: &[&str]) -> Result<Appended, AppendError> {
    log.append(&mut batch(values), CLIENT)
}

/// All values from `offset` to the limit with their offsets, read in steps of at most `max_bytes`; fails on any gap, bad CRC or wrong order.
pub(super) fn values(
    log: &Log,
    mut offset: i64,
    limit: ReadLimit,
    max_bytes: u64,
) -> Result<Vec<(i64, String)>, String> {
    let mut found = Vec::new();
    while let Some(slice) = log.read(offset, max_bytes, limit, true).map_err(|e| e.to_string())? {
        let bytes = slice.to_vec().map_err(|e| e.to_string())?;
        let mut first = true;
        for batch in Batches::new(&bytes) {
            let batch = batch.map_err(|e| format!("offset {offset}: {e}"))?;
            batch.check_crc().map_err(|e| format!("offset {offset}: {e}"))?;
            if first && batch.header.base_offset != slice.base_offset {
                return Err(format!("slice begins at {}, said {}", batch.header.base_offset, slice.base_offset));
            }
            first = false;
            let data = batch.decompress(1 << 20).map_err(|e| e.to_string())?;
            for record in batch.records_in(&data) {
                let record = record.map_err(|e| e.to_string())?;
                let at = batch.header.offset_of(&record);
                if at >= offset {
                    if at != offset {
                        return Err(format!("offset {at} where {offset} was expected"));
                    }
                    found.push((at, String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned()));
                    offset = at + 1;
                }
            }
        }
    }
    Ok(found)
}

pub(super) fn all(log: &Log) -> Vec<String> {
    values(log, log.log_start_offset(), ReadLimit::HighWatermark, 1 << 20)
        .unwrap()
        .into_iter()
        .map(|(_, v)| v)
        .collect()
}

/// Files in the directory of `t-0` that wait for their removal.
pub(super) fn deleted(disk: &SimDisk) -> usize {
    let paths = disk.read_dir(Path::new("/data/t-0")).unwrap();
    paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "deleted")).count()
}
