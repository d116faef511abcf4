//! What programs make of events, and what stops them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::{Kind, Names, Program, compile::tests::transform};

const NAMES: &Names =
    &[("path", Kind::Text), ("offset", Kind::Number), ("id", Kind::Optional), ("key", Kind::Optional)];

fn runner(program: &str) -> Runner {
    Program::compile(&transform(program), NAMES).unwrap_or_else(|e| panic!("{e}")).runner()
}

fn made(runner: &mut Runner, value: &str) -> Made {
    let id = Datum::Id([255; 16]);
    let metadata = [("path", Datum::Text("/a".into())), ("offset", Datum::Number(7)), ("id", id), ("key", Datum::Null)];
    runner.run(value.as_bytes(), &metadata, 1000)
}

fn event(text: &str) -> Made {
    Made::Event(text.as_bytes().to_vec())
}

#[test]
fn an_event_is_changed_and_nothing_is_left_of_it() {
    let mut runner = runner("'.n = (.n + 1) ?? 0; del(.secret)'");
    assert_eq!(made(&mut runner, r#"{"secret":"x","n":41,"t":"é\n"}"#), event(r#"{"n":42,"t":"é\n"}"#));
    assert_eq!(made(&mut runner, "{}"), event(r#"{"n":0}"#));
}

#[test]
fn the_record_stands_behind_a_percent_sign() {
    let mut runner = runner("'. = {\"p\": upcase(%path), \"o\": %offset + 1, \"i\": %id, \"k\": %key}'");
    assert_eq!(made(&mut runner, "{}"), event(r#"{"i":"_____________________w","k":null,"o":8,"p":"/A"}"#));
}

#[test]
fn abort_drops_and_errors_are_told() {
    let mut runner = runner("'if .level == \"debug\" { abort }; .n = to_int!(.n)'");
    assert_eq!(made(&mut runner, r#"{"level":"debug"}"#), Made::Dropped);
    let Made::Failed(reason) = made(&mut runner, r#"{"n":"seven"}"#) else { panic!() };
    assert!(reason.contains("to_int"), "{reason}");
    assert_eq!(made(&mut runner, r#"{"n":"7"}"#), event(r#"{"n":7}"#));
}

#[test]
fn what_is_made_is_an_object_within_its_bound() {
    let failed = |program: &str, value: &str, expected: &str| {
        let Made::Failed(reason) = made(&mut runner(program), value) else { panic!("{program}") };
        assert!(reason.contains(expected), "{reason}");
    };
    failed("'if exists(.list) { . = [1, 2] }'", r#"{"list":1}"#, "expected an object");
    failed("'.x = 1'", r#"{"n":1e999}"#, "number out of range");
    failed("'.x = 1'", "[", "no value of the program's");
    let value = format!("{{\"a\":\"{}\"}}", "x".repeat(600));
    failed("'.b = .a'", &value, "made 1215 bytes of it, expected at most 1000");
}

#[test]
fn a_program_without_end_is_stopped() {
    let rows =
        "for_each(array!(.rows)) -> |_i, a| { for_each(array!(.rows)) -> |_j, b| { .n = to_int!(a) + to_int!(b) } }";
    let mut runner = runner(&format!("'{rows}'"));
    let rows = vec!["1"; 2000].join(",");
    let stopped = Made::Failed("the program took more than 1000000 steps".to_owned());
    assert_eq!(made(&mut runner, &format!("{{\"rows\":[{rows}]}}")), stopped);
    assert!(matches!(made(&mut runner, r#"{"rows":[1,2]}"#), Made::Event(_)));
}

#[test]
fn a_panic_is_a_failure() {
    assert_eq!(guarded(|| panic!("of a test")), Made::Failed("the program's interpreter panicked".to_owned()));
}
