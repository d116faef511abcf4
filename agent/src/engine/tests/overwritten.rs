//! Files that are truncated and filled beyond what was known of them while some of that is still to be read: the new content is
//! whole, nothing of it is taken for the old, and what is gone is in the ledger.

use logmill_config::agent::{Limit, LimitPer, OnExceed};

use super::*;
use crate::ledger::Reason;

/// Long enough to say something, and every line of the same length: a line of the new content begins where one of the old did.
fn lines(prefix: &str, range: std::ops::Range<usize>) -> String {
    range.map(|n| format!("{prefix}-{n:0>6} {:-<80}\n", "")).collect()
}

fn line_names(prefix: &str, range: std::ops::Range<usize>) -> Vec<String> {
    lines(prefix, range).lines().map(str::to_owned).collect()
}

const LINE: u64 = 92;

/// Asserts that some of `old` arrived from its beginning on and then all of `new`, and that the rest of `old` is in the ledger; of an agent
/// that was killed as far as it can know.
fn assert_replaced(rig: &mut Rig, (old, new): (usize, usize), killed: bool, case: &str) {
    rig.settle_losses();
    let mut distinct = rig.distinct();
    let begun = distinct.iter().take_while(|line| line.starts_with("old")).count();
    let after = distinct.split_off(begun);
    assert!(line_names("new", 0..new) == after, "{case}: {:?} after {begun} old lines", after.first());
    assert!(line_names("old", 0..begun) == distinct, "{case}");
    let (read, ledger) = rig.ledger();
    assert_eq!(read, ledger.finished(), "{case}: the ledger adds up");
    let lost = (old - begun) as u64;
    let (told, bytes) = (ledger.dropped[Reason::Truncated as usize], ledger.bytes_lost);
    // Of lines that nobody has seen since the start the length is not known.
    let least = if killed || begun == 0 { lost * LINE / 200 } else { lost };
    assert!(told >= least && told <= lost + 1 + lost / 50, "{case}: {lost} lines are lost, the ledger has {told}");
    assert!(
        bytes >= lost * LINE && bytes <= (lost + 20) * LINE,
        "{case}: {lost} lines are lost, the ledger has {bytes} bytes"
    );
}

/// Truncates the file and fills it again, so that no look comes between.
fn write_over(rig: &Rig, new: usize) {
    fs::write(rig.path("app.log"), lines("new", 0..new)).unwrap();
}

/// Sizes of the old content and the new: within a block, beyond it, beyond many.
const SIZES: [(usize, usize); 4] = [(1000, 2000), (1000, 1000), (2000, 20_000), (20_000, 30_000)];

#[test]
fn while_the_queue_is_full() {
    for (old, new) in SIZES {
        for steps in [0, 1, 2, 5, 50] {
            let mut rig = Rig::new();
            rig.acknowledge = false;
            rig.topic.0.borrow_mut().room = 10;
            rig.append("app.log", lines("old", 0..old));
            rig.steps(50);
            write_over(&rig, new);
            rig.steps(steps);
            rig.acknowledge = true;
            rig.topic.0.borrow_mut().room = usize::MAX;
            rig.settle();
            assert_replaced(&mut rig, (old, new), false, &format!("{old} lines, then {new} after {steps} steps"));
        }
    }
}

#[test]
fn while_what_was_read_waits_to_be_read_again() {
    for (old, new) in SIZES {
        for renew in [false, true] {
            let mut rig = Rig::new();
            rig.append("app.log", lines("old", 0..old / 2));
            rig.settle();
            rig.acknowledge = false;
            rig.append("app.log", lines("old", old / 2..old));
            rig.settle();
            // Arrived or not, what is sent again under other ids would be seen.
            rig.topic.0.borrow_mut().sent.truncate(old / 2);
            if renew {
                rig.topic.0.borrow_mut().broken = true;
            } else {
                rig.topic.report_all(Outcome::Failed);
            }
            rig.steps(2);
            write_over(&rig, new);
            rig.acknowledge = true;
            rig.settle();
            rig.pass(Duration::from_secs(60));
            rig.settle();
            assert_replaced(&mut rig, (old, new), false, &format!("{old} lines, then {new}, producer broken: {renew}"));
        }
    }
}

#[test]
fn while_a_limit_holds_it_back() {
    for (old, new) in SIZES {
        let limit = Limit {
            per: LimitPer::File,
            lines_per_second: Some(100),
            bytes_per_second: None,
            burst: Some(100),
            on_exceed: OnExceed::Delay,
        };
        let mut rig = Rig::with(|c| c.inputs[0].limits = vec![limit]);
        rig.append("app.log", lines("old", 0..old));
        rig.steps(20);
        write_over(&rig, new);
        rig.steps(20);
        rig.config.inputs[0].limits.clear();
        rig.relimit();
        rig.pass(Duration::from_secs(60));
        rig.settle();
        assert_replaced(&mut rig, (old, new), false, &format!("{old} lines, then {new}"));
    }
}

#[test]
fn while_the_agent_is_down() {
    for (old, new) in SIZES {
        for acknowledged in [0, old / 2] {
            let mut rig = Rig::new();
            rig.append("app.log", lines("old", 0..acknowledged));
            rig.settle();
            rig.acknowledge = false;
            rig.append("app.log", lines("old", acknowledged..old));
            rig.steps(50);
            rig.kill();
            rig.topic.0.borrow_mut().sent.truncate(acknowledged);
            write_over(&rig, new);
            rig.acknowledge = true;
            rig.settle();
            assert_replaced(
                &mut rig,
                (old, new),
                true,
                &format!("{old} lines, {acknowledged} acknowledged, then {new}"),
            );
        }
    }
}

#[test]
fn between_a_look_and_its_read() {
    for (old, new) in SIZES {
        let mut rig = Rig::new();
        rig.append("app.log", lines("old", 0..old));
        rig.start();
        let engine = rig.engine.as_mut().unwrap();
        engine.look_at(0, rig.now);
        assert_eq!(1, engine.read.len());
        write_over(&rig, new);
        rig.settle();
        assert_replaced(&mut rig, (old, new), false, &format!("{old} lines, then {new}"));
    }
}

/// An agent that goes slowly through `app.log.1` and knows of `app.log`, which has `old` lines and waits.
fn waiting(old: usize) -> Rig {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.topic.0.borrow_mut().room = 10;
    rig.append("app.log", numbered("first", 0..1000));
    rig.steps(50);
    rig.rename("app.log", "app.log.1");
    rig.next_birth();
    rig.append("app.log", lines("old", 0..old));
    rig.steps(50);
    rig
}

fn go_on(rig: &mut Rig) -> Vec<String> {
    rig.acknowledge = true;
    rig.topic.0.borrow_mut().room = usize::MAX;
    rig.settle();
    let mut distinct = rig.distinct();
    let rest = distinct.split_off(1000);
    assert!(names("first", 0..1000) == distinct);
    rest
}

#[test]
fn while_it_waits_for_the_file_before_it() {
    for (old, new) in [(1000, 10), (1000, 1000), (1000, 2000)] {
        let mut rig = waiting(old);
        write_over(&rig, new);
        rig.steps(50);
        assert_eq!(line_names("new", 0..new), go_on(&mut rig), "{old} lines, then {new}");
        rig.settle_losses();
        let (read, ledger) = rig.ledger();
        assert_eq!((read, old as u64 * LINE), (ledger.finished(), ledger.bytes_lost));
    }
}

#[test]
fn copies_of_what_waited_are_read_in_its_place() {
    for kill in [false, true] {
        let mut rig = waiting(300);
        for round in 0..3 {
            if round > 0 {
                rig.append("app.log", lines(&format!("new{round}"), 0..300));
                rig.steps(50);
            }
            for number in (1..=round + 1).rev() {
                rig.rename(&format!("app.log.{number}"), &format!("app.log.{}", number + 1));
            }
            rig.next_birth();
            fs::copy(rig.path("app.log"), rig.path("app.log.1")).unwrap();
            if kill {
                rig.kill();
                rig.topic.0.borrow_mut().sent.clear();
            }
            fs::File::options().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
            rig.steps(50);
        }
        let expected = [line_names("old", 0..300), line_names("new1", 0..300), line_names("new2", 0..300)].concat();
        assert_eq!(expected, go_on(&mut rig), "killed: {kill}");
        let (read, ledger) = rig.ledger();
        assert_eq!(read, ledger.finished());
        assert_eq!(0, ledger.bytes_lost);
    }
}

#[test]
fn what_is_shorter_than_its_known_beginning_was_truncated_while_down() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("app.log", numbered("first", 0..1000));
    rig.steps(50);
    rig.rename("app.log", "app.log.1");
    rig.next_birth();
    rig.append("app.log", lines("old", 0..2));
    rig.steps(50);
    let again = |rig: &mut Rig| {
        rig.kill();
        rig.topic.0.borrow_mut().sent.clear();
    };
    again(&mut rig);
    // What was read is to be read again, later than what is before it; meanwhile it grows.
    rig.topic.0.borrow_mut().room = 10;
    rig.steps(50);
    rig.append("app.log", lines("old", 2..12));
    rig.steps(50);
    again(&mut rig);
    rig.next_birth();
    rig.rename("app.log.1", "app.log.2");
    fs::copy(rig.path("app.log"), rig.path("app.log.1")).unwrap();
    write_over(&rig, 3);
    assert_eq!([line_names("old", 0..12), line_names("new", 0..3)].concat(), go_on(&mut rig));
}

#[test]
fn an_empty_file_is_known_to_be_truncated_after_a_kill() {
    let mut rig = Rig::new();
    rig.append("app.log", "same\nmore\n");
    rig.settle();
    for round in 1..3 {
        fs::File::options().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
        rig.settle();
        rig.pass(Duration::from_secs(60));
        rig.settle();
        rig.kill();
        rig.settle();
        rig.append("app.log", "same\n");
        rig.settle();
        assert_eq!(2 + round, rig.distinct().len(), "{:?}", rig.distinct());
        assert_eq!(1, rig.engine.as_ref().unwrap().slots.len());
        assert_eq!((2 + round as u64, 0), (rig.ledger().0, rig.ledger().1.bytes_lost));
    }
}

#[test]
fn what_waits_for_files_truncated_one_after_the_other_still_waits() {
    let mut rig = waiting(100);
    rig.rename("app.log", "app.log.2");
    rig.next_birth();
    rig.append("app.log", lines("next", 0..100));
    rig.steps(50);
    // The younger one is looked at first.
    fs::write(rig.path("app.log"), lines("new", 0..50)).unwrap();
    fs::write(rig.path("app.log.2"), lines("mid", 0..50)).unwrap();
    rig.steps(10);
    assert_eq!([line_names("mid", 0..50), line_names("new", 0..50)].concat(), go_on(&mut rig));
}

#[test]
fn what_is_truncated_while_it_waits_still_waits_after_a_kill() {
    for steps in [1, 2, 3, 50] {
        let mut rig = Rig::new();
        rig.acknowledge = false;
        rig.topic.0.borrow_mut().room = 10;
        // More than a block.
        rig.append("app.log", lines("first", 0..20_000));
        rig.steps(50);
        rig.rename("app.log", "app.log.1");
        rig.next_birth();
        rig.append("app.log", lines("old", 0..100));
        rig.steps(50);
        write_over(&rig, 10);
        rig.steps(steps);
        rig.kill();
        rig.acknowledge = true;
        rig.topic.0.borrow_mut().room = usize::MAX;
        rig.settle();
        let expected = [line_names("first", 0..20_000), line_names("new", 0..10)].concat();
        assert!(expected == rig.distinct(), "killed after {steps} steps");
        let (read, ledger) = rig.ledger();
        assert_eq!(read, ledger.finished());
    }
}
