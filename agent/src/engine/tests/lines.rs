//! From lines to records.

use logmill_config::agent::{Key, Limit, LimitPer, OnExceed, OnLongLine};

use super::*;
use crate::ledger::Reason;

#[test]
fn a_line_becomes_the_contracts_record() {
    let mut rig = Rig::with(|c| {
        c.inputs[0].fields.insert("service.name".into(), "checkout".into());
    });
    rig.append("app.log", "hello\n{\"a\":1}\n");
    rig.settle();
    let sent = rig.topic.0.borrow().sent.clone();
    let path = rig.path("app.log").to_string_lossy().into_owned();
    let record: Value = serde_json::from_slice(&sent[0].value).unwrap();
    assert_eq!(
        serde_json::json!({
            "@timestamp": crate::record::read_time(sent[0].time_ms), "message": "hello", "host": {"name": "web-1"},
            "log": {"file": {"path": path}, "offset": 0}, "service": {"name": "checkout"}
        }),
        record
    );
    assert_eq!(Some(path.into_bytes()), sent[0].key);
    assert_eq!(("logs", 1_700_000_000), (sent[0].topic.as_str(), sent[0].time_ms / 1000));
    let second: Value = serde_json::from_slice(&sent[1].value).unwrap();
    assert_eq!((Some(1), Some(6)), (second["a"].as_u64(), second["log"]["offset"].as_u64()));
    assert_ne!(sent[0].id, sent[1].id);
}

#[test]
fn keys() {
    for (key, expected) in [
        (Key::None, None),
        (Key::Host, Some(b"web-1".to_vec())),
        (Key::Field("user.id".into()), Some(b"u 1".to_vec())),
        (Key::Field("nothing".into()), None),
    ] {
        let mut rig = Rig::with(|c| c.inputs[0].key = key);
        rig.append("app.log", "{\"user\":{\"id\":\"u 1\"}}\n");
        rig.settle();
        assert_eq!(expected, rig.topic.0.borrow().sent[0].key);
    }
}

#[test]
fn a_growing_file_is_followed_by_events_alone() {
    let mut rig = Rig::with(|c| c.rescan_interval = Duration::from_secs(3600));
    rig.append("app.log", "a\nb");
    rig.settle();
    rig.append("app.log", "c\n\nd\r\n");
    rig.append("new.log", "n\n");
    rig.settle();
    assert_eq!(["a", "bc", "d", "n"], *rig.messages());
    let (read, ledger) = rig.ledger();
    assert_eq!((5, 4, 1), (read, ledger.acknowledged, ledger.dropped[Reason::EmptyLine as usize]));
}

#[test]
fn an_unterminated_last_line_is_a_line_after_a_while() {
    let mut rig = Rig::new();
    rig.append("app.log", "one\ntwo");
    rig.settle();
    assert_eq!(["one"], *rig.messages());
    rig.pass(Duration::from_secs(3));
    rig.append("app.log", " and");
    rig.settle();
    rig.pass(Duration::from_secs(3));
    rig.settle();
    assert_eq!(["one"], *rig.messages(), "it grew: the time begins anew");
    rig.pass(Duration::from_secs(3));
    rig.settle();
    assert_eq!(["one", "two and"], *rig.messages());
    rig.append("app.log", "\nthree\n");
    rig.settle();
    assert_eq!(["one", "two and", "three"], *rig.messages());
    assert_eq!(3, rig.ledger().0, "its late newline is no empty line");
}

fn long(on_long_line: OnLongLine) -> Rig {
    let mut rig = Rig::with(|c| {
        c.inputs[0].on_long_line = on_long_line;
        c.inputs[0].max_line_bytes = 1000;
    });
    // Longer than a block, ending without one; then a little too long; then usual ones.
    let mut text = vec![b'x'; 10 << 20];
    text.extend_from_slice(format!("\n{}\nend\n", "y".repeat(1001)).as_bytes());
    rig.append("app.log", &text);
    rig.settle();
    rig
}

#[test]
fn long_lines_are_truncated() {
    let rig = long(OnLongLine::Truncate);
    let lengths: Vec<usize> = rig.messages().iter().map(String::len).collect();
    assert_eq!([1000, 1000, 3], *lengths);
    let records = rig.records();
    assert_eq!("truncated", records[0]["log"]["flags"][0]);
    assert_eq!("truncated", records[1]["log"]["flags"][0]);
    assert!(records[2]["log"]["flags"].is_null());
    assert_eq!((3, 3), (rig.ledger().0, rig.ledger().1.acknowledged));
}

#[test]
fn long_lines_are_dropped() {
    let rig = long(OnLongLine::Drop);
    assert_eq!(["end"], *rig.messages());
    let (read, ledger) = rig.ledger();
    assert_eq!((3, 1, 2), (read, ledger.acknowledged, ledger.dropped[Reason::LongLine as usize]));
}

#[test]
fn long_lines_are_split() {
    let rig = long(OnLongLine::Split);
    let messages = rig.messages();
    let pieces = (10_usize << 20).div_ceil(1000);
    assert_eq!(pieces + 2 + 1, messages.len());
    assert_eq!(10 << 20, messages[..pieces].iter().map(String::len).sum::<usize>());
    assert_eq!(["y", "end"], messages[messages.len() - 2..]);
    let records = rig.records();
    assert!(records[..pieces + 2].iter().all(|r| r["log"]["flags"][0] == "split"));
    assert_eq!((3, 3), (rig.ledger().0, rig.ledger().1.acknowledged), "a line counts once");
}

#[test]
fn a_limited_file_holds_back_no_other() {
    let mut rig = Rig::with(|c| {
        let (per, on_exceed) = (LimitPer::File, OnExceed::Delay);
        let limit = Limit { per, lines_per_second: Some(50), bytes_per_second: None, burst: Some(10), on_exceed };
        let mut limited = c.inputs[0].clone();
        limited.name = "limited".into();
        limited.include = vec![c.inputs[0].include[0].replace("**/*.log", "limited/*.log")];
        limited.limits = vec![limit];
        c.inputs.insert(0, limited);
    });
    fs::create_dir(rig.path("limited")).unwrap();
    rig.append("limited/a.log", numbered("slow", 0..1000));
    rig.append("b.log", numbered("fast", 0..1000));
    rig.settle();
    let messages = rig.messages();
    assert_eq!(1000, messages.iter().filter(|m| m.starts_with("fast")).count());
    let slow = messages.iter().filter(|m| m.starts_with("slow")).count();
    assert!((10..500).contains(&slow), "{slow} lines of the limited file");
}

#[test]
fn limits_change_while_running() {
    let limit = |lines| Limit {
        per: LimitPer::File,
        lines_per_second: Some(lines),
        bytes_per_second: None,
        burst: Some(lines),
        on_exceed: OnExceed::Delay,
    };
    let mut rig = Rig::with(|c| c.inputs[0].limits = vec![limit(1)]);
    rig.append("a.log", numbered("line", 0..1000));
    rig.steps(20);
    assert!(rig.messages().len() < 10, "{} lines at one per second", rig.messages().len());
    rig.config.inputs[0].limits = vec![limit(1_000_000)];
    // Of the rest of the file nothing is taken.
    rig.config.inputs[0].include.clear();
    rig.relimit();
    rig.steps(20);
    assert_eq!(rig.messages().len(), 1000);
    rig.config.inputs[0].limits = vec![limit(1)];
    rig.relimit();
    rig.append("a.log", numbered("line", 1000..2000));
    rig.steps(20);
    assert!(rig.messages().len() < 1010, "{} lines at one per second", rig.messages().len());
    rig.config.inputs[0].limits.clear();
    rig.relimit();
    rig.steps(20);
    assert_eq!(rig.messages(), names("line", 0..2000));
}

#[test]
fn files_take_turns() {
    let mut rig = Rig::new();
    let big: String = numbered("big", 0..300_000);
    rig.append("big.log", &big);
    rig.append("small.log", "small\n");
    rig.steps(5);
    let messages = rig.messages();
    let small = messages.iter().position(|m| m == "small").expect("the small file had its turn");
    assert!(small < 60_000, "after {small} lines of the big one");
}

#[test]
fn a_field_decides_the_topic_and_records_without_it_go_elsewhere() {
    let mut rig = Rig::with(|c| {
        let template = logmill_config::template::Template::parse("logs.{service.name}").unwrap();
        c.inputs[0].topic_by = Some(logmill_config::agent::TopicBy { template, most: 2 });
    });
    for service in ["shop", "mail/in", "third", "shop"] {
        rig.append("app.log", format!("{{\"service\":{{\"name\":\"{service}\"}},\"message\":\"x\"}}\n"));
    }
    rig.append("app.log", "no json\n");
    rig.settle();
    let topics: Vec<String> = rig.topic.0.borrow().sent.iter().map(|r| r.topic.clone()).collect();
    assert_eq!(["logs.shop", "logs.mail_in", "logs", "logs.shop", "logs"], *topics);
    let metrics = &rig.engine.as_ref().unwrap().around.metrics.topic_otherwise;
    assert_eq!((1, 1), (metrics.with_label_values(&["too_many"]).get(), metrics.with_label_values(&["missing"]).get()));
}
