//! A mutational fuzzer of what a broker finds when it starts: a partition's files with one of them damaged. Recovery never panics, nothing is served but whole
//! batches, and all of them where recovery had to check them, and the log takes appends again. Every run tries the same damage; LOGMILL_FUZZ_ROUNDS=N tries N times as much.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../protocol/tests/fuzz/mutate.rs"]
mod mutate;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use logmill_disk::{Disk, sim::SimDisk};
use logmill_log::{AppendAs, Committer, DataDir, GroupCommit, Log, LogConfig, Options, Origin, ReadLimit, dump};
use logmill_protocol::records::{Batches, is_message_set};

const ROOT: &str = "/data";
const CLIENT: AppendAs = AppendAs { leader_epoch: 0, origin: Origin::Coordinator };

type Files = Vec<(PathBuf, Vec<u8>)>;

fn open(disk: &SimDisk, compact: bool) -> (Arc<DataDir>, Result<Arc<Log>, logmill_log::OpenError>) {
    let options = Options {
        disk: Arc::new(disk.clone()),
        committer: Committer::Manual,
        group_commit: GroupCommit::Fdatasync,
        free_space_reserve: 0,
        ..Options::default()
    };
    let dir = DataDir::open(Path::new(ROOT), options).unwrap();
    let config = LogConfig { segment_bytes: 3000, index_interval_bytes: 300, compact, ..LogConfig::default() };
    let log = dir.open_log("t", 0, [7; 16], Arc::new(config));
    (dir, log)
}

fn batches() -> Vec<Vec<u8>> {
    let corpus = mutate::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/corpus/batches"));
    corpus.into_iter().map(|(_, bytes)| bytes).filter(|bytes| !is_message_set(bytes)).collect()
}

/// A log of several segments with batches that real clients have written; closed, or as a crash leaves it.
fn written(close: bool) -> Files {
    let disk = SimDisk::new();
    let (dir, log) = open(&disk, false);
    let log = log.unwrap();
    for batch in batches() {
        log.append(&mut batch.clone(), CLIENT).unwrap();
        dir.commit();
    }
    if close {
        dir.close().unwrap();
    }
    let mut files = Files::new();
    for parent in [Path::new(ROOT), &Path::new(ROOT).join("t-0")] {
        for path in disk.read_dir(parent).unwrap() {
            if !disk.is_dir(&path) {
                let file = disk.open(&path, false).unwrap();
                let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
                file.read_exact_at(&mut bytes, 0).unwrap();
                files.push((path, bytes));
            }
        }
    }
    files
}

fn restored(files: &Files) -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(&Path::new(ROOT).join("t-0")).unwrap();
    for (path, bytes) in files {
        disk.open(path, true).unwrap().write_all_at(bytes, 0).unwrap();
    }
    disk
}

/// Every batch that is served, whole; how many there are. `checked`: recovery has read them all, so that none can be refused.
fn serve(log: &Log, checked: bool) -> usize {
    let (mut offset, mut count) = (log.log_start_offset(), 0);
    loop {
        let slice = match log.read(offset, 1 << 20, ReadLimit::HighWatermark, true) {
            Ok(Some(slice)) => slice,
            Ok(None) => return count,
            Err(error) => {
                assert!(!checked, "what was checked cannot be read: {error}");
                return count;
            }
        };
        for batch in Batches::new(&slice.to_vec().unwrap()) {
            let batch = batch.expect("a part of a batch is served");
            assert!(batch.check_crc().is_ok(), "a damaged batch is served");
            assert!(batch.header.next_offset() > offset, "offsets go back");
            offset = batch.header.next_offset();
            count += 1;
        }
    }
}

fn start(files: &Files, checked: bool, compact: bool) -> Option<usize> {
    let disk = restored(files);
    let (dir, log) = open(&disk, compact);
    let Ok(log) = log else { return None };
    let served = serve(&log, checked);
    let end = log.log_end_offset();
    if let Ok(appended) = log.append(&mut batches()[0].clone(), CLIENT) {
        assert_eq!(appended.base_offset, end);
        dir.commit();
        assert_eq!(log.high_watermark(), log.log_end_offset());
    }
    Some(served)
}

/// One file damaged, at times the clean-shutdown mark or the recovery point gone.
fn damage(files: &mut Files, seed: u64) -> (String, bool) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let at = rng.usize(..files.len());
    let other = files[rng.usize(..files.len())].1.clone();
    let (path, bytes) = &mut files[at];
    let name = path.display().to_string();
    mutate::mutate(bytes, &other, &mut rng);
    let all_is_checked = rng.bool();
    if all_is_checked {
        let points = ["recovery-point-offset-checkpoint", ".kafka_cleanshutdown"];
        files.retain(|(path, _)| !points.iter().any(|name| path.ends_with(name)));
    }
    (name, all_is_checked)
}

#[test]
fn the_files_themselves_are_whole() {
    for close in [false, true] {
        assert_eq!(start(&written(close), true, false), Some(batches().len()), "closed: {close}");
    }
}

#[test]
fn no_damage_of_one_file_does_harm() {
    let (closed, killed) = (written(true), written(false));
    let (mut opened, usual) = (0, mutate::rounds(1500));
    for seed in 0..usual {
        let mut files = if seed % 2 == 0 { closed.clone() } else { killed.clone() };
        let (name, all_is_checked) = damage(&mut files, seed);
        // Only a log that may have been compacted keeps what lies behind a gap.
        let compact = seed % 5 == 0;
        let started = std::panic::catch_unwind(|| start(&files, all_is_checked, compact));
        match started {
            Ok(Some(_)) => opened += 1,
            Ok(None) => {}
            Err(_) => panic!("seed {seed}, {name} damaged"),
        }
    }
    // Nearly everything can be mended or is cut away; what belongs to another topic, say, is refused.
    assert!(opened > usual / 2, "only {opened} of {usual} were opened");
}

#[test]
fn dump_reads_anything() {
    let files = written(true);
    let root = tempfile::tempdir().unwrap();
    for seed in 0..mutate::rounds(150) {
        let mut damaged = files.clone();
        damage(&mut damaged, seed);
        for (path, bytes) in &damaged {
            std::fs::write(root.path().join(path.file_name().unwrap()), bytes).unwrap();
        }
        for path in dump::files(root.path()).unwrap() {
            let _ = dump::dump(&path, true, &mut |_| Ok(()));
        }
    }
}
