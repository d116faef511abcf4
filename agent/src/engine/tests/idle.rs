//! Files that nothing happens to are not opened again, and whatever does happen to one is seen.

use std::{fs::FileTimes, time::SystemTime};

use super::*;

/// More files than may be open, all read and looked at twice.
fn rested(files: usize) -> Rig {
    let mut rig = Rig::with(|c| c.max_open_files = 16);
    (0..files).for_each(|n| rig.append(&format!("{n}.log"), format!("first of {n}\n")));
    rig.settle();
    for _ in 0..2 {
        rig.pass(Duration::from_secs(10));
        rig.settle();
    }
    rig
}

/// Looks so far, at whichever file.
fn looks(rig: &Rig) -> u64 {
    rig.engine.as_ref().unwrap().slots.uses()
}

#[test]
fn a_scan_leaves_resting_files_alone() {
    let mut rig = rested(50);
    let before = looks(&rig);
    for _ in 0..3 {
        rig.pass(Duration::from_secs(10));
        rig.settle();
    }
    assert_eq!(before, looks(&rig), "nothing happened");
    rig.append("7.log", "second of 7\n");
    rig.settle();
    assert_eq!("second of 7", rig.messages()[50]);
    assert!(looks(&rig) - before <= 4, "only that one was looked at");
    assert_eq!((51, 51), (rig.ledger().0, rig.ledger().1.acknowledged));
}

#[test]
fn what_no_event_told_of_is_found_by_a_scan() {
    let mut rig = rested(50);
    rig.append("7.log", "second of 7\n");
    rig.append("8.log", "begun");
    // The events are lost.
    rig.catch_up();
    rig.engine.as_mut().unwrap().watcher.read(&mut Vec::new());
    rig.pass(Duration::from_secs(10));
    rig.settle();
    rig.append("8.log", " and ended\n");
    rig.catch_up();
    rig.engine.as_mut().unwrap().watcher.read(&mut Vec::new());
    rig.pass(Duration::from_secs(10));
    rig.settle();
    assert_eq!(["second of 7", "begun and ended"], rig.messages()[50..]);
}

#[test]
fn a_file_filled_to_the_same_size_is_read_again_also_with_its_old_times() {
    for keep_time in [false, true] {
        let mut rig = rested(20);
        let path = rig.path("7.log");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "other of 7\n").unwrap();
        let time = if keep_time { modified } else { SystemTime::UNIX_EPOCH };
        fs::File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
        rig.pass(Duration::from_secs(10));
        rig.settle();
        assert_eq!("other of 7", rig.messages()[20], "old time kept: {keep_time}");
    }
}

#[test]
fn touching_a_file_reads_nothing_again() {
    let mut rig = rested(20);
    let file = fs::File::options().append(true).open(rig.path("7.log")).unwrap();
    file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).unwrap();
    rig.pass(Duration::from_secs(10));
    rig.settle();
    assert_eq!(20, rig.messages().len());
}

#[test]
fn filling_in_what_was_reserved_is_no_truncation() {
    let mut rig = Rig::new();
    rig.append("app.log", b"one\n\0\0\0\0\0\0\0\0");
    rig.settle();
    let file = fs::File::options().write(true).open(rig.path("app.log")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"two\n", 4).unwrap();
    rig.pass(Duration::from_secs(10));
    rig.settle();
    assert_eq!(1, rig.messages().iter().filter(|m| *m == "one").count(), "{:?}", rig.messages());
}
