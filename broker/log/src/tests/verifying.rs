//! Damage of what was there before the broker started: no bit turned in a segment is served, whatever it says, and what is sound beside it is.

use super::fixture::*;
use crate::{Log, LogConfig, ReadError, ReadLimit, names};
use logmill_disk::{Disk, read_file, sim::SimDisk};
use logmill_protocol::{
    compression::Compression,
    records::{BatchBuilder, BatchHeader, Batches, HEADER_BYTES},
};
use std::path::{Path, PathBuf};

const BATCHES: i64 = 24;
const RECORDS: i64 = BATCHES * 3;

fn value(offset: i64) -> String {
    format!("{offset}-{}", "x".repeat(20))
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 2400, index_interval_bytes: 300, ..LogConfig::default() }
}

/// Closed in an orderly way: recovery checks nothing. With a batch of three records every hundred bytes or so, in some segments.
fn written() -> SimDisk {
    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = open_log(&dir, config());
    for n in 0..BATCHES {
        let values: Vec<String> = (n * 3..n * 3 + 3).map(value).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let mut batch = build(BatchBuilder::new(Compression::None), NOW + n * 3, &values);
        log.append(&mut batch, CLIENT).unwrap();
    }
    dir.commit();
    dir.close().unwrap();
    disk
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let all = disk.read_dir(Path::new("/data/t-0")).unwrap();
    all.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == names::LOG)).collect()
}

/// What consumers with any first offset are served, until they meet an error; fails if anything is not what was written there.
fn consume(log: &Log, first: i64) -> Result<i64, String> {
    let mut offset = first;
    loop {
        let slice = match log.read(offset, 400, ReadLimit::HighWatermark, true) {
            Ok(Some(slice)) => slice,
            Ok(None) => return Ok(offset),
            Err(ReadError::Corrupt { .. }) => return Ok(offset),
            // Recovery, which looks at the newest segment, has cut it off.
            Err(ReadError::OffsetOutOfRange { .. }) if log.high_watermark() < RECORDS => return Ok(offset),
            Err(other) => return Err(other.to_string()),
        };
        for batch in Batches::new(&slice.to_vec().unwrap()) {
            let batch = batch.map_err(|e| e.to_string())?;
            for record in batch.records_in(&batch.decompress(1 << 20).map_err(|e| e.to_string())?) {
                let record = record.map_err(|e| e.to_string())?;
                let at = batch.header.offset_of(&record);
                if at < offset {
                    continue;
                }
                let found = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
                if at != offset || found != value(at) || batch.header.timestamp_of(&record) != NOW + at {
                    return Err(format!("{found} at {at}, {offset} was next"));
                }
                offset = at + 1;
            }
        }
    }
}

#[test]
fn no_turned_bit_is_ever_served() {
    let mut wrong = Vec::new();
    for path in segments(&written()) {
        let sound = read_file(&written(), &path, 1 << 20).unwrap();
        let (mut starts, mut at) = (Vec::new(), 0);
        while at < sound.len() {
            starts.push(at);
            at += BatchHeader::parse(&sound[at..]).unwrap().total_len();
        }
        for (at, byte) in sound.iter().enumerate() {
            let within = at - starts.iter().rev().find(|start| **start <= at).unwrap();
            // A leader epoch is the broker's own and covered by nothing. Of the records every third byte.
            if (12..16).contains(&within) || within > HEADER_BYTES && at % 3 > 0 {
                continue;
            }
            // The offset of the last batch of all may be that of a directory from elsewhere.
            let is_last = starts.last() == Some(&(at - within)) && Some(&path) == segments(&written()).last();
            if is_last && within < 8 {
                continue;
            }
            let disk = written();
            let file = disk.open(&path, false).unwrap();
            file.write_all_at(&[byte ^ 1 << fastrand::Rng::with_seed(at as u64).u8(0..8)], at as u64).unwrap();
            let dir = open_dir(&disk);
            let log = open_log(&dir, config());
            let mut met = log.high_watermark() < RECORDS;
            for first in (0..RECORDS).rev() {
                match consume(&log, first) {
                    Ok(end) => met |= end < RECORDS,
                    Err(reason) => {
                        wrong.push(format!("{} byte {at} ({within}), from {first}: {reason}", path.display()))
                    }
                }
            }
            if !met || !log.is_corrupt() && log.high_watermark() == RECORDS {
                wrong.push(format!("{} byte {at} ({within}): not noticed", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases, such as\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

#[test]
fn what_is_sound_beside_the_damage_is_served_and_read_once() {
    let disk = written();
    let path = &segments(&disk)[0];
    let sound = read_file(&disk, path, 1 << 20).unwrap();
    let batch = BatchHeader::parse(&sound).unwrap().total_len();
    // In the records of the third one.
    let at = batch as u64 * 3 - 10;
    let file = disk.open(path, false).unwrap();
    file.write_all_at(b"!", at).unwrap();
    let dir = open_dir(&disk);
    let log = open_log(&dir, config());
    let located = || log.locate(0, 4 * batch as u64, ReadLimit::HighWatermark, true).unwrap().unwrap();
    assert!(!located().is_verified() && located().len() >= 3 * batch as u64);
    assert_eq!(log.verify(located()).unwrap().len, 2 * batch as u64);
    assert_eq!(consume(&log, 0), Ok(6));
    assert_eq!(consume(&log, 9), Ok(RECORDS));
    assert!(log.is_corrupt());
    // What was read is not read again; what is appended never.
    let is_verified = |offset| log.locate(offset, 10, ReadLimit::HighWatermark, true).unwrap().unwrap().is_verified();
    assert_eq!([0, 3, 4, 6, 9, 10].map(is_verified), [true, true, true, false, true, false]);
    append(&log, &["more"]).unwrap();
    dir.commit();
    assert!(is_verified(RECORDS));
    // With its segment the damage goes.
    log.delete_records_before(RECORDS).unwrap();
    assert!(!log.is_corrupt());
}
