//! Reads `parse`, `path_fields` and what belongs to them.

use std::collections::BTreeMap;

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use regex::Regex;

use crate::{
    agent::{Parse, PathFields, grok},
    names,
    section::Section,
    value::Value,
};

const EXPRESSIONS: [&str; 3] = ["regex", "grok", "csv"];

pub(super) fn parser(value: &Value) -> Option<Parse> {
    let words = [
        ("auto", Parse::Auto),
        ("raw", Parse::Raw),
        ("json", Parse::Json),
        ("logfmt", Parse::Logfmt),
        ("nginx", Parse::Nginx),
        ("apache", Parse::Apache),
        ("syslog", Parse::Syslog),
    ];
    value.section_or(expression, |v| v.choice(&words, &[]))
}

fn expression(mut s: Section) -> Option<Parse> {
    let given = EXPRESSIONS.iter().filter(|key| s.given(key)).count();
    if given != 1 {
        s.fail_here("expected one of: regex, grok, csv");
    }
    let time = s.get("time").and_then(|v| time_format(&v));
    let parse = s.get("regex").and_then(|v| regex(&v)).map(|pattern| Parse::Regex { pattern, time: time.clone() });
    let of_grok = grok_of(&mut s, time.as_ref());
    let of_csv = csv(&mut s, time.as_ref());
    s.finish();
    parse.or(of_grok).or(of_csv).filter(|_| given == 1)
}

fn grok_of(s: &mut Section, time: Option<&String>) -> Option<Parse> {
    let pattern = s.get("grok");
    let own = s.get("patterns");
    if let (Some(own), None) = (&own, &pattern) {
        return own.fail("is for grok, which is not there");
    }
    let own: BTreeMap<String, String> = own.and_then(|v| v.text_map()).unwrap_or_default();
    let value = pattern?;
    let pattern = value.text_that_is("grok pattern")?;
    let compiled = match grok::compile(&pattern, &own) {
        Ok(compiled) => compiled,
        Err(error) => return value.fail(format!("is not a grok pattern: {error}")),
    };
    let mut names = compiled.capture_names().peekable();
    if names.peek().is_none() {
        return value.fail("gives no field, expected a pattern with one such as %{GREEDYDATA:message}");
    }
    for name in names {
        let field = grok::field(name);
        if !names::is_field_path(&field) {
            return value.fail(format!("\"{name}\" is not a field, expected a name such as log.level or [log][level]"));
        }
        match compiled.get_extract(name) {
            None | Some("int" | "float") => {}
            Some(other) => {
                return value.fail(format!("\"{other}\" of {field} is not known as a type, expected int or float"));
            }
        }
    }
    drop(compiled);
    Some(Parse::Grok { pattern, own, time: time.cloned() })
}

fn csv(s: &mut Section, time: Option<&String>) -> Option<Parse> {
    let columns = s.get("csv");
    if columns.is_none()
        && let Some(delimiter) = s.get("delimiter")
    {
        return delimiter.fail("is for csv, which is not there");
    }
    let delimiter = s.or("delimiter", ',', delimiter);
    let items = columns?.list("columns")?;
    let mut taken: Vec<String> = Vec::new();
    let mut columns = Vec::new();
    for item in &items {
        let Some(name) = item.text_that_is("column name") else { continue };
        if name == "_" {
            columns.push(None);
        } else if !names::is_field_path(&name) {
            item.fail::<()>("is not a field name, expected e.g. http.status, or _ for a column that is left out");
        } else if let Some(other) = taken.iter().find(|other| names::one_inside_other(other, &name)) {
            item.fail::<()>(format!("is a field beside \"{other}\", expected one of its own"));
        } else {
            taken.push(name.clone());
            columns.push(Some(name));
        }
    }
    let delimiter = u8::try_from(delimiter).unwrap_or(b',');
    (columns.len() == items.len()).then(|| Parse::Csv { columns, delimiter, time: time.cloned() })
}

fn delimiter(value: &Value) -> Option<char> {
    let text = value.text_that_is("character")?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii_punctuation() && c != '"' => Some(c),
        _ if text == "tab" => Some('\t'),
        _ => value.fail("is not a delimiter, expected one character such as ; or | or the word tab"),
    }
}

/// A regular expression with a named group at least.
fn regex(value: &Value) -> Option<String> {
    let text = value.text_that_is("regular expression")?;
    let regex = match Regex::new(&text) {
        Ok(regex) => regex,
        Err(error) => return value.fail(format!("is not a regular expression: {error}")),
    };
    let mut named = regex.capture_names().flatten().peekable();
    if named.peek().is_none() {
        return value.fail("gives no field, expected a named group such as (?<message>.*)");
    }
    for name in named {
        if !names::is_field_path(&name.replace("__", ".")) {
            return value
                .fail(format!("group \"{name}\" is no field, expected a name such as log__level for log.level"));
        }
    }
    Some(text)
}

pub(super) fn path_fields(value: &Value) -> Option<PathFields> {
    let kubernetes = value.word("kubernetes", PathFields::Kubernetes);
    kubernetes.or_else(|| regex(value).map(PathFields::Pattern))
}

fn time_format(value: &Value) -> Option<String> {
    let text = value.text_that_is("time format")?;
    match strtime::format(&text, &Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC)) {
        Ok(_) => Some(text),
        Err(error) => value.fail(format!("is not a time format, expected e.g. %Y-%m-%d %H:%M:%S: {error}")),
    }
}
