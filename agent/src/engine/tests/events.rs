//! Events of several lines, lines of containers, encodings: as records, and over kills.

use logmill_config::agent::{Container, Encoding, Join, Multiline, Parse, Preset};

use super::*;
use crate::ledger::Reason;

fn multiline(join: Join) -> Rig {
    Rig::with(|c| {
        let timeout = Duration::from_secs(1);
        c.inputs[0].multiline = Some(Multiline { join, timeout, max_lines: 500, max_bytes: 256 << 10 });
    })
}

fn container() -> Rig {
    Rig::with(|c| c.inputs[0].container = Some(Container::Auto))
}

#[test]
fn a_trace_is_one_record() {
    let mut rig = multiline(Join::Preset(Preset::Java));
    rig.append("app.log", "INFO a\nERROR b\njava.io.IOException: no\n\tat x.Y.z(Y.java:1)\n");
    rig.settle();
    assert_eq!(["INFO a"], *rig.messages(), "more may come");
    rig.append("app.log", "\tat x.Y.main(Y.java:9)\nINFO c\n");
    rig.settle();
    let trace = "ERROR b\njava.io.IOException: no\n\tat x.Y.z(Y.java:1)\n\tat x.Y.main(Y.java:9)";
    assert_eq!(["INFO a", trace], *rig.messages());
    rig.pass(Duration::from_secs(2));
    rig.settle();
    assert_eq!(["INFO a", trace, "INFO c"], *rig.messages(), "time ends the last");
    let (read, ledger) = rig.ledger();
    assert_eq!((3, 3), (read, ledger.acknowledged), "an event counts as one line");
}

#[test]
fn what_comes_after_time_ended_an_event_is_one_of_its_own_also_after_a_kill() {
    let mut rig = multiline(Join::Start("^>".into()));
    rig.acknowledge = false;
    rig.append("app.log", "> a\n b\n");
    rig.settle();
    rig.pass(Duration::from_secs(2));
    rig.settle();
    assert_eq!(["> a\n b"], *rig.messages());
    // Flushed and not acknowledged: whatever has come since, the same record comes again.
    rig.append("app.log", " c\n\n d\n> e\n");
    rig.kill();
    rig.settle();
    assert_eq!(["> a\n b", " c\n\n d"], *rig.distinct());
    rig.kill();
    rig.acknowledge = true;
    rig.settle();
    rig.pass(Duration::from_secs(2));
    rig.settle();
    assert_eq!(["> a\n b", " c\n\n d", "> e"], *rig.distinct());
    let (read, ledger) = rig.ledger();
    assert_eq!((3, 3), (read, ledger.acknowledged));
}

#[test]
fn an_empty_line_after_a_timed_end_is_an_empty_line() {
    let mut rig = multiline(Join::Start("^>".into()));
    rig.append("app.log", "> a\n");
    rig.settle();
    rig.pass(Duration::from_secs(2));
    rig.settle();
    rig.append("app.log", "\n> b\n");
    rig.settle();
    assert_eq!(1, rig.ledger().1.dropped[Reason::EmptyLine as usize]);
}

#[test]
fn the_lines_of_a_rotated_file_are_ended_by_time() {
    let mut rig = multiline(Join::Start("^>".into()));
    rig.append("app.log", "> a\n b\n");
    rig.settle();
    rig.rename("app.log", "app.log.1");
    rig.append("app.log", "> c\n> d\n");
    rig.settle();
    rig.pass(Duration::from_secs(2));
    rig.settle();
    let mut messages = rig.messages();
    messages.sort();
    assert_eq!(["> a\n b", "> c", "> d"], *messages);
}

#[test]
fn an_event_larger_than_it_may_be_is_cut_with_a_mark() {
    let mut rig = multiline(Join::Start("^>".into()));
    rig.config.inputs[0].multiline.as_mut().unwrap().max_lines = 3;
    rig.append("app.log", "> 1\n 2\n 3\n 4\n> 5\n>\n");
    rig.settle();
    assert_eq!(["> 1\n 2\n 3", " 4", "> 5"], *rig.messages());
    assert_eq!(serde_json::json!(["split"]), rig.records()[0]["log"]["flags"]);
    assert_eq!(Value::Null, rig.records()[1]["log"]["flags"]);
}

#[test]
fn lines_of_containers_are_what_they_wrap() {
    let mut rig = container();
    let docker = [
        r#"{"log":"{\"level\":\"info\",\"message\":\"hi\"}\n","stream":"stdout","time":"2026-05-01T10:00:00.123456789Z"}"#,
        r#"{"log":"one ","stream":"stderr","time":"2026-05-01T10:00:01Z"}"#,
        r#"{"log":"line\n","stream":"stderr","time":"2026-05-01T10:00:02Z"}"#,
        r#"{"log":"\n","stream":"stdout","time":"2026-05-01T10:00:03Z"}"#,
        "garbage",
    ];
    rig.append("app.log", docker.map(|line| format!("{line}\n")).concat());
    rig.settle();
    rig.append("cri.log", "2026-05-01T10:00:00.5+02:00 stderr F {\"a\":1,\"time\":\"2026-05-01T07:00:00Z\"}\n");
    rig.settle();
    let records = rig.records();
    assert_eq!(4, records.len());
    assert_eq!(("info", "hi"), (records[0]["level"].as_str().unwrap(), records[0]["message"].as_str().unwrap()));
    assert_eq!(("2026-05-01T10:00:00.123456789Z", "stdout"), time_and_stream(&records[0]));
    assert_eq!(("2026-05-01T10:00:01Z", "stderr"), time_and_stream(&records[1]), "of the first part");
    assert_eq!("one line", records[1]["message"]);
    assert_eq!(
        ("garbage", "parse_failure"),
        (records[2]["message"].as_str().unwrap(), records[2]["tags"][0].as_str().unwrap())
    );
    assert_eq!(("2026-05-01T07:00:00Z", "stderr"), time_and_stream(&records[3]), "the line's own time wins");
    assert_eq!(1, records[3]["a"]);
    let (read, ledger) = rig.ledger();
    assert_eq!((5, 4, 1), (read, ledger.acknowledged, ledger.dropped[Reason::EmptyLine as usize]));
}

fn time_and_stream(record: &Value) -> (&str, &str) {
    (record["@timestamp"].as_str().unwrap(), record["log"]["iostream"].as_str().unwrap())
}

#[test]
fn a_part_without_its_end_waits_and_then_has_the_same_id_after_a_kill() {
    let mut rig = container();
    rig.acknowledge = false;
    rig.append("app.log", "2026-05-01T10:00:00Z stdout P half\n");
    rig.settle();
    assert_eq!(0, rig.messages().len());
    rig.pass(Duration::from_secs(6));
    rig.settle();
    rig.append("app.log", "2026-05-01T10:00:00Z stdout F rest\n");
    rig.kill();
    rig.acknowledge = true;
    rig.settle();
    assert_eq!(["half", "rest"], *rig.distinct());
}

#[test]
fn a_container_s_times_may_be_written_with_a_zone() {
    let mut rig = container();
    rig.append("app.log", "2026-05-01T10:00:00.5+02:00 stdout F text\n");
    rig.settle();
    assert_eq!("2026-05-01T08:00:00.5Z", rig.records()[0]["@timestamp"]);
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn utf_16_by_its_mark_grows_in_pieces() {
    let mut rig = Rig::new();
    let bytes = [b"\xFF\xFE".to_vec(), utf16("zwölf\r\n{\"a\":\"語\"}\nlast")].concat();
    for piece in bytes.chunks(3) {
        rig.append("app.log", piece);
        rig.steps(2);
    }
    rig.settle();
    assert_eq!("zwölf", rig.records()[0]["message"]);
    assert_eq!("語", rig.records()[1]["a"]);
    rig.pass(Duration::from_secs(6));
    rig.settle();
    rig.append("app.log", utf16("\nnext\n"));
    rig.kill();
    rig.settle();
    assert_eq!(["last", "next"], [rig.records()[2]["message"].clone(), rig.records()[3]["message"].clone()]);
    assert_eq!((4, 4), (rig.ledger().0, rig.ledger().1.acknowledged));
}

#[test]
fn encodings_marks_and_holes() {
    let mut rig = Rig::with(|c| {
        c.inputs[0].encoding = Encoding::Gbk;
        c.inputs[0].parse = Parse::Raw;
    });
    rig.append("gbk.log", b"\xD6\xD0\xCE\xC4\n");
    rig.append("utf8.log", b"\xEF\xBB\xBFmark\n\0\0\0\0hole\n");
    rig.settle();
    let mut messages = rig.messages();
    messages.sort();
    assert_eq!(["hole", "mark", "中文"], *messages);
    rig.append("utf8.log", [vec![0; 1 << 20], b"far\n".to_vec()].concat());
    rig.settle();
    rig.kill();
    rig.append("utf8.log", b"end\n");
    rig.settle();
    assert_eq!("end", rig.messages()[4]);
    assert_eq!((5, 5), (rig.ledger().0, rig.ledger().1.acknowledged));
}

#[test]
fn long_lines_of_two_byte_characters() {
    let mut rig = Rig::with(|c| {
        c.inputs[0].encoding = Encoding::Utf16Le;
        c.inputs[0].max_line_bytes = 64;
    });
    rig.append("app.log", utf16(&format!("{}\r\nshort\r\n", "語".repeat(200_000))));
    rig.settle();
    assert_eq!("語".repeat(32), rig.messages()[0]);
    assert_eq!(serde_json::json!(["truncated"]), rig.records()[0]["log"]["flags"]);
    assert_eq!("short", rig.messages()[1]);
}
