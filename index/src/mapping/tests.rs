//! Dynamic mapping, coercions and refusals.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use serde_json::json;

use super::*;

fn parse(mapping: &mut Arc<Mapping>, source: &str) -> Result<usize, String> {
    parse_document(mapping, "1", source.as_bytes())
        .map(|leaves| leaves.len())
        .map_err(|error| format!("{}: {}", error.kind, error.reason))
}

#[test]
fn maps_dynamically_as_elasticsearch_does() {
    let mut mapping = Arc::new(Mapping::default());
    let source = r#"{"@timestamp":"2026-11-21T07:16:46Z","message":"hello world","n":5,"f":1.5,"ok":true,"host":{"name":"a"},"tags":["x","y"],"a.b":1,"nil":null,"empty":[]}"#;
    assert_eq!(parse(&mut mapping, source), Ok(9));
    let text = json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
    assert_eq!(
        mapping.to_json(),
        json!({"properties": {
            "@timestamp": {"type": "date"}, "message": text, "n": {"type": "long"}, "f": {"type": "float"}, "ok": {"type": "boolean"},
            "host": {"properties": {"name": text}}, "tags": text, "a": {"properties": {"b": {"type": "long"}}}
        }})
    );
    let mut again = Mapping::default();
    again.merge_json(&mapping.to_json()).unwrap();
    assert_eq!(again.to_json(), mapping.to_json());
    assert_eq!(mapping.resolve("message.keyword"), Some(Target::Keyword("message".into())));
    assert_eq!(mapping.resolve("n"), Some(Target::Number("n".into(), Kind::Long)));
    assert_eq!(mapping.resolve("n.keyword"), None);
}

#[test]
fn coerces_and_refuses() {
    let mut mapping = Arc::new(Mapping::default());
    parse(&mut mapping, r#"{"n":5,"d":"2026-11-21","o":{"x":1},"b":true,"f":1.5}"#).unwrap();
    for good in [
        r#"{"n":"7"}"#,
        r#"{"n":1.9}"#,
        r#"{"d":0}"#,
        r#"{"b":"false"}"#,
        r#"{"f":"2"}"#,
        r#"{"o":null}"#,
        r#"{"o.x":2}"#,
    ] {
        assert_eq!(parse(&mut mapping.clone(), good).err(), None, "{good}");
    }
    for (bad, part) in [
        (
            r#"{"n":"x"}"#,
            "[1:6] failed to parse field [n] of type [long] in document with id '1'. Preview of field's value: 'x'",
        ),
        (r#"{"d":"yesterday"}"#, "failed to parse field [d] of type [date]"),
        (r#"{"o":"text"}"#, "object mapping for [o] tried to parse field [o] as object, but found a concrete value"),
        (r#"{"n":{"x":1}}"#, "failed to parse field [n] of type [long]"),
        (r#"{"n.x":1}"#, "failed to parse field [n] of type [long]"),
        (r#"{"b":"maybe"}"#, "failed to parse field [b] of type [boolean]"),
        (r#"{"n":18446744073709551615}"#, "failed to parse field [n] of type [long]"),
        (r#"{"":1}"#, "field name cannot be an empty string"),
        (r#"{"a..b":1}"#, "field name"),
        ("[1]", "failed to parse"),
        ("{", "failed to parse"),
        ("{} {}", "failed to parse"),
    ] {
        let before = mapping.clone();
        let error = parse(&mut mapping.clone(), bad).unwrap_err();
        assert!(error.contains(part), "{bad}: {error}");
        assert_eq!(mapping, before);
    }
}

#[test]
fn limits_fields_and_depth() {
    let mut mapping = Arc::new(Mapping::default());
    let many: Vec<String> = (0..1000).map(|n| format!("\"n{n}\":{n}")).collect();
    assert!(parse(&mut mapping, &format!("{{{}}}", many.join(","))).is_ok());
    let error = parse(&mut mapping, r#"{"one_more":1}"#).unwrap_err();
    assert!(error.contains("Limit of total fields [1000] has been exceeded"), "{error}");

    let mut mapping = Arc::new(Mapping::default());
    let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(parse(&mut mapping.clone(), &deep(20)).is_ok());
    assert!(parse(&mut mapping, &deep(22)).unwrap_err().contains("mapping depth [20]"));
    let brackets = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(parse(&mut mapping, &brackets).is_err());
}

#[test]
fn explicit_mappings_hold() {
    let mut mapping = Mapping::default();
    mapping
        .merge_json(&json!({"dynamic": "strict", "properties": {"m": {"type": "text"}, "s": {"type": "keyword", "ignore_above": 3}, "o": {"properties": {"i": {"type": "integer"}}}}}))
        .unwrap();
    assert!(mapping.merge_json(&json!({"properties": {"m": {"type": "long"}}})).is_err());
    assert!(mapping.merge_json(&json!({"properties": {"x": {"type": "bogus"}}})).is_err());
    let mut mapping = Arc::new(mapping);
    assert!(parse(&mut mapping, r#"{"new":1}"#).unwrap_err().starts_with("strict_dynamic_mapping_exception"));
    assert!(parse(&mut mapping, r#"{"o":{"i":3000000000}}"#).unwrap_err().contains("of type [integer]"));
    assert!(parse(&mut mapping, r#"{"m":"x","s":"long string","o":{"i":1}}"#).is_ok());
}
