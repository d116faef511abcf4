//! Copies go on where their original stood, under its ids; files that only look alike stay apart.

use super::*;
use crate::ledger::Reason;

fn rig() -> Rig {
    Rig::with(|c| c.inputs[0].include[0].push('*'))
}

fn copy(rig: &Rig, from: &str, to: &str) {
    fs::copy(rig.path(from), rig.path(to)).unwrap();
}

fn truncate(rig: &Rig, name: &str) {
    fs::OpenOptions::new().write(true).open(rig.path(name)).unwrap().set_len(0).unwrap();
}

#[test]
fn copied_and_truncated_while_running() {
    let mut rig = rig();
    for round in 0..3 {
        rig.append("app.log", numbered(&format!("a{round}"), 0..100));
        rig.settle();
        // These are in the copy only.
        rig.append("app.log", numbered(&format!("b{round}"), 0..10));
        for old in (1..=round).rev() {
            rig.rename(&format!("app.log.{old}"), &format!("app.log.{}", old + 1));
        }
        copy(&rig, "app.log", "app.log.1");
        truncate(&rig, "app.log");
        rig.settle();
    }
    let expected: Vec<String> =
        (0..3).flat_map(|r| [names(&format!("a{r}"), 0..100), names(&format!("b{r}"), 0..10)].concat()).collect();
    assert_eq!(expected, rig.messages(), "each once");
    let key = rig.path("app.log").to_string_lossy().into_owned().into_bytes();
    assert!(rig.topic.0.borrow().sent.iter().all(|r| r.key.as_ref() == Some(&key)));
    rig.kill();
    rig.settle();
    assert_eq!(330, rig.messages().len(), "nothing again after a restart");
    let (read, ledger) = rig.ledger();
    assert_eq!(read, ledger.finished());
}

#[test]
fn copied_and_truncated_while_down() {
    for name in ["app.log.1", "app-20260501.log"] {
        let mut rig = rig();
        rig.append("app.log", numbered("a", 0..500));
        rig.settle();
        rig.kill();
        rig.append("app.log", numbered("b", 0..10));
        copy(&rig, "app.log", name);
        truncate(&rig, "app.log");
        rig.append("app.log", numbered("c", 0..10));
        rig.settle();
        let mut messages = rig.messages();
        messages[500..].sort();
        assert_eq!([names("a", 0..500), names("b", 0..10), names("c", 0..10)].concat(), messages);
        assert_eq!(0, rig.ledger().1.dropped[Reason::Truncated as usize]);
    }
}

#[test]
fn lines_in_flight_have_the_same_ids_in_the_copy() {
    let mut rig = rig();
    rig.append("app.log", numbered("a", 0..100));
    rig.settle();
    rig.acknowledge = false;
    rig.append("app.log", numbered("b", 0..10));
    rig.append("app.log", "half");
    rig.settle();
    rig.pass(Duration::from_secs(6));
    rig.settle();
    copy(&rig, "app.log", "app.log.1");
    rig.settle();
    truncate(&rig, "app.log");
    rig.settle();
    assert_eq!(100 + 2 * 11, rig.messages().len());
    let expected = [names("a", 0..100), names("b", 0..10), vec!["half".to_owned()]].concat();
    assert_eq!(expected, rig.distinct(), "times, ends and ids are the original's");
    rig.acknowledge = true;
    rig.topic.report_all(Outcome::Failed);
    rig.settle();
    rig.pass(Duration::from_secs(60));
    rig.settle();
    assert_eq!(expected, rig.distinct());
    let (read, ledger) = rig.ledger();
    assert_eq!(read, ledger.finished());
}

#[test]
fn what_was_not_read_before_the_truncation_is_read_from_the_copy() {
    let mut rig = rig();
    rig.append("app.log", numbered("a", 0..100));
    rig.settle();
    rig.acknowledge = false;
    rig.topic.0.borrow_mut().room = 10;
    rig.append("app.log", numbered("a", 100..1000));
    rig.steps(50);
    copy(&rig, "app.log", "app.log.1");
    truncate(&rig, "app.log");
    rig.append("app.log", numbered("b", 0..10));
    rig.steps(50);
    rig.topic.0.borrow_mut().room = usize::MAX;
    rig.acknowledge = true;
    rig.settle();
    let mut distinct = rig.distinct();
    let last = distinct.split_off(1000);
    assert_eq!((names("a", 0..1000), names("b", 0..10)), (distinct, last));
    let (read, ledger) = rig.ledger();
    assert_eq!((read, 0), (ledger.finished(), ledger.bytes_lost));
}

#[test]
fn a_line_that_ends_in_the_copy_is_not_lost() {
    let mut rig = rig();
    rig.append("app.log", numbered("a", 0..100));
    rig.append("app.log", "half");
    rig.settle();
    rig.append("app.log", " and half\n");
    copy(&rig, "app.log", "app.log.1");
    truncate(&rig, "app.log");
    rig.settle();
    assert_eq!([names("a", 0..100), vec!["half and half".to_owned()]].concat(), rig.messages());
    assert_eq!(0, rig.ledger().1.bytes_lost);
}

#[test]
fn a_copy_that_is_still_written_is_waited_for() {
    let mut rig = rig();
    let text = numbered("a", 0..1000);
    rig.append("app.log", &text);
    rig.settle();
    for part in text.as_bytes().chunks(2000) {
        rig.append("app.log.1", part);
        rig.steps(5);
    }
    rig.append("app.log.1", "more\n");
    rig.settle();
    assert_eq!([names("a", 0..1000), vec!["more".to_owned()]].concat(), rig.messages());
}

#[test]
fn what_ends_before_its_original_was_acknowledged_is_a_file_of_its_own() {
    let mut rig = rig();
    rig.append("app.log", numbered("a", 0..1000));
    rig.settle();
    rig.append("app.log.1", numbered("a", 0..500));
    rig.settle();
    rig.pass(Duration::from_secs(2));
    rig.settle();
    assert_eq!(1500, rig.messages().len());
}

#[test]
fn files_with_equal_banners_stay_apart() {
    let banner = numbered("banner", 0..150);
    let lines = |name: &str, count| format!("{banner}{}", numbered(name, 0..count));
    // Of another name: not even when all of it is equal.
    for (other, count) in [("app.log.1", 300), ("app-2.log", 300), ("other.log", 0), ("app", 0), ("app-error.log", 0)] {
        for down in [false, true] {
            let mut rig = rig();
            rig.config.inputs[0].include.push(format!("{}/logs/app", rig.dir.path().display()));
            rig.append("app.log", lines("a", if count == 0 { 0 } else { 200 }));
            rig.settle();
            if down {
                rig.kill();
            }
            rig.append(other, lines("b", count));
            rig.settle();
            let expected = if count == 0 { 300 } else { 300 + 200 + count };
            assert_eq!(expected, rig.messages().len(), "{other}, down: {down}");
        }
    }
    // One instance's short file beside another's.
    let mut rig = rig();
    rig.append("app.log", numbered("banner", 0..50));
    rig.append("app-2.log", numbered("banner", 0..50));
    rig.settle();
    rig.append("app-3.log", numbered("banner", 0..50));
    rig.settle();
    assert_eq!(150, rig.messages().len());
}

#[test]
fn the_successor_of_a_renamed_file_is_no_copy() {
    let mut rig = rig();
    rig.append("app.log", numbered("banner", 0..100));
    rig.settle();
    rig.rename("app.log", "app.log.2");
    // It came and was renamed before anybody saw it.
    rig.append("app.log.1", numbered("banner", 0..100));
    rig.settle();
    rig.append("app.log", numbered("banner", 0..100));
    rig.settle();
    assert_eq!(300, rig.messages().len());
}
