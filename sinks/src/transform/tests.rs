//! Programs from a configuration's text: what they see of records, what becomes of events, and how their mistakes are told.

use logmill_config::{ConfigFile, sinks::SinksConfig};
use serde_json::Value as Json;

use super::*;

fn config(transform: &str) -> SinksConfig {
    let text = format!(
        "sinks:\n  - name: a\n    topics: [t]\n    webhook: {{ url: 'http://h' }}\n    transform: {transform}\n"
    );
    SinksConfig::parse_with("s.yaml", &text, &|_| None).unwrap_or_else(|e| panic!("{e}"))
}

fn record() -> Record<'static> {
    Record {
        topic: "logs.app",
        partition: 2,
        offset: 7,
        timestamp: 1_795_245_407_000,
        key: Some(b"user-7"),
        value: None,
    }
}

fn only(found: Vec<logmill_config::Problem>) -> logmill_config::Problem {
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

struct Bench {
    transformer: Transformer,
    metrics: Metrics,
}

fn bench(transform: &str) -> Bench {
    let config = config(transform);
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let transform = Transform::open(&config.sinks[0], &metrics).unwrap_or_else(|e| panic!("{e}")).unwrap();
    Bench { transformer: transform.transformer(), metrics }
}

impl Bench {
    fn run(&mut self, value: &str) -> Made {
        self.transformer.run(&record(), Some([255; 16]), value.as_bytes())
    }

    fn json(&mut self, value: &str) -> Json {
        match self.run(value) {
            Made::Event(event) => serde_json::from_slice(&event).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn counted(&self, outcome: &str) -> u64 {
        self.metrics.transformed.with_label_values(&["a", outcome]).get()
    }
}

#[test]
fn an_event_is_changed() {
    let mut bench = bench("'.level = upcase(string!(.log.level)); del(.secret); .n = (.n + 1) ?? 0'");
    let event = bench.json(r#"{"log":{"level":"warn"},"secret":"x","n":41,"t":"é\n","big":1.5}"#);
    assert_eq!(event.to_string(), r#"{"big":1.5,"level":"WARN","log":{"level":"warn"},"n":42,"t":"é\n"}"#);
    // Nothing of one event is left for the next.
    assert_eq!(
        bench.json(r#"{"log":{"level":"info"}}"#).to_string(),
        r#"{"level":"INFO","log":{"level":"info"},"n":0}"#
    );
    assert_eq!(bench.counted("changed"), 2);
}

#[test]
fn a_message_is_taken_apart_and_secrets_are_covered() {
    let mut bench = bench(
        r#"|
      . = merge(., parse_key_value!(.message))
      .message = redact(string!(.message), filters: [r'\d{4}-\d{4}'])
      ."@timestamp" = parse_timestamp!(.at, format: "%Y-%m-%d %H:%M:%S")"#,
    );
    let event = bench.json(r#"{"message":"card=1234-5678 user=anna","at":"2026-11-21 07:16:47"}"#);
    assert_eq!(event["message"], "card=[REDACTED] user=anna");
    assert_eq!((&event["user"], &event["@timestamp"]), (&"anna".into(), &"2026-11-21T07:16:47Z".into()));
}

#[test]
fn what_a_program_sees_of_the_record() {
    let mut bench = bench(
        "'. = {\"t\": upcase(%topic), \"p\": %partition + %offset, \"k\": %key, \"ms\": %timestamp, \"id\": %id}'",
    );
    assert_eq!(
        bench.json("{}").to_string(),
        r#"{"id":"_____________________w","k":"user-7","ms":1795245407000,"p":9,"t":"LOGS.APP"}"#
    );
}

#[test]
fn abort_drops_and_errors_go_where_they_are_sent() {
    let mut drops = bench("'if .level == \"debug\" { abort }'");
    assert_eq!(drops.run(r#"{"level":"debug"}"#), Made::Dropped);
    assert_eq!(drops.run(r#"{"level":"info"}"#), Made::Event(br#"{"level":"info"}"#.to_vec()));
    assert_eq!((drops.counted("aborted"), drops.counted("changed")), (1, 1));
    let program = "program: '.n = to_int!(.n)'";
    let mut letters = bench(&format!("{{ {program} }}"));
    let Made::Failed(reason) = letters.run(r#"{"n":"seven"}"#) else { panic!() };
    assert!(reason.contains("to_int"), "{reason}");
    assert_eq!(bench(&format!("{{ {program}, on_error: drop }}")).run(r#"{"n":"seven"}"#), Made::Dropped);
    let mut passes = bench(&format!("{{ {program}, on_error: pass }}"));
    assert_eq!(passes.run(r#"{"n":"seven"}"#), Made::Same);
    assert_eq!((passes.counted("failed"), letters.counted("failed")), (1, 1));
}

#[test]
fn mistakes_are_told_with_line_and_caret() {
    let config = config("|\n      .a = 1\n      .level = upcase(.level)");
    let mistake = only(mistakes(&config));
    let told = mistake.describe("s.yaml");
    assert!(told.starts_with("s.yaml:6:7: sinks[0].transform: does not compile:\nerror[E103]"), "{told}");
    assert!(
        told.contains(":2:10") && told.contains("2 │ .level = upcase(.level)") && told.contains("^^^^^^"),
        "{told}"
    );
    let mistake = only(mistakes(&self::config("'%topic = \"b\"'")));
    assert!(mistake.message.contains("read-only"), "{}", mistake.message);
    assert!(mistakes(&self::config("'.x = 1'")).is_empty());
}

#[test]
fn what_is_odd_is_a_warning() {
    let odd = config("'upcase(\"a\"); .x = 1'");
    assert!(mistakes(&odd).is_empty());
    let warning = only(warnings(&odd));
    assert!(warning.message.contains("warning"), "{}", warning.message);
    assert!(warnings(&config("'.x = 1'")).is_empty());
}
