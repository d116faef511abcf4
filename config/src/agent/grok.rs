//! Grok patterns, in Logstash's words: `%{NAME:field:type}`, over its library of patterns and the user's own.

use std::collections::BTreeMap;

use grok::{Error, Grok, Pattern};

/// # Errors
/// It names a pattern that is not known, or gives no regular expression (with look-around and back references).
pub fn compile(pattern: &str, own: &BTreeMap<String, String>) -> Result<Pattern, Error> {
    let mut grok = Grok::with_default_patterns();
    own.iter().for_each(|(name, pattern)| grok.add_pattern(name.clone(), pattern.clone()));
    grok.compile(pattern, true)
}

/// The dotted path of a field that a pattern names as `log.level` or `[log][level]`. The library numbers the second and later
/// places of a name: `took[1]` is `took`.
pub fn field(name: &str) -> String {
    let is_number = |text: &str| text.strip_suffix(']').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let name = match name.rsplit_once('[') {
        Some((before, last)) if !before.is_empty() && is_number(last) => before,
        _ => name,
    };
    name.trim_matches(['[', ']']).replace("][", ".")
}
