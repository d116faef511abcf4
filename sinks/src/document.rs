//! A record's value as a document: checked to be one JSON object and passed on as it came, without building a tree.
//!
//! Only the few fields an index name needs are picked out on the way.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::event_time::Hour;

/// Picks the event's time and the named fields out of a document.
#[derive(Debug)]
pub(crate) struct Fields {
    paths: Vec<String>,
    pub(crate) time: Option<Hour>,
    /// One per path: the field's text, number or boolean.
    pub(crate) values: Vec<Option<String>>,
}

const TIME: &str = "@timestamp";

impl Fields {
    pub(crate) fn new(paths: &[String]) -> Self {
        Self { paths: paths.to_vec(), time: None, values: vec![None; paths.len()] }
    }

    /// Reads `value`, which must be one JSON object in UTF-8.
    ///
    /// # Errors
    /// The reason for the dead letter.
    pub(crate) fn read(&mut self, value: &[u8]) -> Result<(), String> {
        self.clear();
        let text = std::str::from_utf8(value).map_err(|e| format!("the value is not UTF-8: {e}"))?;
        let mut json = serde_json::Deserializer::from_str(text);
        let top = Object { fields: self, prefix: None };
        json.deserialize_map(top)
            .and_then(|()| json.end())
            .map_err(|e| format!("the value is not one JSON object: {e}"))
    }

    /// As of a record without a value.
    pub(crate) fn clear(&mut self) {
        self.time = None;
        self.values.fill(None);
    }

    fn keep(&mut self, path: &str, scalar: &str, number: bool) {
        if path == TIME {
            self.time = if number { Hour::from_number(scalar) } else { Hour::parse(scalar) };
        }
        for (wanted, slot) in self.paths.iter().zip(&mut self.values) {
            if wanted == path {
                *slot = Some(scalar.to_owned());
            }
        }
    }

    /// Whether `path` is wanted itself, or something below it.
    fn wants(&self, path: &str) -> bool {
        path == TIME
            || self
                .paths
                .iter()
                .any(|wanted| wanted.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }
}

/// An object being read; `prefix` is the path to it.
struct Object<'f> {
    fields: &'f mut Fields,
    prefix: Option<&'f str>,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let path = match self.prefix {
                // Only below wanted objects: the paths are few.
                Some(prefix) => Cow::Owned(format!("{prefix}.{key}")),
                None => key,
            };
            if self.fields.wants(&path) {
                map.next_value_seed(Field { fields: &mut *self.fields, path: &path })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A key, borrowed unless it has escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A value that is wanted, or holds one that is.
struct Field<'f> {
    fields: &'f mut Fields,
    path: &'f str,
}

impl<'de> serde::de::DeserializeSeed<'de> for Field<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Object { prefix: Some(self.path), fields: self.fields }.visit_map(map)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
    fn visit_str<E>(self, v: &str) -> Result<(), E> {
        self.fields.keep(self.path, v, false);
        Ok(())
    }
    fn visit_bool<E>(self, v: bool) -> Result<(), E> {
        self.fields.keep(self.path, if v { "true" } else { "false" }, false);
        Ok(())
    }
    fn visit_i64<E>(self, v: i64) -> Result<(), E> {
        self.fields.keep(self.path, &v.to_string(), true);
        Ok(())
    }
    fn visit_u64<E>(self, v: u64) -> Result<(), E> {
        self.fields.keep(self.path, &v.to_string(), true);
        Ok(())
    }
    fn visit_f64<E>(self, v: f64) -> Result<(), E> {
        self.fields.keep(self.path, &v.to_string(), true);
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&str], value: &str) -> Result<(Option<String>, Vec<Option<String>>), String> {
        let paths: Vec<_> = paths.iter().map(|p| (*p).to_owned()).collect();
        let mut fields = Fields::new(&paths);
        fields.read(value.as_bytes())?;
        Ok((fields.time.and_then(Hour::date).map(|d| d.to_string()), fields.values))
    }

    #[test]
    fn picks_nested_dotted_and_numeric_fields() {
        let (time, values) = read(
            &["service.name", "n", "a.b.c", "missing", "on"],
            r#"{"@timestamp":"1971-01-02T00:00:00Z","message":"x","service":{"id":{"name":1},"name":"shop"},"n":7,"a.b":{"c":"d"},"on":true}"#,
        )
        .unwrap();
        assert_eq!(time.as_deref(), Some("1971-01-02"));
        let values: Vec<_> = values.iter().map(Option::as_deref).collect();
        assert_eq!(values, [Some("shop"), Some("7"), Some("d"), None, Some("true")]);
        let (time, _) = read(&[], r#"{"@timestamp":1795245407000}"#).unwrap();
        assert_eq!(time.as_deref(), Some("2026-11-21"));
        let (time, values) = read(&["x"], r#"{"@timestamp":[1],"x":null}"#).unwrap();
        assert_eq!((time, values), (None, vec![None]));
    }

    #[test]
    fn refuses_everything_but_one_object() {
        for value in ["", "plain text", "[1]", "3", "null", "\"x\"", "{\"a\":1", "{\"a\":1}{\"b\":2}", "{a:1}"] {
            assert!(read(&["a"], value).is_err(), "{value}");
        }
        let mut fields = Fields::new(&[]);
        assert!(fields.read(b"{\"a\":\"\xff\"}").is_err());
        let deep = format!("{}{}", "{\"a\":".repeat(5000), "1");
        assert!(fields.read(deep.as_bytes()).is_err(), "nesting is bounded");
    }
}
