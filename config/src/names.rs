//! Names with rules of their own: topics, inputs and sinks, globs, field paths, index names, URLs.

use std::collections::BTreeSet;

use jiff::{fmt::temporal::DateTimeParser, tz::TimeZone};

use crate::{
    template::{Meta, Part, Template},
    value::Value,
};

/// A Kafka topic: 1 to 249 of ASCII letters, digits, `.`, `_` and `-`; not `.` or `..`.
pub(crate) fn topic(value: &Value) -> Option<String> {
    let name = value.text_that_is("topic name")?;
    match topic_fault(&name) {
        None => Some(name),
        Some(fault) => value.fail(fault),
    }
}

/// A topic whose name may hold `{field}` parts.
pub(crate) fn topic_template(value: &Value) -> Option<Template> {
    let text = value.text_that_is("topic name, with {field} parts or without")?;
    let template = match Template::parse(&text) {
        Ok(template) => template,
        Err(reason) => return value.fail(reason),
    };
    let mut name = String::new();
    for part in template.parts() {
        match part {
            Part::Text(text) => name.push_str(text),
            Part::Field(_) => name.push('0'),
            Part::Meta(_) => {
                return value.fail(format!("\"{text}\" is not known in a topic, expected fields of the record"));
            }
        }
    }
    match topic_fault(&name) {
        None => Some(template),
        Some(fault) => value.fail(fault),
    }
}

fn topic_fault(name: &str) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name == "." || name == ".." {
        return Some(format!("\"{name}\" is not a topic name"));
    }
    if name.len() > 249 {
        return Some("longer than 249 characters, which no topic name may be".into());
    }
    if !name.bytes().all(allowed) {
        return Some(format!(
            "\"{name}\" is not a topic name, expected only ASCII letters, digits, \".\", \"_\" and \"-\""
        ));
    }
    None
}

/// `local`, `UTC`, an offset or a name of the time zone database.
pub(crate) fn time_zone(value: &Value) -> Option<TimeZone> {
    if let Some(zone) = value.word("local", TimeZone::system()) {
        return Some(zone);
    }
    let text = value.text_that_is("time zone")?;
    match DateTimeParser::new().parse_time_zone(&text) {
        Ok(zone) => Some(zone),
        Err(_) => value.fail(format!(
            "\"{text}\" is not a time zone, expected local, UTC, an offset such as +02:00, or e.g. Europe/Berlin"
        )),
    }
}

/// A topic, or `^regex`.
pub(crate) fn topic_or_regex(value: &Value) -> Option<String> {
    let text = value.text_that_is("topic name or ^regex")?;
    if !text.starts_with('^') {
        return topic(value);
    }
    match regex::Regex::new(&text) {
        Ok(_) => Some(text),
        Err(e) => {
            let reason = e.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            value.fail(format!("\"{text}\" is not a regular expression: {reason}"))
        }
    }
}

/// The name of an input or sink: letters, digits, `.`, `_` and `-`, used once.
pub(crate) fn unique(value: &Value, taken: &mut BTreeSet<String>) -> Option<String> {
    let name = value.text_that_is("name")?;
    if name.len() > 100 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        return value.fail(format!(
            "\"{name}\" is not a name, expected up to 100 ASCII letters, digits, \".\", \"_\" and \"-\""
        ));
    }
    if !taken.insert(name.clone()) {
        return value.fail(format!("\"{name}\" is used twice, expected a name of its own"));
    }
    Some(name)
}

/// Every item that is a glob; the others are reported.
pub(crate) fn globs(values: &[Value]) -> Vec<String> {
    values
        .iter()
        .filter_map(|v| {
            let text = v.text_that_is("glob")?;
            match globset::GlobBuilder::new(&text).literal_separator(true).build() {
                Ok(_) => Some(text),
                Err(e) => v.fail(format!("\"{text}\" is not a glob: {}", e.kind())),
            }
        })
        .collect()
}

/// A dotted path without empty parts.
pub(crate) fn is_field_path(path: &str) -> bool {
    path.split('.').all(|part| !part.is_empty() && !part.contains(char::is_whitespace))
}

/// Whether one dotted path is the other or inside it.
pub(crate) fn one_inside_other(a: &str, b: &str) -> bool {
    let inside =
        |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|r| r.is_empty() || r.starts_with('.'));
    inside(a, b) || inside(b, a)
}

/// `http://HOST[:PORT][/PATH]` or https.
pub(crate) fn url(value: &Value) -> Option<String> {
    let text = value.text_that_is("URL")?;
    is_url(value, &text, &text, "?#", "http://localhost:9200")?;
    Some(text.trim_end_matches('/').to_owned())
}

/// A URL whose path and query may hold `{field}` parts: which host is talked to is never an event's choice.
pub(crate) fn url_template(value: &Value) -> Option<Template> {
    let text = value.text_that_is("URL with {field} parts")?;
    let template = match Template::parse(&text) {
        Ok(template) => template,
        Err(reason) => return value.fail(reason),
    };
    let mut filled = String::new();
    for part in template.parts() {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Meta(Meta::Source) => return value.fail("holds {_source}, expected fields of the event"),
            Part::Field(_) | Part::Meta(_) => {
                if !filled.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?'])) {
                    return value.fail("holds a field before its path, expected a fixed scheme, host and port");
                }
                filled.push('x');
            }
        }
    }
    is_url(value, &filled, &text, "#{}\"<>\\^`|", "http://localhost:8080/events/{user.id}")?;
    Some(template)
}

/// Reports what is wrong with `url`, written as `text`.
fn is_url(value: &Value, url: &str, text: &str, refused: &str, example: &str) -> Option<()> {
    let rest = match url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) {
        Some(rest) => rest,
        None if url.contains("://") => {
            return value.fail(format!("\"{text}\" is not a URL logmill speaks, expected http:// or https://"));
        }
        None => return value.fail(format!("\"{text}\" is not a URL, did you mean \"http://{text}\"?")),
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return value.fail("a URL with user and password, expected those under auth");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let bad_port = port.is_some_and(|p| !p.parse::<u16>().is_ok_and(|p| p > 0));
    let odd = url.contains(|c: char| c.is_whitespace() || c.is_control() || refused.contains(c));
    if host.is_empty() || bad_port || odd {
        return value.fail(format!("\"{text}\" is not a URL, expected e.g. {example}"));
    }
    Some(())
}

/// An index name with `%Y`-like dates and `{field}` parts, by Elasticsearch's rules for index names.
pub(crate) fn index(value: &Value) -> Option<String> {
    let text = value.text_that_is("index name with %Y and {field} parts")?;
    match index_fault(&text) {
        None => {
            for kind in ["logs", "metrics", "traces"] {
                let fixed = text.split(['%', '{']).next().unwrap_or_default();
                let parts: Vec<_> = fixed.splitn(3, '-').collect();
                if parts.first() == Some(&kind) && parts.len() == 3 {
                    value.findings.warning(
                        value.node.mark,
                        &value.path,
                        format!(
                            "matches {kind}-*-*, which Elasticsearch's own template makes a data stream, expected another beginning such as app-{kind}"
                        ),
                    );
                }
            }
            Some(text)
        }
        Some(fault) => value.fail(fault),
    }
}

/// The name of a data stream, which has no date: its backing indices do.
pub(crate) fn data_stream(value: &Value) -> Option<String> {
    let text = value.text_that_is("data stream name")?;
    if text.contains('%') {
        return value.fail("a data stream's name has no date, expected e.g. \"logs-app-default\"");
    }
    match index_fault(&text) {
        None => Some(text),
        Some(fault) => value.fail(fault),
    }
}

/// The name of an index template or a lifecycle policy.
pub(crate) fn template(value: &Value) -> Option<String> {
    let name = value.text_that_is("template name")?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if name.len() > 200 || name.starts_with(['_', '.']) || !name.bytes().all(allowed) {
        return value.fail(format!(
            "\"{name}\" is no template's name, expected up to 200 lower case ASCII letters, digits, \".\", \"_\" and \"-\""
        ));
    }
    Some(name)
}

const DATE_PARTS: &str = "YmdHjGVy";

fn index_fault(text: &str) -> Option<String> {
    let mut fixed = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next() {
                Some(part) if DATE_PARTS.contains(part) => fixed.push('0'),
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Some(format!("\"%{other}\" is not a date part, expected %Y, %m, %d, %H, %j, %G, %V or %y"));
                }
            },
            '{' => {
                let mut field = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(c) => field.push(c),
                        None => return Some("\"{\" without a closing \"}\", expected {field.name}".into()),
                    }
                }
                if !is_field_path(&field) {
                    return Some(format!("\"{{{field}}}\" names no field, expected e.g. {{service.name}}"));
                }
                fixed.push('0');
            }
            c => fixed.push(c),
        }
    }
    if let Some(c) = fixed.chars().find(|c| " \"*\\<|,>/?#:}".contains(*c) || c.is_control()) {
        return Some(format!("an index name cannot contain \"{c}\""));
    }
    if fixed.chars().any(char::is_uppercase) {
        return Some(format!("an index name is lower case, did you mean \"{}\"?", lower_outside_parts(text)));
    }
    if fixed.starts_with(['-', '_', '+', '.']) {
        return Some("an index name cannot begin with \"-\", \"_\", \"+\" or \".\"".into());
    }
    if text.len() > 200 {
        return Some("longer than 200 bytes, expected a shorter index name".into());
    }
    None
}

/// Lower case, except after `%` and inside `{}`.
fn lower_outside_parts(text: &str) -> String {
    let (mut out, mut keep_one, mut in_field) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            '{' => in_field = true,
            '}' => in_field = false,
            _ => {}
        }
        if keep_one || in_field {
            out.push(c);
        } else {
            out.extend(c.to_lowercase());
        }
        keep_one = c == '%';
    }
    out
}
