//! A grok pattern, whose named places are fields.

use std::collections::{BTreeMap, HashMap};

use ::grok::Pattern;
use jiff::tz::TimeZone;
use logmill_config::agent::grok;

use super::{Parsed, TIMESTAMP, time_of};

#[derive(Debug)]
pub(super) struct Grok {
    pattern: Pattern,
    /// The fields of the pattern's names.
    fields: HashMap<String, String>,
    /// How the time is written; RFC 3339 or seconds since 1970 if not given.
    time: Option<String>,
}

impl Grok {
    pub(super) fn new(pattern: &str, own: &BTreeMap<String, String>, time: Option<&str>) -> Result<Self, regex::Error> {
        let pattern = grok::compile(pattern, own).map_err(|error| regex::Error::Syntax(error.to_string()))?;
        let fields = pattern.capture_names().map(|name| (name.to_owned(), grok::field(name))).collect();
        Ok(Self { fields, time: time.map(str::to_owned), pattern })
    }

    /// The fields that it gives a type, which is always a number's.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &String> {
        self.fields.iter().filter(|(name, _)| self.pattern.get_extract(name).is_some()).map(|(_, field)| field)
    }

    pub(super) fn parse(&self, line: &str, numbers: &[String], zone: &TimeZone) -> Option<Parsed> {
        let found = self.pattern.match_against(line)?;
        let mut parsed = Parsed::with_message(line);
        for (name, text) in found.iter() {
            let Some(field) = self.fields.get(name) else { continue };
            if field == TIMESTAMP {
                parsed.time = Some(time_of(text, self.time.as_deref(), zone)?);
            } else if !text.is_empty() {
                parsed.free(field, text, numbers);
            }
        }
        Some(parsed)
    }
}
