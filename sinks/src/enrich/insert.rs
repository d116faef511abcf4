//! Puts a member into a JSON object and leaves all else as it is written.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// `value`, one JSON object, with those of `parts` below `parent` that can be there; `None` where none can.
pub(super) fn all<'p>(
    value: &[u8],
    parent: &[String],
    parts: impl Iterator<Item = (&'p str, &'p str)>,
) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok()?;
    let mut changed: Option<String> = None;
    for (name, json) in parts {
        let path: Vec<&str> = parent.iter().map(String::as_str).chain([name]).collect();
        changed = insert(changed.as_deref().unwrap_or(text), &path, json).or(changed);
    }
    changed.map(String::into_bytes)
}

/// `document`, one JSON object, with `json` at `path`. `None` where something is there already, or no object can be.
fn insert(document: &str, path: &[&str], json: &str) -> Option<String> {
    let mut object = document.trim();
    let mut path = path;
    let rest = loop {
        let Members(members) = serde_json::from_str(object).ok()?;
        let (name, rest) = path.split_first()?;
        match members.iter().rev().find(|(key, _)| key == name) {
            None => break (!members.is_empty(), path),
            Some((_, inner)) if !rest.is_empty() && inner.get().starts_with('{') => {
                (object, path) = (inner.get(), rest);
            }
            Some(_) => return None,
        }
    };
    let (comma, names) = rest;
    // The object's own end, by where it lies in the document.
    let start = (object.as_ptr() as usize).checked_sub(document.as_ptr() as usize)?;
    let end = start.checked_add(object.len())?.checked_sub(1)?;
    let (before, after) = document.split_at_checked(end)?;
    let mut out = String::with_capacity(document.len() + json.len() + 32);
    out.push_str(before);
    if comma {
        out.push(',');
    }
    for (depth, name) in names.iter().enumerate() {
        out.push_str(if depth > 0 { "{" } else { "" });
        out.push_str(&serde_json::to_string(name).ok()?);
        out.push(':');
    }
    out.push_str(json);
    out.extend(std::iter::repeat_n('}', names.len().saturating_sub(1)));
    out.push_str(after);
    Some(out)
}

/// Keys with their values as written.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    all.push((key, map.next_value::<&'de RawValue>()?));
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_stays_as_it_is_written() {
        for (document, expected) in [
            ("{}", r#"{"source":{"geo":{"x":1}}}"#),
            (r#" { "n" : 1.10 } "#, r#" { "n" : 1.10 ,"source":{"geo":{"x":1}}} "#),
            (r#"{"source":{"ip":"a"},"n":1e2}"#, r#"{"source":{"ip":"a","geo":{"x":1}},"n":1e2}"#),
            (r#"{"source":{ }}"#, r#"{"source":{ "geo":{"x":1}}}"#),
            (r#"{"sour\u0063e":{"ip":1}}"#, r#"{"sour\u0063e":{"ip":1,"geo":{"x":1}}}"#),
            (r#"{"source.ip":"a"}"#, r#"{"source.ip":"a","source":{"geo":{"x":1}}}"#),
        ] {
            assert_eq!(insert(document, &["source", "geo"], r#"{"x":1}"#).as_deref(), Some(expected), "{document}");
        }
        assert_eq!(insert("{\"ip\":1}", &["geo"], "2").as_deref(), Some("{\"ip\":1,\"geo\":2}"));
        assert_eq!(insert("{}", &["a", "b\"", "c"], "2").as_deref(), Some(r#"{"a":{"b\"":{"c":2}}}"#));
    }

    #[test]
    fn what_is_there_is_not_replaced() {
        for document in [r#"{"source":{"geo":{}}}"#, r#"{"source":{"geo":null}}"#, r#"{"source":"a"}"#, "[]", "{", ""] {
            assert_eq!(insert(document, &["source", "geo"], "1"), None, "{document}");
        }
        assert_eq!(insert("{}", &[], "1"), None);
    }
}
