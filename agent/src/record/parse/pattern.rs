//! A regular expression whose named groups are fields.

use jiff::tz::TimeZone;
use regex::Regex;
use serde_json::Value;

use super::{
    super::{timestamp::Time, timestamp_of},
    Parsed, time,
};

/// The group that holds the event's time.
pub(super) const TIMESTAMP: &str = "timestamp";

#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// Group and field: a group's name with `__` for the dots.
    groups: Vec<(usize, String)>,
    /// How the time is written; RFC 3339 or seconds since 1970 if not given.
    time: Option<String>,
}

impl Pattern {
    pub(super) fn new(pattern: &str, time: Option<&str>) -> Result<Self, regex::Error> {
        let regex = Regex::new(pattern)?;
        let groups = regex.capture_names().enumerate().filter_map(|(at, name)| Some((at, name?.replace("__", "."))));
        Ok(Self { groups: groups.collect(), time: time.map(str::to_owned), regex })
    }

    pub(super) fn parse(&self, line: &str, numbers: &[String], zone: &TimeZone) -> Option<Parsed> {
        let found = self.regex.captures(line)?;
        let mut parsed = Parsed::with_message(line);
        for (at, field) in &self.groups {
            let Some(text) = found.get(*at).map(|m| m.as_str()) else { continue };
            if field != TIMESTAMP {
                parsed.free(field, text, numbers);
                continue;
            }
            parsed.time = Some(match &self.time {
                Some(format) => time(format, text, zone)?,
                None => match timestamp_of(&Value::from(text))? {
                    Time::Of(time) => time,
                    Time::Canonical => text.parse().ok()?,
                },
            });
        }
        Some(parsed)
    }
}
