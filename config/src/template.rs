//! Text with `{field.path}` parts that each event fills in: URLs, headers and bodies of webhooks.
//!
//! A `{` that no field path and `}` follow is a plain character, so that JSON needs no escapes: `{"to": "{user.email}"}`.

use crate::names::is_field_path;

/// A text in which each event fills in its own parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// A field of the event by its dotted path: text, number or boolean.
    Field(String),
    Meta(Meta),
}

/// What belongs to the record rather than to its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// The event's identity.
    Id,
    Key,
    Topic,
    Partition,
    Offset,
    /// Kafka's timestamp in milliseconds.
    Timestamp,
    /// The whole event as it is.
    Source,
}

const METAS: [(&str, Meta); 7] = [
    ("_id", Meta::Id),
    ("_key", Meta::Key),
    ("_topic", Meta::Topic),
    ("_partition", Meta::Partition),
    ("_offset", Meta::Offset),
    ("_timestamp", Meta::Timestamp),
    ("_source", Meta::Source),
];

impl Template {
    /// # Errors
    /// A part that begins like one of the record's own and is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            plain.push_str(before);
            let path = after.split_once('}').filter(|(path, _)| is_path(path));
            let Some((path, behind)) = path else {
                plain.push('{');
                rest = after;
                continue;
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part(path)?);
            rest = behind;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether every event makes the same text of it.
    pub fn is_constant(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Paths of the fields it names.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| if let Part::Field(path) = part { Some(path.as_str()) } else { None })
    }
}

fn is_path(path: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "_.@-".contains(c);
    path.len() <= 200 && path.chars().all(plain) && is_field_path(path)
}

fn part(path: &str) -> Result<Part, String> {
    if let Some((_, meta)) = METAS.iter().find(|(name, _)| *name == path) {
        return Ok(Part::Meta(*meta));
    }
    if path.starts_with('_') {
        let known: Vec<_> = METAS.iter().map(|(name, _)| *name).collect();
        return Err(format!("\"{{{path}}}\" is not known, expected a field or one of: {}", known.join(", ")));
    }
    Ok(Part::Field(path.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.into())
    }

    #[test]
    fn json_around_fields_needs_no_escapes() {
        let template = Template::parse(r#"{"to":"{user.email}","n":{n},"id":"{_id}","e":{},"x":{"y":1}}"#).unwrap();
        let expected = [
            text("{\"to\":\""),
            Part::Field("user.email".into()),
            text("\",\"n\":"),
            Part::Field("n".into()),
            text(",\"id\":\""),
            Part::Meta(Meta::Id),
            text("\",\"e\":{},\"x\":{\"y\":1}}"),
        ];
        assert_eq!(template.parts(), expected);
        assert_eq!(template.fields().collect::<Vec<_>>(), ["user.email", "n"]);
        assert!(!template.is_constant());
    }

    #[test]
    fn odd_braces_are_plain() {
        for plain in ["", "{", "}", "a{b", "{ a }", "{a..b}", "{.}", "{\"a\"}"] {
            let template = Template::parse(plain).unwrap();
            assert!(template.is_constant(), "{plain}");
        }
        assert_eq!(Template::parse("{{a}}").unwrap().parts(), [text("{"), Part::Field("a".into()), text("}")]);
        assert!(Template::parse("{_ip}").unwrap_err().contains("_id, _key"));
    }
}
