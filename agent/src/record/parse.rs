//! Line formats beside JSON: each gives the fields it found, by their ECS names, and the event's time.
//!
//! A format that does not fit says so; the line is then kept whole as `message` with the tag `parse_failure`.

mod access;
mod csv;
mod cursor;
mod error_log;
mod grok;
mod journal;
mod logfmt;
mod pattern;
mod syslog;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use jiff::{Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};
use logmill_config::agent::{Input, Parse};
use serde_json::{Map, Number, Value};

use super::{shape, timestamp::Time, timestamp_of};
use csv::Csv;
use grok::Grok;
pub(crate) use journal::FIELDS as JOURNAL_FIELDS;
use pattern::Pattern;

/// The group, place or column that holds the event's time.
const TIMESTAMP: &str = "timestamp";

/// How an input's lines are read.
#[derive(Debug)]
pub(crate) enum Parser {
    /// A JSON object, else raw.
    Auto,
    Raw,
    Json,
    Fields(Format),
}

#[derive(Debug)]
pub(crate) struct Format {
    kind: Kind,
    /// Of times that name none.
    zone: TimeZone,
    /// Fields that are numbers, where the format does not say.
    numbers: Vec<String>,
}

#[derive(Debug)]
enum Kind {
    Logfmt,
    Nginx,
    Apache,
    Syslog,
    Pattern(Box<Pattern>),
    Grok(Box<Grok>),
    Csv(Box<Csv>),
    /// What journalctl writes of an entry, whose message has a format of its own.
    Journal(Box<Parser>),
}

/// What a format found in a line.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parsed {
    pub(crate) fields: Map<String, Value>,
    pub(crate) time: Option<Timestamp>,
}

impl Parser {
    /// # Errors
    /// A regular expression is not one (configuration checks that before).
    pub(crate) fn new(input: &Input) -> Result<Self, regex::Error> {
        let parser = Self::of_text(input)?;
        if !input.source.is_journal() {
            return Ok(parser);
        }
        let kind = Kind::Journal(Box::new(parser));
        Ok(Self::Fields(Format { kind, zone: input.timezone.clone(), numbers: Vec::new() }))
    }

    fn of_text(input: &Input) -> Result<Self, regex::Error> {
        let mut numbers = input.numbers.clone();
        let kind = match &input.parse {
            Parse::Auto => return Ok(Self::Auto),
            Parse::Raw => return Ok(Self::Raw),
            Parse::Json => return Ok(Self::Json),
            Parse::Logfmt => Kind::Logfmt,
            Parse::Nginx => Kind::Nginx,
            Parse::Apache => Kind::Apache,
            Parse::Syslog => Kind::Syslog,
            Parse::Regex { pattern, time } => Kind::Pattern(Box::new(Pattern::new(pattern, time.as_deref())?)),
            Parse::Grok { pattern, own, time } => {
                let grok = Grok::new(pattern, own, time.as_deref())?;
                numbers.extend(grok.numbers().cloned());
                Kind::Grok(Box::new(grok))
            }
            Parse::Csv { columns, delimiter, time } => {
                Kind::Csv(Box::new(Csv::new(columns, *delimiter, time.as_deref())))
            }
        };
        Ok(Self::Fields(Format { kind, zone: input.timezone.clone(), numbers }))
    }
}

impl Format {
    /// The text of a line that is kept whole.
    pub(crate) fn text<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        match self.kind {
            Kind::Journal(_) => journal::message(line),
            _ => Cow::Borrowed(line),
        }
    }

    /// Whether a line that was shortened still has its format.
    pub(crate) fn stays_whole(&self) -> bool {
        matches!(self.kind, Kind::Journal(_))
    }

    /// The fields of a line; `read` is when it was read, for times without a year. `None` when it has another format.
    pub(crate) fn parse(&self, line: &str, read: Timestamp) -> Option<Parsed> {
        match &self.kind {
            Kind::Logfmt => logfmt::parse(line, &self.numbers),
            Kind::Nginx => access::parse(line).or_else(|| error_log::nginx(line, &self.zone)),
            Kind::Apache => access::parse(line).or_else(|| error_log::apache(line, &self.zone)),
            Kind::Syslog => syslog::parse(line, read, &self.zone),
            Kind::Pattern(pattern) => pattern.parse(line, &self.numbers, &self.zone),
            Kind::Grok(grok) => grok.parse(line, &self.numbers, &self.zone),
            Kind::Csv(csv) => csv.parse(line, &self.numbers, &self.zone),
            Kind::Journal(message) => journal::parse(line, message, read),
        }
    }
}

impl Parsed {
    fn with_message(message: &str) -> Self {
        let mut parsed = Self::default();
        parsed.text("message", message);
        parsed
    }

    /// A field by its dotted path; the usual mark of absence, `-`, is none.
    fn text(&mut self, path: &str, value: &str) {
        if !value.is_empty() && value != "-" {
            shape::set(&mut self.fields, path, Value::from(value));
        }
    }

    /// A whole number; anything else is none.
    fn number(&mut self, path: &str, value: &str) {
        if let Ok(number) = value.parse::<u64>() {
            shape::set(&mut self.fields, path, Value::from(number));
        }
    }

    /// A field that is a number if `numbers` says so; what then is none goes to labels, where it meets no mapping.
    fn free(&mut self, path: &str, value: &str, numbers: &[String]) {
        if !numbers.iter().any(|n| n == path) {
            return shape::set(&mut self.fields, path, Value::from(value));
        }
        match value.parse::<Number>() {
            Ok(number) => shape::set(&mut self.fields, path, Value::Number(number)),
            Err(_) => shape::label(&mut self.fields, path, Value::from(value)),
        }
    }

    /// `client.address`, and `client.ip` where it is one.
    fn client(&mut self, address: &str) {
        self.text("source.address", address);
        if address.parse::<std::net::IpAddr>().is_ok() {
            self.text("source.ip", address);
        }
    }
}

/// A time as `format` says; without one in RFC 3339 or seconds since 1970.
fn time_of(text: &str, format: Option<&str>, zone: &TimeZone) -> Option<Timestamp> {
    match format {
        Some(format) => time(format, text, zone),
        None => match timestamp_of(&Value::from(text))? {
            Time::Of(time) => Some(time),
            Time::Canonical => text.parse().ok(),
        },
    }
}

/// A time in one of `strtime`'s formats, in `zone` if it names none.
fn time(format: &str, text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let broken_down = strtime::parse(format, text).ok()?;
    if broken_down.offset().is_some() {
        return broken_down.to_timestamp().ok();
    }
    at(broken_down.to_datetime().ok()?, zone)
}

fn at(time: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    // A time that a change of the clocks skips or repeats is taken as the earlier clock has it.
    zone.to_ambiguous_timestamp(time).compatible().ok()
}
