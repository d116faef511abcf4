//! Many logs synced by the committer and the threads that help it at once.

use super::fixture::*;
use crate::{Committer, DataDir, Log, LogListener, Options};
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
    (0..LOGS.unsigned_abs().into()).for_each(fail_one);
}

/// Of the syncs that the first append to each log takes.
fn fail_one(nth: u64) {
    let disk = SimDisk::new();
    disk.plant(Fault::FailOnce { site: "commit file", nth });
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
