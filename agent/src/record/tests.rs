//! Records of lines, as a reader of the topic sees them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const READ: &str = "2026-05-01T10:00:00.000Z";

fn shape() -> Shape {
    let fields = BTreeMap::from([("service.name".to_owned(), json!("checkout"))]);
    Shape::new("web-1", Some(Path::new("/var/log/a \"b\".log")), &fields)
}

fn encode_limited(line: &[u8], parser: &Parser, limit: usize) -> Vec<u8> {
    let line = Line { bytes: line, offset: 120, flags: Flags::default(), read_time: READ, foreign: false };
    Encoder::default().encode(&line, &shape(), parser, limit).to_vec()
}

fn encode(line: &[u8], parser: &Parser) -> Value {
    serde_json::from_slice(&encode_limited(line, parser, 1_000_000)).unwrap()
}

/// The record without what every record of the file has.
fn own(line: &str) -> Value {
    let mut record = encode(line.as_bytes(), &Parser::Auto);
    let map = record.as_object_mut().unwrap();
    let log = map.remove("log").unwrap();
    assert_eq!(json!({"file": {"path": "/var/log/a \"b\".log"}, "offset": 120}), log, "{line}");
    assert_eq!(Some(json!({"name": "checkout"})), map.remove("service"), "{line}");
    assert_eq!(Some(json!({"name": "web-1"})), map.remove("host"), "{line}");
    record
}

#[test]
fn a_raw_line() {
    assert_eq!(json!({"@timestamp": READ, "message": "hello \"\\ \t\u{1} é"}), own("hello \"\\ \t\u{1} é"));
    assert_eq!(json!({"@timestamp": READ, "message": "{not json"}), own("{not json"));
    let raw = encode(b"{\"a\":1}", &Parser::Raw);
    assert_eq!(json!("{\"a\":1}"), raw["message"]);
    assert_eq!(json!("bad \u{FFFD} utf8"), encode(b"bad \xff utf8", &Parser::Auto)["message"]);
    let failed = encode(b"plain", &Parser::Json);
    assert_eq!((json!("plain"), json!(["parse_failure"])), (failed["message"].clone(), failed["tags"].clone()));
}

#[test]
fn json_lines_keep_their_fields() {
    assert_eq!(json!({"@timestamp": READ, "a": 1, "b": {"c": [1, {}]}}), own(r#" {"a":1, "b":{"c":[1,{}]}} "#));
    assert_eq!(json!({"@timestamp": READ}), own("{}"));
    assert_eq!(json!({"@timestamp": READ, "message": "m"}), own(r#"{"message":"m"}"#));
    assert_eq!(json!({"@timestamp": READ, "message": r#"{"a":1}"#}), own(r#"{"message":{"a":1}}"#));
    assert_eq!(json!({"@timestamp": READ, "a": 2}), own(r#"{"a":1,"a":2}"#), "Elasticsearch refuses duplicate keys");
    assert_eq!(json!("x\u{FFFD}"), encode(b"{\"k\":\"x\xff\"}", &Parser::Auto)["k"]);
}

#[test]
fn scalars_where_ecs_has_objects_become_labels() {
    assert_eq!(
        json!({"@timestamp": READ, "a": 1, "labels": {"event": "click", "user": 7}}),
        own(r#"{"event":"click","a":1,"user":7}"#)
    );
    assert_eq!(json!({"@timestamp": READ, "labels": {"event": "click"}}), own(r#"{"event":"click"}"#));
    assert_eq!(
        json!({"@timestamp": READ, "labels": {"event": "click", "x": "y"}}),
        own(r#"{"event":"click","labels":{"x":"y"}}"#)
    );
    assert_eq!(json!({"@timestamp": READ, "event": {"kind": "x"}}), own(r#"{"event":{"kind":"x"}}"#));
    assert_eq!(json!({"@timestamp": READ, "labels": {"url": ["a"]}}), own(r#"{"url":["a"]}"#));
    let host = encode(br#"{"host":"other"}"#, &Parser::Auto);
    assert_eq!((json!("web-1"), json!("other")), (host["host"]["name"].clone(), host["labels"]["host"].clone()));
}

#[test]
fn objects_that_both_have_are_merged() {
    let record = encode(br#"{"host":{"name":"mine","ip":"1.2.3.4"},"log":{"level":"info"}}"#, &Parser::Auto);
    assert_eq!(json!({"name": "mine", "ip": "1.2.3.4"}), record["host"]);
    assert_eq!(json!({"level": "info", "file": {"path": "/var/log/a \"b\".log"}, "offset": 120}), record["log"]);
    let dotted = encode(br#"{"log.level":"warn","service.name":"x","error.message":"e","a.b":1}"#, &Parser::Auto);
    assert_eq!(json!("warn"), dotted["log"]["level"]);
    assert_eq!(json!("checkout"), dotted["service"]["name"], "the operator's field wins");
    assert_eq!(json!("e"), dotted["error"]["message"]);
}

#[test]
fn the_events_own_time() {
    for (field, expected) in [
        (r#""@timestamp":"2020-01-02T03:04:05Z""#, "2020-01-02T03:04:05Z"),
        (r#""timestamp":"2020-01-02T05:04:05.123+02:00""#, "2020-01-02T03:04:05.123Z"),
        (r#""time":1577934245"#, "2020-01-02T03:04:05Z"),
        (r#""ts":1577934245.25"#, "2020-01-02T03:04:05.25Z"),
        (r#""ts":1577934245123"#, "2020-01-02T03:04:05.123Z"),
        (r#""ts":"1577934245123""#, "2020-01-02T03:04:05.123Z"),
        (r#""time":"1971-06-01T00:00:00Z""#, "1971-06-01T00:00:00Z"),
        (r#""time":"2099-06-01T00:00:00.5Z","ts":1"#, "2099-06-01T00:00:00.5Z"),
        (r#""time":"yesterday","ts":1577934245"#, "2020-01-02T03:04:05Z"),
        (r#""time":"2020-02-30T00:00:00Z""#, READ),
        (r#""time":null"#, READ),
        (r#""@timestamp":1577934245123,"event":"x""#, "2020-01-02T03:04:05.123Z"),
    ] {
        let record = encode(format!("{{\"a\":1,{field}}}").as_bytes(), &Parser::Auto);
        assert_eq!(json!(expected), record["@timestamp"], "{field}");
        let merged = encode(format!("{{\"host\":{{}},{field}}}").as_bytes(), &Parser::Auto);
        assert_eq!(json!(expected), merged["@timestamp"], "{field}");
    }
    let bad = own(r#"{"@timestamp":"yesterday","time":5}"#);
    assert_eq!(json!({"@timestamp": "1970-01-01T00:00:05Z", "time": 5, "labels": {"@timestamp": "yesterday"}}), bad);
}

#[test]
fn a_record_never_exceeds_the_limit() {
    for line in [
        vec![b'x'; 2000],
        vec![1; 2000],
        "é".repeat(1000).into_bytes(),
        format!("{{\"a\":\"{}\"}}", "y".repeat(2000)).into_bytes(),
    ] {
        let record = encode_limited(&line, &Parser::Auto, 700);
        assert!((560..=700).contains(&record.len()), "{}", record.len());
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert_eq!(json!(["truncated"]), record["log"]["flags"]);
    }
}

#[test]
fn fields_are_found_by_dotted_path() {
    let record = encode_limited(br#"{"user":{"id":"u\"1"},"n":5}"#, &Parser::Auto, 10_000);
    let record = std::str::from_utf8(&record).unwrap();
    assert_eq!(r#""u\"1""#, find(record, "user.id").unwrap().1);
    assert_eq!("5", find(record, "n").unwrap().1);
    assert_eq!(r#""web-1""#, find(record, "host.name").unwrap().1);
    assert!(find(record, "user.id.x").is_none() && find(record, "nothing").is_none());
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| json!(f64::from(n) / 4.0)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z@\"\\\\é.]{0,6}|event|host|log|message|time", inner, 0..5)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_object_gives_a_record_with_the_files_own_content(value in json_value()) {
        let record = encode(value.to_string().as_bytes(), &Parser::Auto);
        prop_assert_eq!(&record["log"]["offset"], &json!(120));
        prop_assert_eq!(&record["service"]["name"], &json!("checkout"));
        prop_assert!(record["@timestamp"].is_string());
        if let Value::Object(line) = value {
            for (key, value) in line.iter().filter(|(k, _)| k.chars().all(|c| c.is_ascii_lowercase()) && *k != "as" && *k != "message" && !ecs::is_object(k.as_bytes())) {
                prop_assert_eq!(&record[key], value);
            }
        }
    }

    #[test]
    fn the_scanner_agrees_with_serde(text in "[\\[\\]{}\":,0-9.eE+ \\-truefalsn\\\\u\u{1}é]{0,24}") {
        let ours = scan::object(&text, &mut Vec::new());
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok_and(|v| v.get().starts_with('{'))
            && serde_json::from_str::<Value>(&text).is_ok();
        // serde_json refuses numbers beyond f64, which the grammar allows.
        prop_assert!(ours == theirs || ours && text.contains(['e', 'E']), "{}", text);
    }

    #[test]
    fn any_bytes_give_a_record_within_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..400), limit in 400_usize..600) {
        let record = encode_limited(&bytes, &Parser::Auto, limit);
        prop_assert!(record.len() <= limit);
        prop_assert!(serde_json::from_slice::<Value>(&record).is_ok());
    }
}
