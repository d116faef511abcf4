//! Reads a sink's `when:`. What stands side by side must hold together.

use regex::Regex;

use crate::{
    names::is_field_path,
    sinks::{Condition, Pattern, Range, Subject},
    tree::Kind,
    value::Value,
};

const WORDS: &str = "equals, contains, regexp, range, has_fields, and, or, not";

pub(super) fn read(value: &Value) -> Option<Condition> {
    let mut s = value.section()?;
    let mut all: Vec<Option<Condition>> = Vec::new();
    if let Some(v) = s.get("equals") {
        all.extend(pairs(&v, |subject, v| Some(Condition::Equals(subject, v.any_text()?))));
    }
    if let Some(v) = s.get("contains") {
        all.extend(pairs(&v, |subject, v| Some(Condition::Contains(subject, v.text()?))));
    }
    if let Some(v) = s.get("regexp") {
        all.extend(pairs(&v, |subject, v| Some(Condition::Regexp(subject, pattern(v)?))));
    }
    if let Some(v) = s.get("range") {
        all.extend(pairs(&v, |subject, v| Some(Condition::Range(subject, range(v)?))));
    }
    if let Some(v) = s.get("has_fields") {
        let fields = v.list("fields").unwrap_or_default();
        all.extend(fields.iter().map(|v| Some(Condition::HasField(subject(&v.text()?, v)?))));
    }
    if let Some(v) = s.get("and") {
        all.push(list(&v).map(Condition::And));
    }
    if let Some(v) = s.get("or") {
        all.push(list(&v).map(Condition::Or));
    }
    if let Some(v) = s.get("not") {
        all.push(inner(&v).map(|condition| Condition::Not(Box::new(condition))));
    }
    let bare = all.is_empty() && s.entries().next().is_none();
    s.finish();
    if bare {
        return value.fail(format!("says nothing, expected one of: {WORDS}"));
    }
    let mut all: Vec<_> = all.into_iter().collect::<Option<_>>()?;
    if all.len() < 2 { all.pop() } else { Some(Condition::And(all)) }
}

/// One inside another, of which the description has the outer one only.
fn inner(value: &Value) -> Option<Condition> {
    if matches!(value.node.kind, Kind::Any) {
        let _ = value.section()?.entries().count();
        return None;
    }
    read(value)
}

fn list(value: &Value) -> Option<Vec<Condition>> {
    // Each is read, so that the mistakes of all are said.
    let read: Vec<_> = value.list("conditions")?.iter().map(inner).collect();
    read.into_iter().collect()
}

fn pairs(value: &Value, each: impl Fn(Subject, &Value) -> Option<Condition>) -> Vec<Option<Condition>> {
    let Some(section) = value.section() else { return vec![None] };
    let read: Vec<_> = section.entries().map(|(name, v)| each(subject(name, &v)?, &v)).collect();
    if read.is_empty() { vec![value.fail("names no field, expected e.g. { log.level: error }")] } else { read }
}

fn subject(name: &str, value: &Value) -> Option<Subject> {
    match name {
        "_key" => Some(Subject::Key),
        "_topic" => Some(Subject::Topic),
        name if name.starts_with('_') => {
            value.fail(format!("\"{name}\" is not known, expected a field, _key or _topic"))
        }
        name if name.len() <= 200 && is_field_path(name) => Some(Subject::Field(name.to_owned())),
        name => value.fail(format!("\"{name}\" is no field, expected e.g. log.level")),
    }
}

fn pattern(value: &Value) -> Option<Pattern> {
    let text = value.text()?;
    match Regex::new(&text) {
        Ok(regex) => Some(Pattern::new(regex)),
        Err(e) => {
            let reason = e.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            value.fail(format!("\"{text}\" is not a regular expression: {reason}"))
        }
    }
}

fn range(value: &Value) -> Option<Range> {
    let mut s = value.section()?;
    let mut bound = |key| s.get(key).map(|v| number(&v));
    let [gte, gt, lte, lt] = [bound("gte"), bound("gt"), bound("lte"), bound("lt")];
    s.finish();
    if [gte, gt, lte, lt].iter().all(Option::is_none) {
        return value.fail("has no bound, expected e.g. { gte: 400, lt: 500 }");
    }
    let all = |bound: Option<Option<f64>>| bound.is_none_or(|bound| bound.is_some());
    if ![gte, gt, lte, lt].into_iter().all(all) {
        return None;
    }
    Some(Range { gte: gte.flatten(), gt: gt.flatten(), lte: lte.flatten(), lt: lt.flatten() })
}

fn number(value: &Value) -> Option<f64> {
    let text = value.text()?;
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Some(number),
        _ => value.fail(format!("\"{text}\" is not a number")),
    }
}
