//! Deleted files hold their disk space until they are read, or until they are given up.

use super::*;
use crate::ledger::Reason;

fn held(rig: &Rig) -> u64 {
    rig.engine.as_ref().unwrap().deleted_bytes
}

#[test]
fn what_deleted_files_hold_is_told_until_they_are_read() {
    let mut rig = Rig::with(|c| c.buffer_bytes = 100_000);
    rig.acknowledge = false;
    rig.append("a.log", numbered("a", 0..10_000));
    rig.append("renamed.log", numbered("r", 0..10_000));
    rig.settle();
    let size = fs::metadata(rig.path("a.log")).unwrap().len();
    fs::remove_file(rig.path("a.log")).unwrap();
    fs::create_dir(rig.dir.path().join("elsewhere")).unwrap();
    fs::rename(rig.path("renamed.log"), rig.dir.path().join("elsewhere/renamed.log")).unwrap();
    rig.pass(Duration::from_secs(1));
    rig.settle();
    assert_eq!(size, held(&rig), "what has another name is not deleted");
    rig.acknowledge = true;
    rig.settle();
    rig.pass(Duration::from_secs(30));
    rig.settle();
    rig.pass(Duration::from_secs(30));
    rig.settle();
    assert_eq!(0, held(&rig));
    assert_eq!(20_000, rig.distinct().len());
}

#[test]
fn above_the_cap_the_oldest_are_given_up_and_counted() {
    let mut rig = Rig::with(|c| (c.buffer_bytes, c.max_deleted_bytes) = (20_000, Some(200_000)));
    rig.acknowledge = false;
    for name in ["first.log", "second.log"] {
        rig.append(name, numbered(name, 0..10_000));
        rig.settle();
        rig.next_birth();
    }
    let size = fs::metadata(rig.path("second.log")).unwrap().len();
    assert!((100_000..200_000).contains(&size), "{size}: one of them may stay");
    ["first.log", "second.log"].iter().for_each(|name| fs::remove_file(rig.path(name)).unwrap());
    rig.pass(Duration::from_secs(1));
    rig.settle();
    assert_eq!(size, held(&rig));
    rig.acknowledge = true;
    rig.settle();
    rig.pass(Duration::from_secs(30));
    rig.settle();
    let messages = rig.distinct();
    assert_eq!(
        10_000,
        messages.iter().filter(|m| m.starts_with("second")).count(),
        "the younger one is read to its end"
    );
    let of_first = messages.iter().filter(|m| m.starts_with("first")).count() as u64;
    assert!(of_first < 200, "{of_first}");
    let (read, ledger) = rig.ledger();
    assert_eq!(read, ledger.finished());
    assert_eq!(10_000 + of_first, ledger.acknowledged);
    let lost = ledger.dropped[Reason::Deleted as usize];
    assert!(
        (8_000..14_000).contains(&lost) && ledger.bytes_lost > 100_000,
        "{lost} lines, {} bytes",
        ledger.bytes_lost
    );
}

#[test]
fn what_was_under_way_of_a_file_that_went_while_down_is_counted() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("a.log", numbered("a", 0..100));
    rig.settle();
    rig.kill();
    fs::remove_file(rig.path("a.log")).unwrap();
    rig.settle();
    let (read, ledger) = rig.ledger();
    assert_eq!(read, ledger.finished());
    assert!(ledger.dropped[Reason::Deleted as usize] > 0 && ledger.bytes_lost > 0);
}

#[test]
fn what_was_closed_unread_and_then_deleted_is_counted_and_forgotten() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.topic.0.borrow_mut().room = 100;
    rig.append("a.log", numbered("a", 0..1000));
    rig.settle();
    // As for another file's sake while a limit holds this one back.
    let engine = rig.engine.as_mut().unwrap();
    engine.read.clear();
    engine.slots.get_mut(0).unwrap().queued = crate::tracked::Queued::No;
    engine.slots.close(0);
    rig.acknowledge = true;
    rig.topic.0.borrow_mut().room = usize::MAX;
    let size = fs::metadata(rig.path("a.log")).unwrap().len();
    fs::remove_file(rig.path("a.log")).unwrap();
    for _ in 0..4 {
        rig.settle();
        rig.pass(Duration::from_secs(11));
    }
    let (read, ledger) = rig.ledger();
    assert_eq!(read, ledger.finished());
    assert_eq!(size - numbered("a", 0..100).len() as u64, ledger.bytes_lost);
    assert!(ledger.dropped[Reason::Deleted as usize] > 800, "{ledger:?}");
    assert_eq!(0, rig.engine.as_ref().unwrap().slots.len());
}
