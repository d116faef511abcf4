//! Whether a record is one that its sink delivers (`when`).

use std::borrow::Cow;

use logmill_config::sinks::{Condition, Subject};
use serde_json::Value;

use crate::event::Record;

/// # Errors
/// The value, which is one JSON object, holds what no JSON value can: a number beyond all bounds, half a character.
pub(crate) fn holds(condition: &Condition, record: &Record<'_>, value: &[u8]) -> Result<bool, String> {
    let document = serde_json::from_slice(value).map_err(|e| format!("no condition can be held against it: {e}"))?;
    Ok(Looked { record, document }.holds(condition))
}

struct Looked<'a> {
    record: &'a Record<'a>,
    document: Value,
}

impl Looked<'_> {
    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::And(all) => all.iter().all(|condition| self.holds(condition)),
            Condition::Or(any) => any.iter().any(|condition| self.holds(condition)),
            Condition::Not(condition) => !self.holds(condition),
            Condition::HasField(subject) => self.any(subject, &mut |_| true),
            Condition::Equals(subject, text) => self.any(subject, &mut |value| equals(value, text)),
            Condition::Contains(subject, part) => self.any(subject, &mut |value| in_text(value, &|t| t.contains(part))),
            Condition::Regexp(subject, pattern) => {
                self.any(subject, &mut |value| in_text(value, &|t| pattern.is_match(t)))
            }
            Condition::Range(subject, range) => {
                self.any(subject, &mut |value| number(value).is_some_and(|number| range.holds(number)))
            }
        }
    }

    /// Whether `test` holds for what the subject is; it does not for what is not there.
    fn any(&self, subject: &Subject, test: &mut dyn FnMut(&Value) -> bool) -> bool {
        match subject {
            Subject::Field(path) => at(&self.document, path, test),
            Subject::Topic => test(&Value::from(self.record.topic)),
            Subject::Key => self.record.key.is_some_and(|key| test(&Value::from(String::from_utf8_lossy(key)))),
        }
    }
}

/// Looks for a path whose dots stand for objects inside objects, or in their keys.
fn at(value: &Value, path: &str, test: &mut dyn FnMut(&Value) -> bool) -> bool {
    let Value::Object(object) = value else { return false };
    if let Some(found) = object.get(path)
        && !found.is_null()
        && test(found)
    {
        return true;
    }
    let dots = path.match_indices('.').map(|(at, _)| at);
    let mut parts = dots.filter_map(|dot| Some((path.get(..dot)?, path.get(dot + 1..)?)));
    parts.any(|(head, rest)| object.get(head).is_some_and(|inner| at(inner, rest, test)))
}

fn equals(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Bool(own) => text == if *own { "true" } else { "false" },
        Value::Number(own) => own.to_string() == text || own.as_f64().is_some_and(|n| text.parse() == Ok(n)),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// A text, or any of a list of them.
fn in_text(value: &Value, test: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::Array(list) => list.iter().any(|item| !item.is_array() && in_text(item, test)),
        Value::Null | Value::Object(_) => false,
        scalar => {
            let text = scalar.as_str().map_or_else(|| Cow::Owned(scalar.to_string()), Cow::Borrowed);
            test(&text)
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use logmill_config::{ConfigFile, sinks::SinksConfig};

    use super::*;

    fn condition(when: &str) -> Condition {
        let text = format!("sinks: [{{ name: a, topics: [t], when: {when}, webhook: {{ url: 'http://h' }} }}]");
        let config = SinksConfig::parse_with("s", &text, &|_| None).unwrap_or_else(|e| panic!("{e}"));
        config.sinks[0].when.clone().unwrap()
    }

    const EVENT: &str = r#"{"log":{"level":"error","n":null},"http.response":{"status_code":503},"took":"12.5","ok":true,
        "tags":["slow","from shop"],"message":"user 7 not found","big":2e2}"#;

    fn record() -> Record<'static> {
        Record { topic: "logs.app", partition: 0, offset: 0, timestamp: 0, key: Some(b"user-7"), value: None }
    }

    fn looked(when: &str) -> bool {
        holds(&condition(when), &record(), EVENT.as_bytes()).unwrap()
    }

    #[test]
    fn what_holds() {
        for when in [
            "{ equals: { log.level: error } }",
            "{ equals: { log.level: error, http.response.status_code: 503 } }",
            "{ equals: { ok: true, big: 200 } }",
            "{ equals: { _topic: logs.app, _key: user-7 } }",
            "{ contains: { message: 'not found' } }",
            "{ contains: { tags: slow } }",
            "{ regexp: { message: '^user \\d+', tags: 'shop$' } }",
            "{ range: { http.response.status_code: { gte: 500, lt: 600 }, took: { gt: 12, lte: 12.5 } } }",
            "{ has_fields: [log, log.level, tags] }",
            "{ or: [{ equals: { a: b } }, { equals: { log.level: error } }] }",
            "{ and: [{ has_fields: [ok] }, { not: { equals: { log.level: debug } } }] }",
            "{ not: { has_fields: [log.n] } }",
            "{ not: { or: [{ equals: { log.level: warn } }, { range: { log.level: { gt: 0 } } }] } }",
        ] {
            assert!(looked(when), "{when}");
        }
    }

    #[test]
    fn what_does_not() {
        for when in [
            "{ equals: { log.level: err } }",
            "{ equals: { log.level: error, missing: x } }",
            "{ equals: { log: error } }",
            "{ equals: { tags: slow } }",
            "{ equals: { log.level.x: error } }",
            "{ contains: { ok2: a } }",
            "{ range: { http.response.status_code: { gt: 503 } } }",
            "{ range: { message: { gt: 0 } } }",
            "{ has_fields: [log, nothing] }",
            "{ has_fields: [log.n] }",
            "{ equals: { log.level: error }, contains: { message: gone } }",
            "{ and: [{ has_fields: [ok] }, { has_fields: [nothing] }] }",
            "{ not: { has_fields: [ok] } }",
        ] {
            assert!(!looked(when), "{when}");
        }
    }

    #[test]
    fn what_is_no_value_is_an_error() {
        let when = condition("{ has_fields: [a] }");
        assert!(holds(&when, &record(), b"{\"a\":1e999}").unwrap_err().contains("number out of range"));
        assert_eq!(holds(&when, &Record { key: None, ..record() }, b"{}"), Ok(false));
        assert_eq!(holds(&condition("{ has_fields: [_key] }"), &Record { key: None, ..record() }, b"{}"), Ok(false));
    }
}
