//! Copies go on where their original stood, under its ids; files that only look alike stay apart.

use super::*;
use crate::ledger::Reason;

fn rig() -> Rig {
    rigs(true)
}

/// Globs that match the copies, or not.
fn rigs(matching: bool) -> Rig {
    Rig::with(|c| c.inputs[0].include[0].push_str(if matching { "*" } else { "" }))
}

fn copy(rig: &Rig, from: &str, to: &str) {
    fs::copy(rig.path(from), rig.path(to)).unwrap();
}

fn truncate(rig: &Rig, name: &str) {
    fs::OpenOptions::new().write(true).open(rig.path(name)).unwrap().set_len(0).unwrap();
}

#[test]
fn copied_and_truncated_while_running() {
    for matching in [true, false] {
        let mut rig = rigs(matching);
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
}

#[test]
fn copied_over_the_same_copy_again_and_again() {
    for (matching, killed, looks) in [0, 1, 3, 80].iter().flat_map(|n| (0..4).map(|m| (m % 2 == 0, m / 2 == 0, *n))) {
        let case = format!("matching: {matching}, killed: {killed}, {looks} steps before the truncation");
        let mut rig = rigs(matching);
        let mut expected = Vec::new();
        // Longer, shorter and as long as before.
        for (round, lines) in [100, 300, 60, 60, 200].into_iter().enumerate() {
            if round == 3 {
                // The copy is older than what is copied over it.
                fs::remove_file(rig.path("app.log")).unwrap();
                rig.next_birth();
            }
            rig.append("app.log", numbered(&format!("a{round}"), 0..lines));
            rig.settle();
            if killed {
                rig.kill();
            }
            rig.append("app.log", numbered(&format!("b{round}"), 0..10));
            copy(&rig, "app.log", "app.log.1");
            rig.steps(looks);
            truncate(&rig, "app.log");
            rig.append("app.log", numbered(&format!("c{round}"), 0..10));
            rig.settle();
            for (name, lines) in [("a", lines), ("b", 10), ("c", 10)] {
                expected.extend(names(&format!("{name}{round}"), 0..lines));
            }
        }
        assert!(expected == rig.distinct(), "{case}");
        rig.kill();
        rig.settle_losses();
        assert_eq!(expected.len(), rig.distinct().len(), "{case}: nothing again after a restart");
        let (read, ledger) = rig.ledger();
        assert_eq!((read, 0), (ledger.finished(), ledger.dropped[Reason::Truncated as usize]), "{case}");
    }
}

#[test]
fn copied_and_truncated_while_down() {
    for (name, matching) in
        [("app.log.1", true), ("app-20260501.log", true), ("app.log.1", false), ("app.log-20260501", false)]
    {
        let mut rig = rigs(matching);
        rig.append("app.log", numbered("a", 0..500));
        rig.settle();
        rig.kill();
        rig.append("app.log", numbered("b", 0..10));
        copy(&rig, "app.log", name);
        truncate(&rig, "app.log");
        rig.append("app.log", numbered("c", 0..10));
        rig.settle();
        let expected = [names("a", 0..500), names("b", 0..10), names("c", 0..10)].concat();
        assert_eq!(expected, rig.messages(), "{name}, in their order");
        assert_eq!(0, rig.ledger().1.dropped[Reason::Truncated as usize]);
        rig.kill();
        rig.settle();
        assert_eq!(520, rig.messages().len(), "{name}: nothing again after a restart");
    }
}

#[test]
fn copied_and_truncated_while_down_beside_an_earlier_copy() {
    for (matching, steps) in [(true, 1), (true, 80), (false, 1), (false, 80)] {
        let mut rig = rigs(matching);
        rig.append("app.log", numbered("a", 0..500));
        rig.settle();
        copy(&rig, "app.log", "app.log.1");
        truncate(&rig, "app.log");
        rig.settle();
        rig.append("app.log", numbered("b", 0..500));
        rig.steps(steps);
        rig.kill();
        rig.append("app.log", numbered("c", 0..10));
        rig.rename("app.log.1", "app.log.2");
        copy(&rig, "app.log", "app.log.1");
        truncate(&rig, "app.log");
        rig.append("app.log", numbered("d", 0..10));
        rig.settle();
        let expected = [names("a", 0..500), names("b", 0..500), names("c", 0..10), names("d", 0..10)].concat();
        assert!(expected == rig.distinct(), "{steps} steps, matching: {matching}, in their order");
    }
}

#[test]
fn chains_copied_in_place() {
    for (matching, killed, looks) in [0, 1, 3, 80].iter().flat_map(|n| (0..4).map(|m| (m % 2 == 0, m / 2 == 0, *n))) {
        let case = format!("matching: {matching}, killed: {killed}, {looks} steps between any two copies");
        let mut rig = rigs(matching);
        let mut expected = Vec::new();
        // Longer, shorter and as long as before.
        for (round, lines) in [100, 300, 60, 60, 200].into_iter().enumerate() {
            rig.append("app.log", numbered(&format!("a{round}"), 0..lines));
            rig.settle();
            if killed {
                rig.kill();
            }
            rig.append("app.log", numbered(&format!("b{round}"), 0..10));
            for old in (1..=round.min(2)).rev() {
                copy(&rig, &format!("app.log.{old}"), &format!("app.log.{}", old + 1));
                rig.steps(looks);
            }
            copy(&rig, "app.log", "app.log.1");
            rig.steps(looks);
            truncate(&rig, "app.log");
            rig.append("app.log", numbered(&format!("c{round}"), 0..10));
            rig.settle();
            for (name, lines) in [("a", lines), ("b", 10), ("c", 10)] {
                expected.extend(names(&format!("{name}{round}"), 0..lines));
            }
        }
        rig.kill();
        rig.settle_losses();
        let mut first = std::collections::HashSet::new();
        let seen: Vec<String> = rig.messages().into_iter().filter(|message| first.insert(message.clone())).collect();
        assert!(expected == seen, "{case}, in their order");
        let ids: std::collections::HashSet<_> = rig.topic.0.borrow().sent.iter().map(|record| record.id).collect();
        // A copy of a copy is a file of its own where a glob matches it.
        assert!(matching || ids.len() == expected.len(), "{case}: {} ids", ids.len());
        assert_eq!(0, rig.ledger().1.dropped[Reason::Truncated as usize], "{case}");
    }
}

#[test]
fn a_copy_is_read_before_what_followed_it_through_kills() {
    for matching in [true, false] {
        for steps in [0, 1, 2, 4, 7] {
            let mut rig = rigs(matching);
            rig.append("app.log", numbered("a", 0..500));
            rig.settle();
            rig.kill();
            // More than a block, so that they would take turns.
            rig.append("app.log", numbered("b", 0..40_000));
            copy(&rig, "app.log", "app.log.1");
            truncate(&rig, "app.log");
            rig.append("app.log", numbered("c", 0..40_000));
            rig.acknowledge = false;
            rig.steps(steps);
            rig.kill();
            rig.topic.0.borrow_mut().sent.retain(|r| r.value.windows(3).any(|w| w == b"\"a-"));
            rig.acknowledge = true;
            rig.settle();
            let expected = [names("a", 0..500), names("b", 0..40_000), names("c", 0..40_000)].concat();
            assert!(expected == rig.messages(), "{steps} steps, matching: {matching}");
        }
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

/// Appends lines that go out slowly, copies and truncates the file meanwhile, and lets everything through.
fn truncated_before_it_was_read(rig: &mut Rig, lines: std::ops::Range<usize>) {
    rig.acknowledge = false;
    rig.topic.0.borrow_mut().room = 10;
    rig.append("app.log", numbered("a", lines));
    rig.steps(50);
    copy(rig, "app.log", "app.log.1");
    truncate(rig, "app.log");
    rig.append("app.log", numbered("b", 0..10));
    rig.steps(50);
    rig.topic.0.borrow_mut().room = usize::MAX;
    rig.acknowledge = true;
    rig.settle();
}

#[test]
fn what_was_not_read_before_the_truncation_is_read_from_the_copy() {
    let mut rig = rig();
    rig.append("app.log", numbered("a", 0..100));
    rig.settle();
    truncated_before_it_was_read(&mut rig, 100..1000);
    let mut distinct = rig.distinct();
    let last = distinct.split_off(1000);
    assert_eq!((names("a", 0..1000), names("b", 0..10)), (distinct, last));
    let (read, ledger) = rig.ledger();
    assert_eq!((read, 0), (ledger.finished(), ledger.bytes_lost));
}

#[test]
fn what_was_never_acknowledged_is_read_from_a_copy_that_no_glob_matches() {
    let mut rig = rigs(false);
    truncated_before_it_was_read(&mut rig, 0..1000);
    assert_eq!([names("a", 0..1000), names("b", 0..10)].concat(), rig.distinct());
    assert_eq!(0, rig.ledger().1.bytes_lost);
}

#[test]
fn a_copy_beside_a_truncated_file_with_lines_in_flight_is_not_taken_for_a_renamed_one() {
    let mut rig = rigs(false);
    rig.append("app.log", numbered("a", 0..1000));
    rig.acknowledge = false;
    rig.settle();
    copy(&rig, "app.log", "app.log.1");
    truncate(&rig, "app.log");
    // Of what was appended between copy and truncation, the copy has nothing.
    fs::write(rig.path("app.log.1"), numbered("a", 0..900)).unwrap();
    rig.settle();
    rig.pass(Duration::from_secs(60));
    rig.settle();
    rig.topic.report_all(Outcome::Acknowledged);
    rig.acknowledge = true;
    rig.settle();
    assert_eq!(names("a", 0..1000), rig.distinct());
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
