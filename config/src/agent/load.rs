//! Reads agent.yaml.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use regex::Regex;

use super::{AgentConfig, Input, Key, Limit, LimitPer, OnExceed, OnLongLine, Parse, ReadFrom};
use crate::{
    file::{self, Checked},
    kafka, names,
    problem::Errors,
    section::Section,
    value::Value,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const PARSERS_NOT_YET: [&str; 2] = ["cri", "csv"];

/// The reference agent.yaml that users copy and `logmill up` runs on.
pub const REFERENCE: &str = include_str!("../../agent.yaml");

/// Loads and checks a file.
pub fn load(path: &Path) -> Result<AgentConfig, Errors> {
    parse(&path.display().to_string(), &file::read(path)?)
}

/// Checks a text; `name` stands for it in errors.
pub fn parse(name: &str, text: &str) -> Result<AgentConfig, Errors> {
    parse_with(name, text, &file::process_env)
}

/// As [`parse`], with `env` answering for `${VAR}`.
pub fn parse_with(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<AgentConfig, Errors> {
    check(name, text, env).map(|checked| checked.config)
}

/// As [`parse_with`], with what is odd but allowed.
pub fn check(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Checked<AgentConfig>, Errors> {
    file::parse(name, text, env, build)
}

fn build(root: &mut Section) -> AgentConfig {
    let inputs = root
        .need("inputs", "[{ name: app, include: [\"/var/log/app/*.log\"], topic: logs.app }]", |v| v.list("inputs"));
    let mut taken = BTreeSet::new();
    let buffer_bytes = root.or("buffer_bytes", 16 * MIB, |v| v.size(MIB, 4096 * MIB));
    let inputs = inputs.unwrap_or_default().iter().filter_map(|v| input(v, &mut taken, buffer_bytes)).collect();
    AgentConfig {
        state_dir: root.or("state_dir", "/var/lib/logmill-agent".into(), Value::path),
        kafka: kafka::read(root, kafka::Role::Producer),
        inputs,
        host_name: root.get("host_name").and_then(|v| v.text()),
        buffer_bytes,
        rescan_interval: root.or("rescan_interval", 10 * SECOND, |v| v.duration(SECOND / 10, 3600 * SECOND)),
        max_open_files: root.or("max_open_files", 1024, |v| v.number(16, 1_000_000)),
        metrics: root.or("metrics", ([127, 0, 0, 1], 9601).into(), Value::socket),
        shutdown_timeout: root.or("shutdown_timeout", 8 * SECOND, |v| v.duration(SECOND / 10, 600 * SECOND)),
    }
}

fn input(value: &Value, taken: &mut BTreeSet<String>, buffer_bytes: u64) -> Option<Input> {
    let mut s = value.section()?;
    s.not_yet(&[("multiline", ""), ("encoding", "files are read as UTF-8"), ("gzip", "")]);
    let include = s.need("include", "[\"/var/log/app/*.log\"]", |v| Some(names::globs(&v.list("globs")?)));
    let max_line_bytes = s.or("max_line_bytes", 256 * KIB, |v| {
        let n = v.size(64, 64 * MIB)?;
        if n > buffer_bytes {
            return v.fail("is more than buffer_bytes, expected at most that");
        }
        Some(n)
    });
    let input = Input {
        name: s.need("name", "app", |v| names::unique(v, taken)).unwrap_or_default(),
        include: include.unwrap_or_default(),
        exclude: s.or("exclude", Vec::new(), |v| Some(names::globs(&v.any_list("globs")?))),
        topic: s.need("topic", "logs.app", names::topic).unwrap_or_default(),
        key: s.or("key", Key::File, key),
        read_from: s.or("read_from", ReadFrom::Beginning, |v| {
            v.choice(&[("beginning", ReadFrom::Beginning), ("end", ReadFrom::End)], &[])
        }),
        parse: s.or("parse", Parse::Auto, parser),
        timezone: s.get("timezone").and_then(|v| names::time_zone(&v)).unwrap_or_else(TimeZone::system),
        numbers: s.or("numbers", Vec::new(), |v| Some(v.any_list("fields")?.iter().filter_map(field).collect())),
        max_line_bytes,
        on_long_line: s.or("on_long_line", OnLongLine::Truncate, |v| {
            let choices =
                [("truncate", OnLongLine::Truncate), ("split", OnLongLine::Split), ("drop", OnLongLine::Drop)];
            v.choice(&choices, &[])
        }),
        flush_unterminated: s.or("flush_unterminated", 5 * SECOND, |v| v.duration(SECOND / 10, 3600 * SECOND)),
        limits: s.or("limits", Vec::new(), |v| Some(v.any_list("limits")?.iter().filter_map(limit).collect())),
        fields: s.or("fields", BTreeMap::new(), fields),
    };
    s.finish();
    Some(input)
}

fn key(value: &Value) -> Option<Key> {
    let text = value.text()?;
    if let Some(field) = text.strip_prefix("field:") {
        if names::is_field_path(field) {
            return Some(Key::Field(field.to_owned()));
        }
        return value.fail(format!("\"{field}\" is not a field, expected a dotted path such as field:user.id"));
    }
    #[derive(Clone, Copy)]
    enum Word {
        None,
        Host,
        File,
        Field,
    }
    let word = value.choice(
        &[("none", Word::None), ("host", Word::Host), ("file", Word::File), ("field:NAME", Word::Field)],
        &[],
    )?;
    match word {
        Word::None => Some(Key::None),
        Word::Host => Some(Key::Host),
        Word::File => Some(Key::File),
        Word::Field => Some(Key::Field("NAME".into())),
    }
}

fn parser(value: &Value) -> Option<Parse> {
    if value.is_section() {
        let mut s = value.section()?;
        s.not_yet(&[("grok", "use regex")]);
        let pattern = s.need("regex", "'^(?<timestamp>\\S+) (?<log__level>\\w+) (?<message>.*)$'", regex);
        let time = s.get("time").and_then(|v| time_format(&v));
        s.finish();
        return Some(Parse::Regex { pattern: pattern?, time });
    }
    #[derive(Clone, Copy)]
    enum Word {
        Auto,
        Raw,
        Json,
        Logfmt,
        Nginx,
        Apache,
        Syslog,
    }
    let words = [
        ("auto", Word::Auto),
        ("raw", Word::Raw),
        ("json", Word::Json),
        ("logfmt", Word::Logfmt),
        ("nginx", Word::Nginx),
        ("apache", Word::Apache),
        ("syslog", Word::Syslog),
    ];
    Some(match value.choice(&words, &PARSERS_NOT_YET)? {
        Word::Auto => Parse::Auto,
        Word::Raw => Parse::Raw,
        Word::Json => Parse::Json,
        Word::Logfmt => Parse::Logfmt,
        Word::Nginx => Parse::Nginx,
        Word::Apache => Parse::Apache,
        Word::Syslog => Parse::Syslog,
    })
}

/// A regular expression with a named group at least.
fn regex(value: &Value) -> Option<String> {
    let text = value.text()?;
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

fn time_format(value: &Value) -> Option<String> {
    let text = value.text()?;
    match strtime::format(&text, &Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC)) {
        Ok(_) => Some(text),
        Err(error) => value.fail(format!("is not a time format, expected e.g. %Y-%m-%d %H:%M:%S: {error}")),
    }
}

fn field(value: &Value) -> Option<String> {
    let text = value.text()?;
    if names::is_field_path(&text) { Some(text) } else { value.fail("is not a field name, expected e.g. http.status") }
}

fn limit(value: &Value) -> Option<Limit> {
    let mut s = value.section()?;
    let lines_per_second = s.get("lines_per_second").and_then(|v| v.number(1, u32::MAX));
    let bytes_per_second = s.get("bytes_per_second").and_then(|v| v.size(1, u64::from(u32::MAX)));
    let rates = s.given("lines_per_second") || s.given("bytes_per_second");
    let burst = s.get("burst");
    if !rates {
        s.fail_here("sets no limit, expected lines_per_second, bytes_per_second or both");
    } else if let (Some(burst), false) = (&burst, s.given("lines_per_second")) {
        burst.fail::<()>("counts lines, expected lines_per_second beside it");
    }
    let limit = Limit {
        per: s.or("per", LimitPer::File, |v| {
            v.choice(&[("file", LimitPer::File), ("input", LimitPer::Input)], &["host", "field"])
        }),
        lines_per_second,
        bytes_per_second,
        burst: burst.and_then(|v| v.number(1, u32::MAX)),
        on_exceed: s.or("on_exceed", OnExceed::Delay, |v| v.choice(&[("delay", OnExceed::Delay)], &["drop", "sample"])),
    };
    s.finish();
    Some(limit)
}

fn fields(value: &Value) -> Option<BTreeMap<String, serde_json::Value>> {
    let section = value.section()?;
    let mut fields: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    for (name, v) in section.entries() {
        if !names::is_field_path(name) {
            v.fail::<()>("is not a field name, expected a dotted path such as service.name");
        } else if matches!(name, "@timestamp" | "message") {
            v.fail::<()>("comes from the line itself, expected another field");
        } else if let Some(other) = fields.keys().find(|other| names::one_inside_other(other, name)) {
            let message = format!("one field is inside the other: \"{other}\" has a value of its own");
            v.fail::<()>(message);
        } else if let Some(json) = v.json() {
            fields.insert(name.to_owned(), json);
        }
    }
    Some(fields)
}
