//! Failed syncs, as ext4 has them: the data are lost but still seen, and the next sync succeeds.

use super::fixture::*;
use crate::{AppendError, DataDir, GroupCommit, Log, LogListener, MaintenanceError, Options, ReadLimit};
use logmill_disk::{
    Disk,
    sim::{Fault, SimDisk},
};
use parking_lot::Mutex;
use std::{path::Path, sync::Arc};

#[derive(Default)]
struct Fences(Mutex<Vec<i64>>);

impl LogListener for Fences {
    fn high_watermark_moved(&self, _: i64) {}

    fn fenced(&self, durable_end: i64) {
        self.0.lock().push(durable_end);
    }
}

fn open(disk: &SimDisk, group_commit: GroupCommit) -> Arc<DataDir> {
    let options =
        Options { group_commit, recovery_point_bytes: 1500, ahead_bytes: 50..=200, ..options(Arc::new(disk.clone())) };
    DataDir::open(Path::new("/data"), options).unwrap()
}

fn logs(dir: &DataDir) -> Vec<Arc<Log>> {
    ["a", "b"].map(|topic| dir.open_log(topic, 0, ID, Arc::new(small())).unwrap()).into()
}

/// Every sync site, failed at each of its calls in turn: nothing acknowledged is lost, nothing lost is believed.
#[test]
fn whichever_sync_fails_nothing_past_it_is_acknowledged_or_believed() {
    for (group_commit, sites) in [
        (
            GroupCommit::Fdatasync,
            &["commit file", "commit partition directory", "checkpoint file", "recovery point data"][..],
        ),
        (GroupCommit::Syncfs, &["commit syncfs", "checkpoint syncfs", "checkpoint names syncfs"][..]),
    ] {
        for site in sites {
            let mut failures = 0;
            for nth in 0..12 {
                for killed in [true, false] {
                    failures += u32::from(fail(group_commit, site, nth, killed));
                }
            }
            assert!(failures >= 2, "{site} failed only {failures} times");
        }
    }
}

/// Returns whether that sync was reached.
fn fail(group_commit: GroupCommit, site: &'static str, nth: u64, killed: bool) -> bool {
    let case = format!("{site} {nth} {killed}");
    let disk = SimDisk::new();
    disk.plant(Fault::FailOnce { site, nth });
    let dir = open(&disk, group_commit);
    let logs_now = logs(&dir);
    for n in 0..30 {
        let value = format!("{n}{}", "x".repeat(200));
        for (at, log) in logs_now.iter().enumerate() {
            if at == 0 || n % 3 == 0 {
                let _ = append(log, &[&value]);
            }
        }
        dir.commit();
    }
    let told: Vec<_> = logs_now.iter().map(|log| (log.high_watermark(), all(log))).collect();
    let fenced: Vec<_> = logs_now.iter().map(|log| log.fenced_at()).collect();
    for (log, fence) in logs_now.iter().zip(&fenced) {
        if let Some(durable_end) = fence {
            assert_eq!(*durable_end, log.high_watermark(), "{case}");
            let refused = append(log, &["more"]).unwrap_err();
            assert!(matches!(refused, AppendError::StorageFenced { .. }), "{case}: {refused}");
            assert!(matches!(log.delete_records_before(0), Err(MaintenanceError::StorageFenced { .. })));
            // Consumers go on reading what is durable.
            assert!(log.read(0, 100, ReadLimit::HighWatermark, true).is_ok(), "{case}");
        }
    }
    let reached = disk.syncs_at(site) > nth;
    // A checkpoint that cannot be replaced stays as it was; the data's own syncs fence.
    assert_eq!(fenced.iter().any(Option::is_some), reached && !site.starts_with("recovery point"), "{case}");
    drop((logs_now, dir));
    let disk = if killed {
        disk.kill().unwrap();
        disk
    } else {
        disk.crash(nth)
    };
    for round in 0..2 {
        let dir = open(&disk, group_commit);
        for (n, log) in logs(&dir).iter().enumerate() {
            let (high_watermark, values) = &told[n];
            let found = all(log);
            assert_eq!(&found[..values.len()], values, "{case}");
            if round == 0 && fenced[n].is_some() {
                assert_eq!(log.log_end_offset(), *high_watermark, "{case}: what the failed sync lost is cut");
            }
            append(log, &["after"]).unwrap();
            dir.commit();
            assert_eq!(log.high_watermark(), log.log_end_offset(), "{case}");
        }
        drop(dir);
        disk.power_cycle(nth).unwrap();
    }
    reached
}

#[test]
fn a_failed_file_fences_its_log_and_no_other() {
    let disk = SimDisk::new();
    disk.plant(Fault::FailOnce { site: "commit file", nth: 2 });
    let dir = open(&disk, GroupCommit::Fdatasync);
    let both = logs(&dir);
    let heard = Arc::new(Fences::default());
    both[0].set_listener(heard.clone());
    for log in &both {
        append(log, &["1"]).unwrap();
    }
    dir.commit();
    for log in &both {
        append(log, &["2"]).unwrap();
    }
    dir.commit();
    assert_eq!((both[0].fenced_at(), both[1].fenced_at()), (Some(1), None));
    assert_eq!(*heard.0.lock(), [1]);
    assert_eq!((both[0].high_watermark(), both[1].high_watermark()), (1, 2));
    assert_eq!(dir.stats().fenced_partitions, 1);
    for file in ["/data/fenced-offsets", "/data.fenced-offsets"] {
        let text = logmill_disk::read_file(&disk, Path::new(file), 100).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "0\n1\na 0 1\n");
    }
    assert!(dir.close().is_err(), "no clean shutdown with a fenced log");
    assert!(!disk.exists(Path::new("/data/.kafka_cleanshutdown")));
    drop((both, dir));
    disk.kill().unwrap();
    let dir = open(&disk, GroupCommit::Fdatasync);
    let both = logs(&dir);
    assert_eq!((all(&both[0]), all(&both[1])), (vec!["1".to_owned()], vec!["1".to_owned(), "2".to_owned()]));
    let text = logmill_disk::read_file(&disk, Path::new("/data/fenced-offsets"), 100).unwrap();
    assert_eq!(text, b"0\n0\n", "the record goes once the log is cut");
}

#[test]
fn a_failed_syncfs_fences_everything_dirty() {
    let disk = SimDisk::new();
    disk.plant(Fault::FailOnce { site: "commit syncfs", nth: 1 });
    let dir = open(&disk, GroupCommit::Syncfs);
    let both = logs(&dir);
    append(&both[0], &["1"]).unwrap();
    dir.commit();
    for log in &both {
        append(log, &["2"]).unwrap();
    }
    dir.commit();
    assert_eq!((both[0].fenced_at(), both[1].fenced_at()), (Some(1), Some(0)));
    assert_eq!(dir.stats().failed_syncs, 1);
}

#[test]
fn when_recovery_cannot_sync_the_end_it_believes_the_disk_and_not_the_memory() {
    let disk = SimDisk::new();
    let dir = open(&disk, GroupCommit::Fdatasync);
    let log = open_log(&dir, small());
    append(&log, &["1"]).unwrap();
    dir.commit();
    append(&log, &["2"]).unwrap();
    drop((log, dir));
    disk.kill().unwrap();
    disk.plant(Fault::FailOnce { site: "recovery tail", nth: 0 });
    let dir = open(&disk, GroupCommit::Fdatasync);
    let log = open_log(&dir, small());
    assert_eq!(all(&log), ["1"]);
    append(&log, &["3"]).unwrap();
    dir.commit();
    drop((log, dir));
    disk.power_cycle(3).unwrap();
    assert_eq!(all(&open_log(&open(&disk, GroupCommit::Fdatasync), small())), ["1", "3"]);
}

#[test]
fn a_write_that_fails_leaves_nothing_behind() {
    let disk = SimDisk::new();
    let dir = open(&disk, GroupCommit::Fdatasync);
    let log = open_log(&dir, small());
    append(&log, &["1"]).unwrap();
    dir.commit();
    disk.set_capacity(Some(1));
    assert!(matches!(append(&log, &["2"]), Err(AppendError::NoSpace { .. } | AppendError::Io(_))));
    disk.set_capacity(None);
    assert_eq!(append(&log, &["3"]).unwrap().base_offset, 1);
    dir.commit();
    assert_eq!(all(&log), ["1", "3"]);
}
