//! What a program makes of records, and what becomes of those it fails with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use logmill_config::ConfigFile;

use super::*;

fn config(keys: &str) -> AgentConfig {
    let text = format!("inputs:\n  - {{ name: app, include: [a], topic: t, {keys} }}\n");
    AgentConfig::parse_with("a.yaml", &text, &|_| None).unwrap_or_else(|e| panic!("{e}"))
}

fn transform(keys: &str) -> Transform {
    Transform::open(&config(keys).inputs[0]).unwrap_or_else(|e| panic!("{e}")).unwrap()
}

fn run(transform: &mut Transform, value: &str) -> Made {
    let place = Place { path: Path::new("/var/log/a.log"), offset: 9, time_ms: 1_700_000_000_000, id: [255; 16] };
    transform.run(&place, value.as_bytes(), 200)
}

fn text(made: Made) -> String {
    let (Made::Record { value, .. } | Made::Failed { value, .. }) = made else { panic!("{made:?}") };
    String::from_utf8(value).unwrap()
}

#[test]
fn a_program_sees_the_line_s_place() {
    let mut all = transform(
        "transform: '. = { \"i\": %input, \"p\": upcase(%path), \"o\": %offset, \"t\": %timestamp, \"id\": %id }'",
    );
    assert_eq!(
        text(run(&mut all, "{}")),
        r#"{"i":"app","id":"_____________________w","o":9,"p":"/VAR/LOG/A.LOG","t":1700000000000}"#
    );
}

#[test]
fn what_fails_goes_on_as_it_came_but_for_a_tag() {
    let program = "program: '.n = to_int!(.n)'";
    let value = r#"{"n" : "x","tags":["a"],"big":1e3}"#;
    let mut passes = transform(&format!("transform: {{ {program} }}"));
    let made = run(&mut passes, value);
    assert!(made.outcome() == "failed" && made.failure().unwrap().contains("to_int"), "{made:?}");
    assert_eq!(text(made), r#"{"n" : "x","tags":["a","transform_failure"],"big":1e3}"#);
    assert_eq!(text(run(&mut passes, r#"{"n":1e999}"#)), r#"{"n":1e999,"tags":["transform_failure"]}"#);
    let mut drops = transform(&format!("transform: {{ {program}, on_error: drop }}"));
    let made = run(&mut drops, value);
    assert!(matches!(made, Made::Dropped { reason: Reason::TransformFailure, failure: Some(_) }), "{made:?}");
    assert_eq!(made.outcome(), "failed");
    let made = run(&mut transform("transform: 'abort'"), value);
    assert_eq!(made.outcome(), "aborted");
    assert_eq!(made, Made::Dropped { reason: Reason::Aborted, failure: None });
}

#[test]
fn the_tag_fits_into_its_room() {
    for value in [r#"{"a":1}"#, r#"{"tags":"a"}"#, r#"{"tags":["a"]}"#, r#"{"tags":5,"a":1}"#, r#"{"tags":[],"a":1}"#] {
        assert!(record::tagged(value.as_bytes(), TAG).len() <= value.len() + ROOM, "{value}");
    }
}

#[test]
fn a_record_with_its_key_is_bounded() {
    let mut keyed = transform("key: field:user, transform: '.user = .who; .more = .who'");
    let made = run(&mut keyed, r#"{"who":"anna"}"#);
    assert_eq!(
        made,
        Made::Record { value: br#"{"more":"anna","user":"anna","who":"anna"}"#.to_vec(), key: Some(b"anna".to_vec()) }
    );
    let Made::Failed { failure, .. } = run(&mut keyed, &format!("{{\"who\":\"{}\"}}", "x".repeat(50))) else {
        panic!()
    };
    assert!(failure.contains("230 bytes of it with its key, expected at most 200"), "{failure}");
    assert!(matches!(run(&mut keyed, r#"{"n":1}"#), Made::Record { key: None, .. }), "null is no key");
}

#[test]
fn mistakes_and_warnings_name_the_input() {
    let found = mistakes(&config("transform: { program: '.a = upcase(.a)', on_error: drop }"));
    assert!(found.len() == 1 && found[0].path == "inputs[0].transform.program", "{found:?}");
    assert!(found[0].message.contains("1 │ .a = upcase(.a)") && found[0].message.contains("^^"), "{found:?}");
    assert!(mistakes(&config("transform: '.a = upcase(%topic)'")).len() == 1, "the agent knows no record's topic yet");
    assert_eq!(warnings(&config("transform: 'upcase(\"a\"); .x = 1'")).len(), 1);
    assert!(
        mistakes(&config("key: none")).is_empty() && Transform::open(&config("key: none").inputs[0]).unwrap().is_none()
    );
}
