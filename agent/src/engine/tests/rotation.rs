//! Renamed, truncated, deleted, copied: no line is missing, none is there twice.

use super::*;
use crate::ledger::Reason;

#[test]
fn a_renamed_file_is_read_to_its_end_before_its_successor() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("old", 0..10));
    rig.settle();
    rig.append("app.log", numbered("old", 10..20));
    rig.rename("app.log", "app.log.1");
    rig.append("app.log.1", numbered("old", 20..30));
    rig.append("app.log", numbered("new", 0..10));
    rig.settle();
    rig.append("app.log.1", numbered("late", 0..1));
    rig.settle();
    assert_eq!([names("old", 0..30), names("new", 0..10), names("late", 0..1)].concat(), rig.distinct());
    let key = rig.path("app.log").to_string_lossy().into_owned().into_bytes();
    assert!(rig.topic.0.borrow().sent.iter().all(|r| r.key.as_ref() == Some(&key)), "the key stays the first name");
}

#[test]
fn files_rotated_before_they_were_seen_are_read() {
    let mut rig = Rig::new();
    rig.append("app.log", "first\n");
    rig.settle();
    for n in 0..5 {
        for old in (1..=n + 1).rev() {
            if rig.path(&format!("app.log.{old}")).exists() {
                rig.rename(&format!("app.log.{old}"), &format!("app.log.{}", old + 1));
            }
        }
        rig.rename("app.log", "app.log.1");
        rig.append("app.log", numbered(&format!("r{n}"), 0..10));
    }
    rig.settle();
    let mut expected = vec!["first".to_owned()];
    (0..5).for_each(|n| expected.extend(names(&format!("r{n}"), 0..10)));
    assert_eq!(expected, rig.distinct());
}

#[test]
fn rotation_while_the_agent_is_down() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    rig.kill();
    rig.append("app.log", numbered("a", 10..20));
    rig.rename("app.log", "app.log.1");
    rig.append("app.log", numbered("b", 0..10));
    rig.rename("app.log.1", "app.log.2");
    rig.rename("app.log", "app.log.1");
    rig.append("app.log", numbered("c", 0..10));
    rig.append("app.log.9.gz", "not a log\n");
    rig.append("app.log.bak", "not a log\n");
    rig.settle();
    assert_eq!([names("a", 0..20), names("b", 0..10), names("c", 0..10)].concat(), rig.distinct());
}

#[test]
fn unfinished_generations_are_read_in_their_order_after_a_restart() {
    for known_before in 1..4 {
        let mut rig = Rig::new();
        rig.acknowledge = false;
        for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
            if n > 0 {
                if n > 1 {
                    rig.rename("app.log.1", "app.log.2");
                }
                rig.rename("app.log", "app.log.1");
            }
            // More than a block, so that they would take turns.
            rig.append("app.log", numbered(name, 0..100_000));
            if n < known_before {
                rig.steps(2);
            }
        }
        rig.kill();
        rig.topic.0.borrow_mut().sent.clear();
        rig.acknowledge = true;
        rig.settle();
        let expected = [names("a", 0..100_000), names("b", 0..100_000), names("c", 0..100_000)].concat();
        assert!(expected == rig.distinct(), "{known_before} generations were known");
    }
}

#[test]
fn a_rotated_file_that_still_matches_is_one_generation() {
    let mut rig = Rig::with(|c| c.inputs[0].include[0].push('*'));
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    rig.rename("app.log", "app.log.1");
    rig.append("app.log", numbered("b", 0..10));
    rig.settle();
    rig.kill();
    rig.rename("app.log.1", "app.log.2");
    rig.rename("app.log", "app.log.1");
    rig.append("app.log", numbered("c", 0..10));
    rig.settle();
    assert_eq!([names("a", 0..10), names("b", 0..10), names("c", 0..10)].concat(), rig.distinct());
}

#[test]
fn a_truncation_begins_a_new_generation() {
    let mut rig = Rig::new();
    rig.append("app.log", "same\nmore\n");
    rig.settle();
    for _ in 0..2 {
        fs::OpenOptions::new().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
        rig.settle();
        rig.append("app.log", "same\n");
        rig.settle();
    }
    assert_eq!(["same", "more", "same", "same"], *rig.distinct());
    rig.kill();
    rig.settle();
    assert_eq!(4, rig.distinct().len());
    assert_eq!(0, rig.ledger().1.dropped[Reason::Truncated as usize]);
}

#[test]
fn truncated_and_written_beyond_its_old_size() {
    let mut rig = Rig::new();
    rig.append("app.log", "0123456789\n");
    rig.settle();
    fs::write(rig.path("app.log"), "a new and longer beginning\nx\n").unwrap();
    rig.settle();
    rig.kill();
    fs::write(rig.path("app.log"), "another one, longer than all that was there before\n").unwrap();
    rig.settle();
    let expected =
        ["0123456789", "a new and longer beginning", "x", "another one, longer than all that was there before"];
    assert_eq!(expected, *rig.distinct());
}

#[test]
fn a_file_waits_for_the_one_that_was_renamed_before_a_truncated_one_was_gone() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    rig.rename("app.log", "app.log.1");
    rig.next_birth();
    rig.topic.0.borrow_mut().room = 10;
    rig.acknowledge = false;
    rig.append("app.log", numbered("b", 0..1000));
    rig.steps(10);
    fs::OpenOptions::new().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
    (rig.acknowledge, rig.topic.0.borrow_mut().room) = (true, usize::MAX);
    rig.settle();
    fs::remove_file(rig.path("app.log")).unwrap();
    rig.settle();
    rig.pass(Duration::from_secs(11));
    rig.settle();
    let before = rig.distinct().len();
    rig.next_birth();
    rig.append("app.log", numbered("c", 0..10));
    rig.catch_up();
    let now = rig.now;
    rig.engine.as_mut().unwrap().take_changes(now);
    // Between a listing and a look, by who has the renamed one open.
    rig.append("app.log.1", numbered("a", 10..20));
    rig.settle();
    assert_eq!([names("a", 10..20), names("c", 0..10)].concat(), rig.distinct()[before..]);
}

#[test]
fn what_a_truncation_took_is_estimated_in_the_ledger() {
    let mut rig = Rig::new();
    rig.topic.0.borrow_mut().room = 10;
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..1000));
    rig.steps(50);
    fs::OpenOptions::new().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
    rig.acknowledge = true;
    rig.topic.0.borrow_mut().room = usize::MAX;
    rig.settle_losses();
    let (read, ledger) = rig.ledger();
    assert!(ledger.bytes_lost > 1000, "{ledger:?}");
    assert_eq!(read, ledger.finished());
    assert!(ledger.dropped[Reason::Truncated as usize] > 0);
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut rig = Rig::new();
    rig.append("app.log", "a\n");
    rig.settle();
    rig.append("app.log", numbered("b", 0..5));
    fs::remove_file(rig.path("app.log")).unwrap();
    rig.settle();
    assert_eq!(6, rig.distinct().len());
    rig.pass(Duration::from_secs(60));
    rig.settle();
    rig.pass(Duration::from_secs(60));
    rig.settle();
    assert_eq!(0, rig.engine.as_ref().unwrap().slots.len(), "then it is forgotten");
    rig.append("app.log", "a\n");
    rig.settle();
    assert_eq!(7, rig.distinct().len(), "a new file of that name is another one");
}

#[test]
fn a_file_on_the_inode_of_a_deleted_one_is_read_from_its_beginning() {
    use std::os::unix::fs::MetadataExt;
    for down in [false, true] {
        let mut rig = Rig::new();
        rig.append("app.log", numbered("old", 0..100));
        rig.settle();
        let inode = fs::metadata(rig.path("app.log")).unwrap().ino();
        if down {
            rig.kill();
        } else {
            // Nobody holds the inode then.
            rig.engine
                .as_mut()
                .unwrap()
                .slots
                .iter()
                .map(|(slot, _)| slot)
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|slot| rig.engine.as_mut().unwrap().slots.close(slot));
        }
        fs::remove_file(rig.path("app.log")).unwrap();
        rig.next_birth();
        // Longer than what was read, and with the same beginning.
        let text = [numbered("old", 0..100), numbered("new", 0..50)].concat();
        let reused = (0..100).any(|n| {
            let name = if n == 0 { "app.log".to_owned() } else { format!("other-{n}") };
            fs::write(rig.path(&name), &text).unwrap();
            fs::metadata(rig.path(&name)).unwrap().ino() == inode
                && fs::rename(rig.path(&name), rig.path("app.log")).is_ok()
        });
        if !reused {
            eprintln!("this file system does not use inodes again at once");
        }
        rig.settle();
        let messages = rig.messages();
        assert_eq!(
            2,
            messages.iter().filter(|m| *m == "old-99").count(),
            "two files with equal beginnings, down: {down}"
        );
        assert_eq!(names("new", 0..50), messages[messages.len() - 50..]);
    }
}

#[test]
fn renamed_where_an_open_descriptor_goes_by_the_name() {
    // Seen by a scan first, or by a look.
    for scanned in [true, false] {
        for lines in [10, 1000] {
            let mut rig = Rig::new();
            rig.append("app.log", numbered("a", 0..500));
            rig.settle();
            rig.engine.as_mut().unwrap().watcher = Watcher::new().unwrap();
            rig.rename("app.log", "app.log.1");
            rig.append("app.log", numbered("b", 0..lines));
            rig.append("app.log.1", numbered("a", 500..510));
            let engine = rig.engine.as_mut().unwrap();
            let slot = engine.slots.by_name(&rig.dir.path().join("logs/app.log")).unwrap();
            let other = fs::File::open(rig.dir.path().join("logs/app.log")).unwrap();
            engine.slots.get_mut(slot).unwrap().file = Some(crate::source::Source::Plain(other));
            if scanned {
                rig.pass(Duration::from_secs(10));
            } else {
                engine.wake(slot);
            }
            rig.settle();
            rig.append("app.log.1", numbered("a", 510..520));
            rig.pass(Duration::from_secs(10));
            rig.settle();
            let expected = [names("a", 0..510), names("b", 0..lines), names("a", 510..520)].concat();
            assert!(
                expected == rig.messages(),
                "scanned: {scanned}, {lines} lines: {} of {}",
                rig.messages().len(),
                expected.len()
            );
            let (read, ledger) = rig.ledger();
            assert_eq!((read, expected.len() as u64), (ledger.finished(), ledger.acknowledged), "the ledger adds up");
        }
    }
}
