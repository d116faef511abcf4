//! Syslog: RFC 5424, RFC 3164 and what rsyslog writes into files (no priority; an RFC 3339 time or the old one).

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

use super::{Parsed, at, cursor::Cursor};
use crate::record::shape;

pub(super) const SEVERITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// A time without year is at most this long after its reading, in seconds: clocks differ.
const AHEAD: i64 = 86_400;

pub(super) fn parse(line: &str, read: Timestamp, zone: &TimeZone) -> Option<Parsed> {
    let mut rest = Cursor(line);
    let mut parsed = Parsed::default();
    if rest.skip("<").is_some() {
        let priority: u8 = rest.until(">")?.parse().ok().filter(|p| *p < 192)?;
        parsed.number("log.syslog.priority", &priority.to_string());
        parsed.number("log.syslog.facility.code", &(priority / 8).to_string());
        parsed.number("log.syslog.severity.code", &(priority % 8).to_string());
        parsed.text("log.level", SEVERITIES[usize::from(priority % 8)]);
        if rest.skip("1 ").is_some() {
            new(&mut parsed, &mut rest)?;
            return Some(parsed);
        }
    }
    parsed.time = Some(old_time(&mut rest, read, zone)?);
    parsed.text("host.hostname", rest.word()?);
    let (tag, message) = rest.0.split_once(": ").unwrap_or((rest.0.trim_end_matches(':'), ""));
    // The program may be missing (the kernel's own lines of some daemons).
    if tag.contains(' ') {
        parsed.text("message", rest.0);
        return Some(parsed);
    }
    match tag.strip_suffix(']').and_then(|tag| tag.split_once('[')) {
        Some((name, process)) => {
            parsed.text("process.name", name);
            parsed.number("process.pid", process);
        }
        None => parsed.text("process.name", tag),
    }
    parsed.text("message", message);
    Some(parsed)
}

/// `TIME HOST APP PROCID MSGID STRUCTURED-DATA MESSAGE`.
fn new(parsed: &mut Parsed, rest: &mut Cursor) -> Option<()> {
    let stamp = rest.word()?;
    if stamp != "-" {
        parsed.time = Some(stamp.parse().ok()?);
    }
    parsed.text("host.hostname", rest.word()?);
    parsed.text("process.name", rest.word()?);
    let process = rest.word()?;
    parsed.number("process.pid", process);
    if process.parse::<u64>().is_err() {
        parsed.text("log.syslog.procid", process);
    }
    parsed.text("log.syslog.msgid", rest.word()?);
    if rest.skip("-").is_none() {
        while rest.0.starts_with('[') {
            element(parsed, rest)?;
        }
    }
    let message = rest.0.trim_start_matches(' ');
    parsed.text("message", message.strip_prefix('\u{feff}').unwrap_or(message));
    Some(())
}

/// `[id name="value" …]`; `"`, `\` and `]` are escaped by a backslash.
fn element(parsed: &mut Parsed, rest: &mut Cursor) -> Option<()> {
    rest.skip("[")?;
    let end = rest.0.find([' ', ']'])?;
    let id = &rest.0[..end];
    rest.0 = rest.0[end..].trim_start_matches(' ');
    while rest.skip("]").is_none() {
        let name = rest.until("=")?;
        let value = rest.quoted()?.replace("\\\"", "\"").replace("\\]", "]").replace("\\\\", "\\");
        // A dot in an id (an enterprise number's) is not a level of its own.
        let path = format!("log.syslog.structured_data.{}.{}", id.replace('.', "_"), name.replace('.', "_"));
        shape::set(&mut parsed.fields, &path, Value::from(value));
    }
    Some(())
}

/// `Nov 21 10:00:00` in the year that fits the time of reading, or RFC 3339.
fn old_time(rest: &mut Cursor, read: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let month = rest.0.get(..3).and_then(|name| MONTHS.iter().position(|m| *m == name));
    let Some(month) = month else { return rest.word()?.parse().ok() };
    let text = rest.0.get(..15)?;
    let day: i8 = text.get(4..6)?.trim_start().parse().ok()?;
    let clock = jiff::civil::Time::strptime("%H:%M:%S", text.get(7..)?).ok()?;
    rest.0 = rest.0.get(15..)?.strip_prefix(' ')?;
    let year = read.to_zoned(zone.clone()).year();
    (year - 1..=year + 1).rev().find_map(|year| {
        let date = Date::new(year, i8::try_from(month).ok()? + 1, day).ok()?;
        let time = at(date.to_datetime(clock), zone)?;
        (time.as_second() <= read.as_second() + AHEAD).then_some(time)
    })
}
