//! Each kind of file of a data directory damaged in several ways, after an orderly stop and after a kill: the log is served whole, as far as it is not itself
//! what is damaged, and goes on; or the damage is named and nothing is served.

use super::fixture::*;
use crate::{AppendError, LogConfig, ReadLimit, aborted_index, names};
use logmill_disk::{Disk, read_file, sim::SimDisk};
use logmill_protocol::{compression::Compression, records::BatchBuilder};
use std::path::{Path, PathBuf};

const RECORDS: i64 = 120;

fn config() -> LogConfig {
    LogConfig { segment_bytes: 3000, index_interval_bytes: 200, ..LogConfig::default() }
}

/// Several segments of one producer, all acknowledged, the checkpoints written in between, an aborted transaction of Kafka's time listed.
fn written(close: bool) -> SimDisk {
    let disk = SimDisk::new();
    let dir = open_dir(&disk);
    let log = open_log(&dir, config());
    for n in 0..RECORDS {
        let builder = BatchBuilder::new(Compression::None).producer(5, 0, i32::try_from(n).unwrap());
        log.append(&mut build(builder, NOW + n, &[&format!("{n}-{}", "x".repeat(40))]), CLIENT).unwrap();
        dir.commit();
        if n % 50 == 49 {
            dir.write_checkpoints().unwrap();
        }
    }
    let listed =
        aborted_index::AbortedTransaction { producer_id: 9, first_offset: 0, last_offset: 1, last_stable_offset: 2 };
    aborted_index::rewrite(&disk, Path::new("/data/t-0"), 0, 0, &[listed], "test").unwrap();
    if close {
        dir.close().unwrap();
    }
    drop((dir, log));
    disk.kill().unwrap();
    disk
}

fn damages(sound: &[u8]) -> [(&'static str, Vec<u8>); 5] {
    let mut turned = sound.to_vec();
    if let Some(byte) = turned.get_mut(sound.len() / 2) {
        *byte ^= 0x10;
    }
    [
        ("emptied", Vec::new()),
        ("cut", sound[..sound.len() - sound.len().min(3)].to_vec()),
        ("garbled", sound.iter().map(|byte| byte ^ 0x55).collect()),
        ("with a bit turned", turned),
        ("continued", [sound, &[0xff; 50]].concat()),
    ]
}

fn replace(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    let file = disk.open(path, true).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

/// All records in order from any start and by time, the producer known, appends taken.
fn whole(disk: &SimDisk) -> Result<(), String> {
    let dir = crate::DataDir::open(Path::new("/data"), options(std::sync::Arc::new(disk.clone())))
        .map_err(|e| e.to_string())?;
    let log = dir.open_log("t", 0, ID, std::sync::Arc::new(config())).map_err(|e| e.to_string())?;
    if (log.log_start_offset(), log.high_watermark()) != (0, RECORDS) {
        return Err(format!("from {} to {}", log.log_start_offset(), log.high_watermark()));
    }
    for from in (0..RECORDS).step_by(7) {
        let found = values(&log, from, ReadLimit::HighWatermark, 500)?;
        let expected = (from..RECORDS).map(|n| (n, format!("{n}-{}", "x".repeat(40))));
        if !found.into_iter().eq(expected) {
            return Err(format!("other records from {from} on"));
        }
        let by_time = log.offset_for_time(NOW + from).map_err(|e| e.to_string())?.map(|found| found.offset);
        if by_time != Some(from) {
            return Err(format!("offset {by_time:?} for the time of {from}"));
        }
    }
    match log.append(&mut idempotent(5, 0, i32::try_from(RECORDS).unwrap() - 1, &["again"]), CLIENT) {
        Err(AppendError::DuplicateSequence { .. }) => {}
        other => return Err(format!("a repeated batch gave {other:?}")),
    }
    append(&log, &["more"]).map_err(|e| e.to_string())?;
    dir.commit();
    let last = values(&log, RECORDS, ReadLimit::HighWatermark, 500)?;
    if last != [(RECORDS, "more".to_owned())] {
        return Err(format!("then {last:?}"));
    }
    Ok(())
}

/// Every file of `kind`, by its extension or name.
fn files(disk: &SimDisk, kind: &str) -> Vec<PathBuf> {
    let of = |dir: &str| disk.read_dir(Path::new(dir)).unwrap();
    let is = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name == kind || name.strip_prefix("00").is_some() && name.ends_with(&format!(".{kind}"))
    };
    let found: Vec<_> = of("/data").into_iter().chain(of("/data/t-0")).filter(is).collect();
    assert!(!found.is_empty(), "there is no {kind}");
    found
}

fn each_damage(kinds: &[&str], check: impl Fn(&SimDisk, &Path, &str) -> Result<(), String>) {
    let mut wrong = Vec::new();
    for close in [true, false] {
        for kind in kinds {
            if !close && *kind == names::CLEAN_SHUTDOWN {
                continue;
            }
            for path in files(&written(close), kind) {
                let sound = read_file(&written(close), &path, 1 << 20).unwrap();
                for (how, damaged) in damages(&sound) {
                    let disk = written(close);
                    replace(&disk, &path, &damaged);
                    if let Err(reason) = check(&disk, &path, how) {
                        wrong.push(format!("{} {how}, closed {close}: {reason}", path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_can_be_made_anew_from_the_log_is_and_nothing_is_served_wrong() {
    let kinds = [
        names::INDEX,
        names::TIME_INDEX,
        names::SNAPSHOT,
        names::LEADER_EPOCHS,
        names::PARTITION_METADATA,
        names::RECOVERY_POINTS,
        names::HIGH_WATERMARKS,
        names::CLEAN_SHUTDOWN,
    ];
    each_damage(&kinds, |disk, path, _| match whole(disk) {
        // The id of another topic is not to be told from damage: nothing is served under it.
        Err(reason) if path.ends_with(names::PARTITION_METADATA) && reason.contains("belongs to topic id") => Ok(()),
        result => result,
    });
}

#[test]
fn where_the_log_starts_and_where_it_was_fenced_are_believed_whole_or_not_at_all() {
    let kinds = [names::LOG_STARTS, names::FENCES, names::CLEANER_OFFSETS];
    for kind in kinds {
        let path = Path::new("/data").join(kind);
        for (how, damaged) in damages(b"0\n1\nt 0 0\n") {
            let disk = written(false);
            replace(&disk, &path, &damaged);
            // A fence that cannot be read might have been anywhere; all others are as if they were not there.
            match whole(&disk) {
                Ok(()) => {}
                Err(reason) => assert!(kind == names::FENCES && reason.contains(kind), "{kind} {how}: {reason}"),
            }
        }
    }
}

#[test]
fn a_damaged_list_of_aborted_transactions_is_made_anew_or_told_of() {
    each_damage(&[names::TXN_INDEX], |disk, path, how| {
        whole(disk)?;
        let dir = open_dir(disk);
        let told = open_log(&dir, config()).aborted_transactions(0);
        let bytes = read_file(disk, path, 1 << 20).unwrap();
        match told {
            // It lies before the recovery point: nobody is told what it says.
            Err(_) => aborted_index::decode(&bytes).err().map(drop).ok_or_else(|| "readable".to_owned()),
            Ok(_) if matches!(how, "emptied" | "with a bit turned") => Ok(()),
            Ok(told) => Err(format!("{told:?}")),
        }
    });
}

#[test]
fn damage_in_a_segment_is_cut_off_past_the_recovery_point_and_before_it_not_taken_for_records() {
    for close in [true, false] {
        for path in files(&written(close), names::LOG) {
            let sound = read_file(&written(close), &path, 1 << 20).unwrap();
            for (how, damaged) in damages(&sound) {
                let disk = written(close);
                replace(&disk, &path, &damaged);
                let dir = open_dir(&disk);
                let Ok(log) = dir.open_log("t", 0, ID, std::sync::Arc::new(config())) else { continue };
                let (mut from, end) = (log.log_start_offset(), log.high_watermark());
                while from < end {
                    // What a consumer gets is up to the first record that is not as it was written.
                    match values(&log, from, ReadLimit::HighWatermark, 500) {
                        Ok(found) => {
                            for (at, value) in &found {
                                let written = format!("{at}-{}", "x".repeat(40));
                                assert_eq!(*value, written, "{} {how}, closed {close}", path.display());
                            }
                            from = end;
                        }
                        Err(_) => from += 7,
                    }
                }
            }
        }
    }
}
