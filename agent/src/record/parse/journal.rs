//! An entry of the systemd journal, as `journalctl --output=json` writes it: well-known fields under their ECS names, the
//! message in a format of its own.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Parsed, Parser, syslog::SEVERITIES};
use crate::{
    feed,
    record::{ecs, shape, timestamp, timestamp_of},
};

/// What journalctl is asked for; cursor and time it always writes.
pub(crate) const FIELDS: [&str; 25] = [
    "MESSAGE",
    "MESSAGE_ID",
    "PRIORITY",
    "SYSLOG_FACILITY",
    "SYSLOG_IDENTIFIER",
    "SYSLOG_PID",
    "CODE_FILE",
    "CODE_FUNC",
    "CODE_LINE",
    "CONTAINER_ID_FULL",
    "CONTAINER_NAME",
    "IMAGE_NAME",
    "UNIT",
    "_BOOT_ID",
    "_CMDLINE",
    "_COMM",
    "_EXE",
    "_GID",
    "_HOSTNAME",
    "_MACHINE_ID",
    "_PID",
    "_SYSTEMD_UNIT",
    "_SYSTEMD_USER_UNIT",
    "_TRANSPORT",
    "_UID",
];

/// Those that are taken over as they are.
const TEXTS: [(&str, &str); 15] = [
    ("MESSAGE_ID", "event.code"),
    ("CODE_FILE", "log.origin.file.name"),
    ("CODE_FUNC", "log.origin.function"),
    ("CONTAINER_ID_FULL", "container.id"),
    ("CONTAINER_NAME", "container.name"),
    ("IMAGE_NAME", "container.image.name"),
    ("_BOOT_ID", "host.boot.id"),
    ("_CMDLINE", "process.command_line"),
    ("_EXE", "process.executable"),
    ("_GID", "user.group.id"),
    ("_HOSTNAME", "host.hostname"),
    ("_MACHINE_ID", "host.id"),
    ("_SYSTEMD_USER_UNIT", "systemd.user_unit"),
    ("_TRANSPORT", "systemd.transport"),
    ("_UID", "user.id"),
];

pub(super) fn parse(line: &str, format: &Parser, read: Timestamp) -> Option<Parsed> {
    let entry: Map<String, Value> = serde_json::from_str(line).ok()?;
    let text = |field: &str| {
        let bytes = feed::text(entry.get(field)?)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let number = |field: &str| text(field)?.trim().parse::<u64>().ok();
    let mut parsed = Parsed::default();
    for (field, path) in TEXTS {
        parsed.text(path, &text(field).unwrap_or_default());
    }
    parsed.text("process.name", &text("SYSLOG_IDENTIFIER").or_else(|| text("_COMM")).unwrap_or_default());
    parsed.number("process.pid", &text("_PID").or_else(|| text("SYSLOG_PID")).unwrap_or_default());
    parsed.number("log.origin.file.line", &text("CODE_LINE").unwrap_or_default());
    // What systemd itself says of a unit is that unit's.
    let unit = text("_SYSTEMD_UNIT").filter(|unit| unit != "init.scope");
    parsed.text("systemd.unit", &unit.or_else(|| text("UNIT")).or_else(|| text("_SYSTEMD_UNIT")).unwrap_or_default());
    let severity = number("PRIORITY").filter(|severity| *severity < 8);
    let facility = number("SYSLOG_FACILITY").filter(|facility| *facility < 1024);
    if let Some(severity) = severity {
        parsed.number("log.syslog.severity.code", &severity.to_string());
        parsed.text("log.level", usize::try_from(severity).ok().and_then(|at| SEVERITIES.get(at)).unwrap_or(&""));
    }
    if let Some(facility) = facility {
        parsed.number("log.syslog.facility.code", &facility.to_string());
        let priority = severity.map(|severity| (facility * 8 + severity).to_string());
        parsed.number("log.syslog.priority", &priority.unwrap_or_default());
    }
    let micros = text("__REALTIME_TIMESTAMP").and_then(|text| text.parse().ok());
    parsed.time = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    if let Some(message) = text("MESSAGE") {
        say(&mut parsed, message, format, read);
    }
    Some(parsed)
}

/// The message alone, for a record that has no room for more; the line itself if it has none.
pub(super) fn message(line: &[u8]) -> Cow<'_, [u8]> {
    let entry: Option<Map<String, Value>> = serde_json::from_slice(line).ok();
    let message = entry.as_ref().and_then(|entry| feed::text(entry.get("MESSAGE")?)).map(Cow::into_owned);
    message.map_or(Cow::Borrowed(line), Cow::Owned)
}

/// Adds what the message says in its own format, which wins; one of another format is kept whole.
fn say(parsed: &mut Parsed, message: String, format: &Parser, read: Timestamp) {
    let object = || -> Option<Map<String, Value>> {
        message.trim_start().starts_with('{').then(|| serde_json::from_str(&message).ok()).flatten()
    };
    let inside = match format {
        Parser::Raw => None,
        Parser::Auto | Parser::Json => object().map(|fields| Parsed { time: time_of(&fields), fields }),
        Parser::Fields(format) => format.parse(&message, parsed.time.unwrap_or(read)),
    };
    match inside {
        Some(inside) => {
            parsed.time = inside.time.or(parsed.time);
            overlay(&mut parsed.fields, inside.fields);
        }
        None => {
            parsed.fields.insert("message".into(), message.into());
            if matches!(format, Parser::Json | Parser::Fields(_)) {
                parsed.fields.insert("tags".into(), vec!["parse_failure"].into());
            }
        }
    }
}

fn time_of(fields: &Map<String, Value>) -> Option<Timestamp> {
    timestamp::FIELDS.iter().find_map(|field| {
        let value = fields.get(*field)?;
        match timestamp_of(value)? {
            timestamp::Time::Of(time) => Some(time),
            timestamp::Time::Canonical => value.as_str()?.parse().ok(),
        }
    })
}

fn overlay(tree: &mut Map<String, Value>, over: Map<String, Value>) {
    for (name, value) in over {
        match (tree.get_mut(&name), value) {
            (Some(Value::Object(there)), Value::Object(value)) => overlay(there, value),
            (Some(Value::Object(_)), value) if ecs::is_object(name.as_bytes()) => shape::label(tree, &name, value),
            (_, value) => drop(tree.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_config::{ConfigFile, agent::AgentConfig};
    use serde_json::json;

    use super::*;

    fn parsed(parse_key: &str, entry: &Value) -> (Value, Option<String>) {
        let yaml = format!("inputs: [{{ name: j, source: journal, topic: t, parse: {parse_key} }}]");
        let config = AgentConfig::parse("agent.yaml", &yaml).unwrap();
        let Parser::Fields(format) = Parser::new(&config.inputs[0]).unwrap() else { panic!("no format") };
        let parsed = format.parse(&entry.to_string(), Timestamp::UNIX_EPOCH).unwrap();
        (Value::Object(parsed.fields), parsed.time.map(|time| time.to_string()))
    }

    #[test]
    fn known_fields_have_ecs_names_and_others_are_left_out() {
        let entry = json!({
            "__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1700000000123456", "__MONOTONIC_TIMESTAMP": "5",
            "MESSAGE": "hello", "PRIORITY": "4", "SYSLOG_FACILITY": "3", "SYSLOG_IDENTIFIER": "nginx", "_COMM": "ng",
            "_PID": "77", "_UID": "0", "_SYSTEMD_UNIT": "nginx.service", "_HOSTNAME": "web-1", "_TRANSPORT": "stdout",
            "CODE_FILE": "a.c", "CODE_LINE": "9", "FOO": "bar",
        });
        let expected = json!({
            "message": "hello",
            "log": {
                "level": "warning", "origin": { "file": { "name": "a.c", "line": 9 } },
                "syslog": { "severity": { "code": 4 }, "facility": { "code": 3 }, "priority": 28 },
            },
            "process": { "name": "nginx", "pid": 77 }, "user": { "id": "0" }, "host": { "hostname": "web-1" },
            "systemd": { "unit": "nginx.service", "transport": "stdout" },
        });
        assert_eq!((expected, Some("2023-11-14T22:13:20.123456Z".into())), parsed("auto", &entry));
    }

    #[test]
    fn messages_may_be_bytes_none_or_of_a_format_of_their_own() {
        let message =
            |parse_key: &str, message: Value| parsed(parse_key, &json!({"MESSAGE": message, "PRIORITY": "6"})).0;
        assert_eq!(
            message("auto", json!([97, 255])),
            json!({"message": "a\u{fffd}", "log": {"level": "informational", "syslog": {"severity": {"code": 6}}}})
        );
        assert!(message("auto", Value::Null).get("message").is_none());
        assert_eq!("-", message("raw", json!("-"))["message"]);
        let object = message("auto", json!(r#"{"message":"m","log":{"level":"error"},"took":5}"#));
        assert_eq!(
            (&json!("m"), &json!(5), &json!("error")),
            (&object["message"], &object["took"], &object["log"]["level"])
        );
        assert_eq!(r#"{"took":5}"#, message("raw", json!(r#"{"took":5}"#))["message"]);
        assert_eq!(json!(["parse_failure"]), message("json", json!("no object"))["tags"]);
        let logfmt = message("logfmt", json!("msg=hi user.id=7"));
        assert_eq!((&json!("hi"), &json!("7")), (&logfmt["message"], &logfmt["user"]["id"]));
        let (_, time) =
            parsed("auto", &json!({"MESSAGE": r#"{"ts":"2026-01-01T00:00:00Z"}"#, "__REALTIME_TIMESTAMP": "1"}));
        assert_eq!(Some("2026-01-01T00:00:00Z"), time.as_deref());
    }

    #[test]
    fn what_systemd_says_of_a_unit_is_that_units() {
        let unit = |entry: Value| parsed("auto", &entry).0["systemd"]["unit"].clone();
        assert_eq!("a.service", unit(json!({"_SYSTEMD_UNIT": "init.scope", "UNIT": "a.service"})));
        assert_eq!("init.scope", unit(json!({"_SYSTEMD_UNIT": "init.scope"})));
        assert_eq!("b.service", unit(json!({"_SYSTEMD_UNIT": "b.service", "UNIT": "a.service"})));
    }

    #[test]
    fn all_that_is_mapped_is_asked_for() {
        assert!(TEXTS.iter().all(|(field, _)| FIELDS.contains(field)));
    }
}
