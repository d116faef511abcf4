//! Lines through an input's program: what is produced of them, over crashes as well, and what the ledger says of the others.

use logmill_config::{
    ConfigFile,
    agent::{Key, Limit, LimitPer, OnExceed, OnLongLine},
    transform::Transform,
};

use super::*;
use crate::ledger::Reason;

fn program(yaml: &str) -> Option<Transform> {
    let text = format!("inputs:\n  - {{ name: app, include: [a], topic: t, transform: {yaml} }}\n");
    let mut config = AgentConfig::parse_with("a.yaml", &text, &|_| None).unwrap_or_else(|e| panic!("{e}"));
    config.inputs.remove(0).transform
}

fn rig(yaml: &str) -> Rig {
    Rig::with(|c| c.inputs[0].transform = program(yaml))
}

impl Rig {
    fn transformed(&self, outcome: &str) -> u64 {
        self.engine.as_ref().unwrap().around.metrics.transformed.with_label_values(&["app", outcome]).get()
    }
}

/// Of every ten lines two are left out, one of them because the program fails with it.
const PROGRAM: &str = "{ on_error: drop, program: '
    n = to_int(split(string!(.message), \"-\")[1]) ?? 0;
    if mod(n, 10) == 3 { abort };
    assert!(mod(n, 10) != 7, message: \"seven\");
    .message = upcase(string!(.message)) + \" \" + %id' }";

#[test]
fn over_a_crash_each_line_comes_once_with_its_id_and_what_is_left_out_is_counted() {
    let mut rig = rig(PROGRAM);
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..100));
    rig.settle();
    assert_eq!(80, rig.messages().len());
    assert_eq!((10, 10, 80), (rig.transformed("aborted"), rig.transformed("failed"), rig.transformed("changed")));
    // All but the eleventh arrive: its line is number 13, since those before it without 3 and 7 are ten.
    (0..79).for_each(|n| rig.topic.report(if n < 10 { 0 } else { 1 }, Outcome::Acknowledged));
    rig.steps(50);
    let (read, ledger) = rig.ledger();
    assert_eq!((100, 10), (read, ledger.acknowledged));
    let before: Vec<_> = rig.topic.0.borrow().sent.iter().map(|record| record.id).collect();
    rig.kill();
    rig.pass(Duration::from_secs(100));
    rig.acknowledge = true;
    rig.settle();
    // Records with equal ids are equal, and those that were sent again are those that were not acknowledged.
    let expected: Vec<_> = names("A", 0..100).into_iter().filter(|name| !name.ends_with(['3', '7'])).collect();
    let distinct: Vec<_> = rig.distinct().iter().map(|m| m.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(expected, distinct);
    assert_eq!(80 + 70, rig.messages().len(), "from the eleventh on");
    assert_eq!(before[10..], rig.topic.0.borrow().sent[80..].iter().map(|record| record.id).collect::<Vec<_>>());
    let (read, ledger) = rig.ledger();
    assert_eq!((100, 100, 80), (read, ledger.finished(), ledger.acknowledged));
    let dropped = |reason: Reason| ledger.dropped[reason as usize];
    assert_eq!((10, 10), (dropped(Reason::Aborted), dropped(Reason::TransformFailure)));
    // The identity that the program sees is the header's.
    for record in &rig.topic.0.borrow().sent {
        let value: Value = serde_json::from_slice(&record.value).unwrap();
        assert!(value["message"].as_str().unwrap().ends_with(&format!(" {}", base64url(&record.id))), "{value}");
    }
    // And over another start nothing is read or counted again.
    rig.kill();
    rig.settle();
    assert_eq!((100, 100), (rig.ledger().0, rig.ledger().1.finished()));
    assert_eq!(150, rig.messages().len());
}

fn base64url(id: &[u8; 16]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = u128::from_be_bytes(*id);
    let digit = |n: u32| if n < 21 { (bits >> (128 - 6 * (n + 1))) & 63 } else { (bits << 4) & 63 };
    (0..22).map(|n| char::from(ALPHABET[digit(n) as usize])).collect()
}

#[test]
fn the_id_is_that_of_the_line_with_and_without_a_program() {
    let ids = |rig: &mut Rig| {
        rig.append("app.log", numbered("a", 0..20));
        rig.settle();
        let ids: Vec<_> = rig.topic.0.borrow().sent.iter().map(|record| record.id).collect();
        ids
    };
    let mut rig = rig("'.message = \"same\"'");
    let with = ids(&mut rig);
    // The same file, read anew by an agent that knows nothing of it.
    fs::remove_dir_all(rig.dir.path().join("state")).unwrap();
    fs::create_dir_all(rig.dir.path().join("state")).unwrap();
    rig.kill();
    rig.config.inputs[0].transform = None;
    rig.settle();
    let all: Vec<_> = rig.topic.0.borrow().sent.iter().map(|record| record.id).collect();
    assert_eq!(with, all[20..]);
}

#[test]
fn a_line_is_kept_whatever_the_program_does_with_it() {
    let mut rig = rig("'.n = to_int!(.message); if .n == 5 { . = [1] }; if .n == 6 { .x = join!([.pad, .pad]) }'");
    rig.topic.0.borrow_mut().max_record = 1000;
    let pad = "p".repeat(600);
    rig.append("app.log", format!("1\nx\n5\n{{\"message\":\"6\",\"pad\":\"{pad}\"}}\n{{\"message\":1e999}}\n"));
    rig.settle();
    let values: Vec<String> =
        rig.topic.0.borrow().sent.iter().map(|r| String::from_utf8(r.value.clone()).unwrap()).collect();
    assert_eq!(5, values.len());
    assert!(values[0].contains("\"n\":1") && !values[0].contains("tags"), "{}", values[0]);
    for (value, kept) in values[1..].iter().zip(["\"x\"", "\"5\"", &pad, "1e999"]) {
        assert!(value.contains(kept) && value.ends_with(",\"tags\":[\"transform_failure\"]}"), "{value}");
    }
    assert_eq!((5, 5), (rig.ledger().0, rig.ledger().1.acknowledged));
    assert_eq!((1, 4), (rig.transformed("changed"), rig.transformed("failed")));
    assert!(values.iter().all(|value| value.len() < 1000));
}

#[test]
fn topic_and_key_are_those_of_the_record_as_it_became() {
    let text =
        "inputs: [{ name: app, include: [a], topic: 'logs.{service.name}', topic_otherwise: logs.rest, key: field:who,
        transform: '. |= object!(parse_key_value!(.message)); .service.name = del(.svc)' }]";
    let config = AgentConfig::parse_with("a.yaml", text, &|_| None).unwrap();
    let mut rig = Rig::with(|c| {
        let include = c.inputs[0].include.clone();
        c.inputs[0] = Input { include, ..config.inputs[0].clone() };
        assert_eq!(c.inputs[0].key, Key::Field("who".into()));
    });
    rig.append("app.log", "svc=shop who=anna\nsvc=pay\n{\"message\":1,\"who\":\"before\"}\n");
    rig.settle();
    let sent = rig.topic.0.borrow();
    let routed: Vec<_> = sent.sent.iter().map(|r| (r.topic.as_str(), r.key.as_deref())).collect();
    // The last one fails and goes on as it came.
    assert_eq!(routed, [("logs.shop", Some(&b"anna"[..])), ("logs.pay", None), ("logs.rest", Some(b"before"))]);
}

#[test]
fn pieces_of_a_line_are_records_and_the_last_stands_for_it() {
    let mut rig = Rig::with(|c| {
        c.inputs[0].max_line_bytes = 10;
        c.inputs[0].on_long_line = OnLongLine::Split;
        c.inputs[0].transform = program("'if contains(string!(.message), \"b\") { abort }'");
    });
    rig.append("app.log", "aaaaaaaaaabbbbbbbbbba\nbbbbbbbbbbaaaaaaaaaab\nb\n");
    rig.settle();
    assert_eq!(["aaaaaaaaaa", "a", "aaaaaaaaaa"], *rig.messages());
    let (read, ledger) = rig.ledger();
    assert_eq!((3, 1, 2), (read, ledger.acknowledged, ledger.dropped[Reason::Aborted as usize]));
}

#[test]
fn what_a_limit_leaves_out_does_not_run_and_a_sample_is_seen() {
    let mut rig = rig("'.rate = .log.sample_rate'");
    rig.config.inputs[0].limits = vec![Limit {
        per: LimitPer::Input,
        lines_per_second: Some(1),
        bytes_per_second: None,
        burst: Some(10),
        on_exceed: OnExceed::Sample { one_in: 5 },
    }];
    rig.append("app.log", numbered("a", 0..1000));
    rig.settle();
    let (read, ledger) = rig.ledger();
    assert_eq!((1000, 1000), (read, ledger.finished()));
    assert_eq!((rig.transformed("changed"), 0), (ledger.acknowledged, rig.transformed("failed")));
    let records = rig.records();
    assert!(records.iter().all(|r| r["rate"] == r["log"]["sample_rate"]));
    assert!(records.iter().filter(|r| r["rate"] == 5).count() > 100);
}

#[test]
fn a_full_producer_changes_nothing() {
    let mut rig = rig(PROGRAM);
    rig.topic.0.borrow_mut().room = 3;
    rig.append("app.log", numbered("a", 0..200));
    rig.settle();
    assert_eq!(160, rig.distinct().len());
    assert_eq!(160, rig.messages().len());
    assert_eq!((20, 20, 160), (rig.transformed("aborted"), rig.transformed("failed"), rig.transformed("changed")));
}

#[test]
fn another_program_is_applied_while_running() {
    let mut rig = rig("'.v = 1'");
    rig.append("app.log", "one\n");
    rig.settle();
    for (yaml, line) in [("'.v = 2'", "two\n"), ("{ file: /nowhere/a.vrl }", "three\n")] {
        rig.config.inputs[0].transform = program(yaml);
        rig.relimit();
        rig.append("app.log", line);
        rig.settle();
    }
    rig.config.inputs[0].transform = None;
    rig.relimit();
    rig.append("app.log", "four\n");
    rig.settle();
    let versions: Vec<_> = rig.records().iter().map(|r| r["v"].clone()).collect();
    assert_eq!(versions, [Value::from(1), 2.into(), 2.into(), Value::Null]);
}
