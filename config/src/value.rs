//! One value of a configuration file, read as what its key wants. `None` means: not that, and reported; or that the value
//! is [`Kind::Any`], and what is wanted was written down.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Display},
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use crate::{
    describe::{Fact, Wanted},
    problem::{Findings, Mark},
    section::{Section, closest},
    tree::{Kind, Node},
    units::{format_duration, format_size, parse_duration, parse_size},
};

/// A value with its place.
pub(crate) struct Value<'a> {
    pub(crate) findings: &'a Findings,
    pub(crate) path: String,
    pub(crate) node: &'a Node,
    /// Where its key stands (for a list item, the item).
    pub(crate) key_mark: Mark,
}

impl<'a> Value<'a> {
    /// Reports this value as wrong.
    pub(crate) fn fail<T>(&self, message: impl Into<String>) -> Option<T> {
        self.findings.error(self.node.mark, &self.path, message);
        None
    }

    /// Whether this stands for any value; what is wanted is written down then.
    fn stands_for(&self, wanted: impl FnOnce() -> Wanted) -> bool {
        let any = matches!(self.node.kind, Kind::Any);
        if any {
            self.findings.note(&self.path, Fact::Wanted(wanted()));
        }
        any
    }

    fn wrong_kind<T>(&self, expected: &str) -> Option<T> {
        let found = match &self.node.kind {
            Kind::Bad | Kind::Any => return None,
            Kind::Null => "nothing (remove the key for its default)",
            Kind::Scalar { .. } => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a section",
        };
        self.fail(format!("expected {expected}, found {found}"))
    }

    /// A scalar's text after variables were put in; may be empty.
    fn scalar(&self, expected: &str) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => self.wrong_kind(expected),
        }
    }

    /// Text that is not empty.
    pub(crate) fn text(&self) -> Option<String> {
        self.text_that_is("text")
    }

    /// Text of a kind that the caller checks, not empty.
    pub(crate) fn text_that_is(&self, what: &'static str) -> Option<String> {
        if self.stands_for(|| Wanted::Text(what)) {
            return None;
        }
        let text = self.scalar("text")?;
        if text.trim().is_empty() { self.fail("expected text, found an empty value") } else { Some(text.to_owned()) }
    }

    /// Text that may be empty (a password, a property).
    pub(crate) fn any_text(&self) -> Option<String> {
        if self.stands_for(|| Wanted::Text("text")) {
            return None;
        }
        self.scalar("text").map(str::to_owned)
    }

    /// `chosen` if that is the word; anything else is for another reader.
    pub(crate) fn word<T: Debug>(&self, word: &str, chosen: T) -> Option<T> {
        let same = matches!(&self.node.kind, Kind::Scalar { text, .. } if text == word);
        (!self.stands_for(|| Wanted::one_of(&[(word, &chosen)])) && same).then_some(chosen)
    }

    /// What stands behind `prefix` in a text that begins with it.
    pub(crate) fn behind(&self, prefix: &str) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Scalar { text, .. } => text.strip_prefix(prefix),
            _ => None,
        }
    }

    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.text_that_is("path").map(PathBuf::from)
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        if self.stands_for(|| Wanted::Boolean) {
            return None;
        }
        match self.scalar("true or false")? {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                let hint = match other.to_lowercase().as_str() {
                    "yes" | "on" | "1" => ", did you mean \"true\"?",
                    "no" | "off" | "0" => ", did you mean \"false\"?",
                    _ => "",
                };
                self.fail(format!("expected true or false, found \"{other}\"{hint}"))
            }
        }
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn number<T: FromStr + PartialOrd + Display>(&self, least: T, most: T) -> Option<T> {
        if self.stands_for(|| Wanted::Number { least: least.to_string(), most: most.to_string() }) {
            return None;
        }
        let text = self.scalar("a whole number")?;
        match text.parse::<T>() {
            Ok(n) if n >= least && n <= most => Some(n),
            Ok(_) => self.fail(format!("{text} is out of range, expected {least} to {most}")),
            Err(_) => self.fail(format!("expected a whole number from {least} to {most}, found \"{text}\"")),
        }
    }

    /// Bytes from `least` to `most`.
    pub(crate) fn size(&self, least: u64, most: u64) -> Option<u64> {
        if self.stands_for(|| Wanted::Size { least, most }) {
            return None;
        }
        match parse_size(self.scalar("a size such as 64KiB")?) {
            Ok(n) if n >= least && n <= most => Some(n),
            Ok(n) => self.fail(format!(
                "{} is out of range, expected {} to {}",
                format_size(n),
                format_size(least),
                format_size(most)
            )),
            Err(message) => self.fail(message),
        }
    }

    pub(crate) fn duration(&self, least: Duration, most: Duration) -> Option<Duration> {
        if self.stands_for(|| Wanted::Duration { least, most }) {
            return None;
        }
        match parse_duration(self.scalar("a duration such as 10s")?) {
            Ok(d) if d >= least && d <= most => Some(d),
            Ok(d) => self.fail(format!(
                "{} is out of range, expected {} to {}",
                format_duration(d),
                format_duration(least),
                format_duration(most)
            )),
            Err(message) => self.fail(message),
        }
    }

    /// One of a few words. Words in `not_yet` are refused by name.
    pub(crate) fn choice<T: Clone + Debug>(&self, choices: &[(&str, T)], not_yet: &[&str]) -> Option<T> {
        if self.stands_for(|| Wanted::one_of(choices)) {
            return None;
        }
        let words = || choices.iter().map(|(word, _)| *word);
        let expected = || words().collect::<Vec<_>>().join(", ");
        let text = match &self.node.kind {
            Kind::Scalar { text, .. } => text.as_str(),
            // `compression: none` is a word, but `key: null` or `key:` is an empty value.
            _ => return self.wrong_kind(&format!("one of: {}", expected())),
        };
        if let Some((_, chosen)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(chosen.clone());
        }
        if not_yet.contains(&text) {
            return self.fail(format!("\"{text}\" is not supported yet, expected one of: {}", expected()));
        }
        match closest(text, words()) {
            Some(word) => self.fail(format!("\"{text}\" is not known, did you mean \"{word}\"?")),
            None => self.fail(format!("\"{text}\" is not known, expected one of: {}", expected())),
        }
    }

    /// An address to listen on.
    pub(crate) fn socket(&self) -> Option<SocketAddr> {
        if self.stands_for(|| Wanted::Text("IP:PORT")) {
            return None;
        }
        let text = self.scalar("an address such as 127.0.0.1:9092")?;
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        let hint = match text.rsplit_once(':') {
            Some(("localhost", port)) if port.parse::<u16>().is_ok() => format!(", did you mean \"127.0.0.1:{port}\"?"),
            Some(("" | "*", port)) if port.parse::<u16>().is_ok() => {
                format!(", did you mean \"127.0.0.1:{port}\" (this machine only) or \"0.0.0.0:{port}\"?")
            }
            None if text.parse::<u16>().is_ok() => format!(", did you mean \"127.0.0.1:{text}\"?"),
            _ => String::new(),
        };
        self.fail(format!("\"{text}\" is not an address to listen on, expected IP:PORT such as 127.0.0.1:9092{hint}"))
    }

    /// `HOST:PORT` to connect to.
    pub(crate) fn host_port(&self, usual_port: u16) -> Option<(String, u16)> {
        let text = self.text_that_is("HOST:PORT")?;
        if let Some((host, port)) = text.rsplit_once(':') {
            let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
            let host_ok = match bare {
                Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
                None => is_host(host),
            };
            match port.parse::<u16>() {
                Ok(port) if port > 0 && host_ok => return Some((host.to_owned(), port)),
                _ => {}
            }
        }
        let hint = if is_host(&text) { format!(", did you mean \"{text}:{usual_port}\"?") } else { String::new() };
        self.fail(format!("\"{text}\" is not HOST:PORT{hint}"))
    }

    /// The items of a list with at least one.
    pub(crate) fn list(&self, what: &str) -> Option<Vec<Value<'a>>> {
        if self.stands_for(|| Wanted::List { at_least: 1 }) {
            return Some(vec![self.any_item()]);
        }
        let items = match &self.node.kind {
            Kind::List(items) => items,
            Kind::Scalar { text, .. } => return self.fail(format!("expected a list, did you mean [\"{text}\"]?")),
            _ => return self.wrong_kind(&format!("a list of {what}")),
        };
        if items.is_empty() {
            return self.fail(format!("the list is empty, expected at least one of {what}"));
        }
        Some(self.items(items))
    }

    /// The items of a list that may be empty.
    pub(crate) fn any_list(&self, what: &str) -> Option<Vec<Value<'a>>> {
        if self.stands_for(|| Wanted::List { at_least: 0 }) {
            return Some(vec![self.any_item()]);
        }
        match &self.node.kind {
            Kind::List(items) => Some(self.items(items)),
            Kind::Scalar { text, .. } => self.fail(format!("expected a list, did you mean [\"{text}\"]?")),
            _ => self.wrong_kind(&format!("a list of {what}")),
        }
    }

    fn any_item(&self) -> Value<'a> {
        Value { findings: self.findings, path: format!("{}[]", self.path), node: self.node, key_mark: self.key_mark }
    }

    fn items(&self, items: &'a [Node]) -> Vec<Value<'a>> {
        items
            .iter()
            .enumerate()
            .map(|(i, node)| Value {
                findings: self.findings,
                path: format!("{}[{i}]", self.path),
                node,
                key_mark: node.mark,
            })
            .collect()
    }

    /// Read by the one when it is a section, else by the other.
    pub(crate) fn section_or<T>(
        &self,
        section: impl FnOnce(Section<'a>) -> Option<T>,
        other: impl FnOnce(&Self) -> Option<T>,
    ) -> Option<T> {
        match self.node.kind {
            Kind::Any => {
                self.section().and_then(section);
                other(self)
            }
            Kind::Map(_) => self.section().and_then(section),
            _ => other(self),
        }
    }

    pub(crate) fn section(&self) -> Option<Section<'a>> {
        if self.stands_for(|| Wanted::Section) {
            return Some(Section::open(self.findings, self.path.clone(), self.node));
        }
        match &self.node.kind {
            Kind::Map(entries) => Some(Section::new(self.findings, self.path.clone(), self.key_mark, entries)),
            _ => self.wrong_kind("a section with keys of its own"),
        }
    }

    /// A section of text values under the user's own keys.
    pub(crate) fn text_map(&self) -> Option<BTreeMap<String, String>> {
        let section = self.section()?;
        Some(section.entries().filter_map(|(k, v)| Some((k.to_owned(), v.any_text()?))).collect())
    }

    /// Any value as JSON: plain true, false and numbers keep their type, the rest is text.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match &self.node.kind {
            Kind::Bad | Kind::Any => return None,
            Kind::Null => Json::Null,
            Kind::Scalar { text, plain: true } => match text.as_str() {
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                number => match (number.parse::<i64>(), number.parse::<f64>()) {
                    (Ok(n), _) => n.into(),
                    (_, Ok(f)) if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => f.into(),
                    _ => Json::String(text.clone()),
                },
            },
            Kind::Scalar { text, .. } => Json::String(text.clone()),
            Kind::List(items) => Json::Array(self.items(items).iter().map(Value::json).collect::<Option<_>>()?),
            Kind::Map(_) => {
                let section = self.section()?;
                Json::Object(section.entries().map(|(k, v)| Some((k.to_owned(), v.json()?))).collect::<Option<_>>()?)
            }
        })
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.len() <= 253 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}
