//! Many logs synced by the committer's threads at once.

use super::fixture::*;
use crate::{Committer, DataDir, GroupCommit, Log, LogListener, Options};
use logmill_disk::sim::{Fault, SimDisk};
use std::{
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

const LOGS: i32 = 20;
const ROUNDS: i64 = 20;

/// Tells once everything is durable, or nothing more will be.
struct Settled(mpsc::SyncSender<()>);

impl LogListener for Settled {
    fn high_watermark_moved(&self, high_watermark: i64) {
        if high_watermark == ROUNDS {
            let _ = self.0.send(());
        }
    }

    fn fenced(&self, _: i64) {
        let _ = self.0.send(());
    }
}

#[test]
fn each_log_is_told_of_its_own_sync() {
    for nth in 0..LOGS.unsigned_abs().into() {
        fail_one(Fault::FailOnce { site: "commit file", nth });
    }
}

#[test]
fn a_sync_that_panics_has_failed() {
    for nth in 0..LOGS.unsigned_abs().into() {
        fail_one(Fault::PanicOnce { site: "commit file", nth });
    }
}

#[test]
fn after_a_panic_of_the_committer_the_logs_it_had_taken_are_fenced_and_others_committed() {
    let disk = SimDisk::new();
    disk.plant(Fault::PanicOnce { site: "commit syncfs", nth: 0 });
    let options =
        Options { committer: Committer::Thread, group_commit: GroupCommit::Syncfs, ..options(Arc::new(disk.clone())) };
    let dir = DataDir::open(Path::new("/data"), options).unwrap();
    for (partition, expected) in [(0, (Some(0), 0)), (1, (None, ROUNDS))] {
        let log = dir.open_log("t", partition, ID, Arc::new(small())).unwrap();
        let (settled, is_settled) = mpsc::sync_channel(1);
        log.set_listener(Arc::new(Settled(settled)));
        for _ in 0..ROUNDS {
            let _ = append(&log, &["value"]);
        }
        assert!(is_settled.recv_timeout(Duration::from_secs(60)).is_ok(), "{} is not settled", log.name());
        assert_eq!((log.fenced_at(), log.high_watermark()), expected);
    }
}

/// The fault is one of the syncs that the first append to each log takes.
fn fail_one(fault: Fault) {
    let disk = SimDisk::new();
    disk.plant(fault);
    let options = Options { committer: Committer::Thread, ..options(Arc::new(disk.clone())) };
    let dir = DataDir::open(Path::new("/data"), options).unwrap();
    let open = |partition| dir.open_log("t", partition, ID, Arc::new(small())).unwrap();
    let logs: Vec<Arc<Log>> = (0..LOGS).map(open).collect();
    let (settled, all_settled) = mpsc::sync_channel(logs.len());
    for log in &logs {
        log.set_listener(Arc::new(Settled(settled.clone())));
    }
    for _ in 0..ROUNDS {
        for log in &logs {
            // Refused by the one that is fenced.
            let _ = append(log, &["value"]);
        }
    }
    for log in &logs {
        assert!(all_settled.recv_timeout(Duration::from_secs(60)).is_ok(), "{} is not settled", log.name());
    }
    let told: Vec<i64> = logs.iter().map(|log| log.high_watermark()).collect();
    assert_eq!(told.iter().filter(|told| **told == ROUNDS).count(), logs.len() - 1);
    assert_eq!((dir.stats().fenced_partitions, dir.stats().failed_syncs), (1, 1));
    drop((logs, dir));
    disk.power_cycle(1).unwrap();
    let dir = open_dir(&disk);
    for (partition, told) in (0..LOGS).zip(told) {
        let log = dir.open_log("t", partition, ID, Arc::new(small())).unwrap();
        let found = i64::try_from(all(&log).len()).unwrap();
        assert!(found >= told, "{}: {found} of {told}", log.name());
    }
}
