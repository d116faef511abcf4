//! After a kill: what was not acknowledged is read again, with the same ids, times and boundaries.

use logmill_config::agent::OnLongLine;

use super::*;

#[test]
fn unacknowledged_lines_are_sent_again_just_as_before() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..100));
    rig.settle();
    // All but the eleventh arrive.
    (0..99).for_each(|n| rig.topic.report(if n < 10 { 0 } else { 1 }, Outcome::Acknowledged));
    rig.steps(50);
    rig.kill();
    rig.pass(Duration::from_secs(100));
    rig.settle();
    assert_eq!(100 + 90, rig.messages().len(), "from the eleventh on");
    assert_eq!(names("a", 0..100), rig.distinct());
    assert_eq!((100, 10), (rig.ledger().0, rig.ledger().1.acknowledged));
}

#[test]
fn what_was_acknowledged_and_written_is_not_sent_again() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("a", 0..100));
    rig.settle();
    rig.kill();
    rig.append("app.log", numbered("a", 100..110));
    rig.settle();
    assert_eq!(names("a", 0..110), rig.messages());
    assert_eq!((110, 110), (rig.ledger().0, rig.ledger().1.acknowledged));
}

#[test]
fn boundaries_by_time_survive() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("app.log", "one\ntwo");
    rig.settle();
    rig.pass(Duration::from_secs(6));
    rig.settle();
    assert_eq!(["one", "two"], *rig.messages());
    rig.append("app.log", " more\nthree\n");
    rig.settle();
    rig.kill();
    rig.pass(Duration::from_secs(6));
    rig.settle();
    assert_eq!(["one", "two", " more", "three"], *rig.distinct());
    // Also when just the first part was acknowledged.
    rig.topic.report(0, Outcome::Acknowledged);
    rig.topic.report(0, Outcome::Acknowledged);
    rig.steps(50);
    rig.kill();
    rig.settle();
    assert_eq!(["one", "two", " more", "three"], *rig.distinct());
}

#[test]
fn the_newline_after_a_boundary_stays_nothing_after_a_restart() {
    let mut rig = Rig::new();
    rig.append("app.log", "one");
    rig.settle();
    rig.pass(Duration::from_secs(6));
    rig.settle();
    rig.kill();
    rig.append("app.log", "\ntwo\n");
    rig.settle();
    assert_eq!(["one", "two"], *rig.messages());
    assert_eq!(2, rig.ledger().0);
}

#[test]
fn pieces_of_a_split_line_are_the_same_again() {
    let mut rig = Rig::with(|c| {
        c.inputs[0].max_line_bytes = 10;
        c.inputs[0].on_long_line = OnLongLine::Split;
    });
    rig.acknowledge = false;
    rig.append("app.log", "0123456789abcdefghijXYZ\nnext\n");
    rig.settle();
    for _ in 0..4 {
        rig.topic.report(0, Outcome::Acknowledged);
        rig.steps(50);
        rig.kill();
        rig.settle();
    }
    assert_eq!(["0123456789", "abcdefghij", "XYZ", "next"], *rig.distinct());
}

#[test]
fn a_lost_checkpoint_means_the_same_ids() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("a", 0..50));
    rig.settle();
    let first: Vec<_> = rig.topic.0.borrow().sent.iter().map(|r| r.id).collect();
    rig.kill();
    fs::remove_dir_all(&rig.config.state_dir).unwrap();
    fs::create_dir(&rig.config.state_dir).unwrap();
    rig.settle();
    let second: Vec<_> = rig.topic.0.borrow().sent[50..].iter().map(|r| r.id).collect();
    assert_eq!(first, second);
}

#[test]
fn a_damaged_checkpoint_loses_no_line() {
    let mut rig = Rig::with(|c| c.inputs[0].read_from = logmill_config::agent::ReadFrom::End);
    rig.append("app.log", "before\n");
    rig.settle();
    rig.append("app.log", numbered("a", 0..50));
    rig.acknowledge = false;
    rig.settle();
    rig.kill();
    let log = rig.config.state_dir.join("checkpoint.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes.iter_mut().for_each(|b| *b ^= 0x55);
    fs::write(&log, bytes).unwrap();
    rig.settle();
    let messages = rig.messages();
    assert!(names("a", 0..50).iter().all(|m| messages.iter().filter(|n| *n == m).count() == 2));
}

#[test]
fn read_from_the_end_at_the_first_start_only() {
    let mut rig = Rig::with(|c| c.inputs[0].read_from = logmill_config::agent::ReadFrom::End);
    rig.append("app.log", "before\n");
    rig.settle();
    rig.append("app.log", "after\n");
    rig.append("new.log", "new\n");
    rig.settle();
    rig.kill();
    rig.append("app.log", "while down\n");
    rig.append("came.log", "came\n");
    rig.settle();
    let mut messages = rig.distinct();
    messages.sort();
    assert_eq!(["after", "came", "new", "while down"], *messages);
}

/// Ids and times of all that was sent.
fn sent(rig: &Rig) -> Vec<(crate::line_id::LineId, String)> {
    let time = |r: &crate::produce::memory::Record| {
        serde_json::from_slice::<Value>(&r.value).unwrap()["@timestamp"].as_str().unwrap().to_owned()
    };
    rig.topic.0.borrow().sent.iter().map(|r| (r.id, time(r))).collect()
}

#[test]
fn a_kill_between_a_timers_flush_and_its_acknowledgement_across_midnight_changes_nothing() {
    let mut rig = Rig::new();
    // Three seconds before midnight, UTC.
    rig.now.unix_ms = 1_700_006_400_000 - 3_000;
    rig.acknowledge = false;
    rig.append("app.log", "one\nhalf");
    rig.settle();
    rig.pass(Duration::from_secs(6));
    rig.settle();
    let before = sent(&rig);
    assert_eq!(["one", "half"], *rig.messages());
    assert!(before.iter().all(|(_, time)| time.starts_with("2023-11-14T23:59:5")), "{before:?}");
    for _ in 0..3 {
        rig.kill();
        rig.pass(Duration::from_secs(3600));
        rig.append("app.log", " of it\n");
        rig.settle();
        rig.pass(Duration::from_secs(6));
        rig.settle();
    }
    let after = sent(&rig);
    assert!(before.iter().all(|known| after.iter().filter(|again| *again == known).count() == 4), "{after:?}");
    assert_eq!(["one", "half", " of it", " of it", " of it"], *rig.distinct());
    let today = |(_, time): &&(_, String)| time.starts_with("2023-11-15T");
    assert!(after.iter().filter(today).count() >= 3);
}

#[test]
fn a_clock_that_jumps_loses_nothing_and_doubles_nothing() {
    const YEAR: i64 = 366 * 86_400_000;
    let mut rig = Rig::new();
    let mut expected = Vec::new();
    for (n, jump) in [0, YEAR, -2 * YEAR, -60 * YEAR, 70 * YEAR, 0].into_iter().enumerate() {
        rig.now.unix_ms += jump;
        rig.acknowledge = n % 2 == 0;
        rig.append("app.log", numbered(&format!("a{n}"), 0..10));
        rig.append(&format!("new-{n}.log"), numbered(&format!("n{n}"), 0..10));
        rig.append("app.log", "half");
        rig.settle();
        rig.pass(Duration::from_secs(6));
        rig.settle();
        rig.append("app.log", "\n");
        rig.settle();
        rig.kill();
        expected.extend([names(&format!("a{n}"), 0..10), vec!["half".into()], names(&format!("n{n}"), 0..10)].concat());
    }
    rig.acknowledge = true;
    rig.settle();
    let mut distinct = rig.distinct();
    distinct.sort();
    expected.sort();
    assert_eq!(expected, distinct);
    assert_eq!(rig.ledger().0, rig.ledger().1.acknowledged);
}

#[test]
fn a_file_that_is_forgotten_leaves_a_ledger_that_agrees_with_all_positions() {
    let mut rig = Rig::with(|c| c.inputs[0].include[0].push('*'));
    rig.append("b.log", numbered("b", 0..10));
    rig.settle();
    fs::remove_file(rig.path("b.log")).unwrap();
    rig.settle();
    rig.engine.as_mut().unwrap().next_checkpoint += Duration::from_secs(60);
    rig.append("a.log", numbered("a", 0..1000));
    rig.steps(10);
    rig.pass(Duration::from_secs(11));
    rig.steps(2);
    assert_eq!(1, rig.engine.as_ref().unwrap().slots.len(), "one is forgotten");
    rig.kill();
    // What is known of the other is enough to know its copy.
    fs::copy(rig.path("a.log"), rig.path("a.log.1")).unwrap();
    fs::write(rig.path("a.log"), "").unwrap();
    rig.settle();
    let (read, ledger) = rig.ledger();
    assert_eq!((1010, 1010, 1010), (rig.distinct().len(), read, ledger.acknowledged));
}
