//! Limits that drop, sample, or are by field: what passes, and that the ledger says what did not.

use logmill_config::agent::{Limit, LimitPer, OnExceed};

use super::*;
use crate::ledger::Reason;

fn limit(per: LimitPer, on_exceed: OnExceed) -> Limit {
    Limit { per, lines_per_second: Some(1), bytes_per_second: None, burst: Some(20), on_exceed }
}

/// Asserts that every line is acknowledged or dropped for `reason`, and gives how many passed.
fn passed(rig: &Rig, lines: u64, reason: Reason) -> u64 {
    let (read, ledger) = rig.ledger();
    assert_eq!((lines, lines), (read, ledger.finished()));
    assert_eq!(lines - ledger.acknowledged, ledger.dropped[reason as usize]);
    assert_eq!(ledger.acknowledged, rig.messages().len() as u64);
    ledger.acknowledged
}

#[test]
fn lines_above_the_limit_are_dropped_and_counted() {
    let mut rig = Rig::with(|c| c.inputs[0].limits = vec![limit(LimitPer::File, OnExceed::Drop)]);
    rig.append("a.log", numbered("a", 0..1000));
    rig.append("b.log", numbered("b", 0..1000));
    rig.settle();
    let count = passed(&rig, 2000, Reason::Limit);
    assert!((40..100).contains(&count), "{count}: each file has its own");
    rig.kill();
    rig.settle();
    assert_eq!(0, rig.engine.as_ref().unwrap().bytes_read, "what was dropped is not read again");
}

#[test]
fn a_sample_says_what_it_stands_for() {
    let sample = limit(LimitPer::Input, OnExceed::Sample { one_in: 5 });
    let mut rig = Rig::with(|c| c.inputs[0].limits = vec![sample]);
    rig.append("a.log", numbered("a", 0..5000));
    rig.append("b.log", "{\"log\":{\"x\":1}}\n".repeat(5000));
    rig.settle();
    let records = rig.records();
    let sampled = records.iter().filter(|r| r["log"]["sample_rate"] == 5).count();
    assert!((1700..2300).contains(&sampled), "{sampled}");
    assert!((20..100).contains(&(records.len() - sampled)), "within the limit nothing is marked");
    let (read, ledger) = rig.ledger();
    assert_eq!((10_000, 10_000), (read, ledger.finished()));
    assert_eq!(10_000 - records.len() as u64, ledger.dropped[Reason::Sample as usize]);
}

#[test]
fn each_value_of_a_field_has_its_own_limit() {
    let per = LimitPer::Field("user.id".into());
    let mut rig = Rig::with(|c| c.inputs[0].limits = vec![limit(per, OnExceed::Drop)]);
    let lines =
        (0..1000).map(|n| format!("{{\"message\":\"m\",\"user\":{{\"id\":{}}}}}\n", if n % 100 == 0 { n } else { 7 }));
    rig.append("a.log", lines.collect::<String>());
    rig.append("a.log", "no user\n".repeat(100));
    rig.settle();
    let records = rig.records();
    assert_eq!(10, records.iter().filter(|r| r["user"]["id"] != 7 && r["user"]["id"].is_number()).count());
    assert_eq!(100, records.iter().filter(|r| r["message"] == "no user").count());
    let noisy = records.iter().filter(|r| r["user"]["id"] == 7).count();
    assert!((20..60).contains(&noisy), "{noisy}");
    passed(&rig, 1100, Reason::Limit);
}

#[test]
fn a_delay_by_field_holds_back_the_file_and_loses_nothing() {
    let mut rig = Rig::with(|c| {
        let per = LimitPer::Field("host.name".into());
        let fast = Limit { lines_per_second: Some(200), ..limit(per, OnExceed::Delay) };
        c.inputs[0].limits = vec![fast];
    });
    rig.append("a.log", numbered("a", 0..100));
    rig.steps(5);
    let at_once = rig.messages().len();
    assert!((20..90).contains(&at_once), "{at_once}");
    let deadline = Now::read().mono + Duration::from_secs(60);
    while rig.messages().len() < 100 {
        assert!(Now::read().mono < deadline);
        std::thread::park_timeout(Duration::from_millis(5));
        rig.steps(1);
    }
    assert_eq!(names("a", 0..100), rig.messages());
}

#[test]
fn a_limit_of_all_inputs_together_changes_while_running() {
    let mut rig = Rig::with(|c| c.limits = vec![limit(LimitPer::Input, OnExceed::Drop)]);
    rig.append("a.log", numbered("a", 0..100));
    rig.append("b.log", numbered("b", 0..100));
    rig.settle();
    let count = passed(&rig, 200, Reason::Limit);
    assert!((20..60).contains(&count), "{count}");
    rig.config.limits.clear();
    rig.relimit();
    rig.append("a.log", numbered("c", 0..100));
    rig.settle();
    assert_eq!(count + 100, passed(&rig, 300, Reason::Limit));
}
