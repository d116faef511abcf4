//! A regular expression whose named groups are fields.

use jiff::tz::TimeZone;
use regex::Regex;

use super::{Parsed, TIMESTAMP, time_of};

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
            parsed.time = Some(time_of(text, self.time.as_deref(), zone)?);
        }
        Some(parsed)
    }
}
