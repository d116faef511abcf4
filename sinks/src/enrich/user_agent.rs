//! What a user agent's text tells: `name`, `version`, `os` and `device` of ECS's `user_agent`.

use std::borrow::Cow;

use logmill_config::sinks::UserAgent;
use serde_json::json;
use woothee::{parser::Parser, woothee::VALUE_UNKNOWN};

use super::{beside, insert, recent::Recent};
use crate::document::Fields;

/// Of each of two generations.
const KEPT: usize = 1024;
/// A longer text is no user agent's.
const LONGEST: usize = 2048;
const OBJECT: &str = "user_agent";

/// Looks up for one reader.
pub(super) struct UserAgents {
    fields: Fields,
    /// Of ECS's `user_agent`: the object that holds the field, or one beside the field.
    parent: Vec<String>,
    seen: Recent<String, Vec<(&'static str, String)>>,
}

impl UserAgents {
    pub(super) fn new(config: &UserAgent) -> Self {
        let mut parent = beside(&config.field);
        if parent.last().is_none_or(|last| last != OBJECT) {
            parent.push(OBJECT.to_owned());
        }
        Self { fields: Fields::new(std::slice::from_ref(&config.field)), parent, seen: Recent::new(KEPT) }
    }

    /// `value`, one JSON object, with what its user agent tells, or why nothing was added.
    pub(super) fn add(&mut self, value: &[u8]) -> Result<Vec<u8>, &'static str> {
        self.fields.read(value).map_err(|_| "no_user_agent")?;
        let text = self.fields.values.first().and_then(Option::as_deref).map(str::trim).unwrap_or_default();
        // What curl and others leave out is written as a dash.
        if matches!(text, "" | "-") {
            return Err("no_user_agent");
        }
        if text.len() > LONGEST {
            return Err("unknown");
        }
        let parts = self.seen.get(text, || told(text));
        insert::all(value, &self.parent, parts.iter().map(|(name, json)| (*name, json.as_str()))).ok_or("unknown")
    }
}

/// Fields with their JSON.
fn told(text: &str) -> Vec<(&'static str, String)> {
    let Some(found) = Parser::new().parse(text) else { return Vec::new() };
    let known = |text: &str| (!matches!(text, "" | VALUE_UNKNOWN)).then(|| json!(text));
    let mut parts: Vec<(&'static str, String)> = Vec::new();
    parts.extend(known(found.name).map(|name| ("name", name.to_string())));
    parts.extend(known(found.version).map(|version| ("version", version.to_string())));
    let version: Cow<'_, str> = found.os_version;
    parts.extend(known(found.os).map(|name| match known(&version) {
        Some(version) => ("os", json!({"name": name, "version": version}).to_string()),
        None => ("os", json!({"name": name}).to_string()),
    }));
    parts.extend(known(found.category).map(|kind| ("device", json!({"type": kind}).to_string())));
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
    const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1";
    const CRAWLER: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

    fn agents(field: &str) -> UserAgents {
        UserAgents::new(&UserAgent { field: field.to_owned() })
    }

    fn added(agents: &mut UserAgents, event: &Value) -> Value {
        serde_json::from_slice(&agents.add(event.to_string().as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn browsers_phones_and_crawlers_are_told_apart() {
        let mut agents = agents("user_agent.original");
        for (text, expected) in [
            (
                CHROME,
                json!({"name": "Chrome", "version": "120.0.0.0", "os": {"name": "Windows 10", "version": "NT 10.0"}, "device": {"type": "pc"}}),
            ),
            (
                IPHONE,
                json!({"name": "Safari", "version": "17.1", "os": {"name": "iPhone", "version": "17.1"}, "device": {"type": "smartphone"}}),
            ),
            (CRAWLER, json!({"name": "Googlebot", "device": {"type": "crawler"}})),
        ] {
            for _ in 0..2 {
                let mut agent = added(&mut agents, &json!({"user_agent": {"original": text}}))["user_agent"].clone();
                assert_eq!(agent["original"].take(), text);
                agent.as_object_mut().unwrap().remove("original");
                assert_eq!(agent, expected, "{text}");
            }
        }
    }

    #[test]
    fn another_field_and_what_is_there_already() {
        let event = added(&mut agents("agent"), &json!({"agent": CRAWLER}));
        assert_eq!(event["user_agent"]["name"], "Googlebot");
        let event = added(&mut agents("client.ua"), &json!({"client": {"ua": CRAWLER}}));
        assert_eq!(event["client"]["user_agent"]["device"]["type"], "crawler");
        let kept = json!({"user_agent": {"original": CRAWLER, "name": "mine"}});
        assert_eq!(added(&mut agents("user_agent.original"), &kept)["user_agent"]["name"], "mine");
    }

    #[test]
    fn what_tells_nothing_adds_nothing() {
        let mut agents = agents("user_agent.original");
        for (event, reason) in [
            (json!({}), "no_user_agent"),
            (json!({"user_agent": {"original": "-"}}), "no_user_agent"),
            (json!({"user_agent": {"original": ["a"]}}), "no_user_agent"),
            (json!({"user_agent": {"original": "who knows"}}), "unknown"),
            (json!({"user_agent": {"original": CHROME.repeat(50)}}), "unknown"),
        ] {
            assert_eq!(agents.add(event.to_string().as_bytes()), Err(reason), "{event}");
        }
        for n in 0..5000 {
            let event = json!({"user_agent": {"original": format!("{CRAWLER} {n}")}});
            agents.add(event.to_string().as_bytes()).unwrap();
            assert!(agents.seen.held() <= 2 * KEPT);
        }
    }
}
