//! A document's JSON, walked once without building a tree: values under their dotted paths, new fields into the mapping.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

use super::{
    Dynamic, MAX_DEPTH, MAX_FIELDS, Mapping,
    value::{Cause, Scalar, convert},
};

/// One value of one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leaf<'a> {
    /// Ordinal of the field in the mapping.
    pub(crate) field: u32,
    pub(crate) value: LeafValue<'a>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LeafValue<'a> {
    Str(Cow<'a, str>),
    I64(i64),
    F64(f64),
}

/// A document's values in the order they were found.
pub(crate) type Parsed<'a> = Vec<Leaf<'a>>;

/// Why a document was refused, in Elasticsearch's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentError {
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
    pub(crate) cause: Option<(&'static str, String)>,
}

/// Reads `source` (a JSON object) by `mapping`, which is extended by the new fields; on an error it may have been
/// extended in part and must be dropped by the caller.
///
/// # Errors
/// Not a JSON object, a value that does not fit its field, too many fields or levels.
pub(crate) fn parse_document<'a>(
    mapping: &mut Arc<Mapping>,
    id: &str,
    source: &'a [u8],
) -> Result<Parsed<'a>, DocumentError> {
    let failed = |reason: String, cause: Option<(&'static str, String)>| DocumentError {
        kind: "document_parsing_exception",
        reason,
        cause,
    };
    let text = std::str::from_utf8(source).map_err(|error| {
        failed("failed to parse".to_owned(), Some(("json_parse_exception", format!("Invalid UTF-8: {error}"))))
    })?;
    let mut walk =
        Walk { mapping, id, text, path: String::new(), leaves: Vec::with_capacity(16), depth: 0, error: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let result = json.deserialize_any(Top(&mut walk)).and_then(|()| json.end());
    match (result, walk.error) {
        (_, Some(error)) => Err(*error),
        (Ok(()), None) => Ok(walk.leaves),
        (Err(error), None) => Err(failed(
            format!("[{}:{}] failed to parse", error.line(), error.column()),
            Some(("json_parse_exception", error.to_string())),
        )),
    }
}

struct Walk<'m, 'a> {
    mapping: &'m mut Arc<Mapping>,
    id: &'m str,
    text: &'a str,
    path: String,
    leaves: Vec<Leaf<'a>>,
    depth: usize,
    error: Option<Box<DocumentError>>,
}

impl<'a> Walk<'_, 'a> {
    /// Records why; the returned error only stops the parser.
    fn fail<E: serde::de::Error>(
        &mut self,
        kind: &'static str,
        reason: String,
        cause: Option<(&'static str, String)>,
    ) -> E {
        self.error = Some(Box::new(DocumentError { kind, reason, cause }));
        E::custom("refused")
    }

    /// `line:column` of a string of the document, one-based as Jackson counts; unknown for other values.
    fn position(&self, scalar: Option<&Scalar<'_>>) -> String {
        let Some(Scalar::Str(Cow::Borrowed(text))) = scalar else { return "1:1".to_owned() };
        let start = (text.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let Some(before) = self.text.get(..start) else { return "1:1".to_owned() };
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        format!("{line}:{}", start - before.rfind('\n').map_or(0, |at| at + 1))
    }

    fn scalar<E: serde::de::Error>(&mut self, scalar: Scalar<'a>) -> Result<(), E> {
        let ordinal = match self.mapping.ordinal(&self.path) {
            Some(ordinal) => ordinal,
            None => match self.new_field(&scalar)? {
                Some(ordinal) => ordinal,
                None => return Ok(()),
            },
        };
        let field = self.mapping.at(ordinal);
        match convert(field, ordinal, scalar.clone()) {
            Ok(leaf) => {
                self.leaves.push(leaf);
                Ok(())
            }
            Err(Cause { kind, reason }) => {
                let message = format!(
                    "[{}] failed to parse field [{}] of type [{}] in document with id '{}'. Preview of field's value: '{}'",
                    self.position(Some(&scalar)),
                    self.path,
                    field.type_name,
                    self.id,
                    scalar.preview()
                );
                Err(self.fail("document_parsing_exception", message, Some((kind, reason))))
            }
        }
    }

    fn new_field<E: serde::de::Error>(&mut self, scalar: &Scalar<'a>) -> Result<Option<u32>, E> {
        if self.mapping.is_object(&self.path) {
            let message = format!(
                "[{}] object mapping for [{}] tried to parse field [{}] as object, but found a concrete value",
                self.position(Some(scalar)),
                self.path,
                self.path.rsplit('.').next().unwrap_or_default()
            );
            return Err(self.fail("document_parsing_exception", message, None));
        }
        match self.mapping.dynamic {
            Dynamic::True => {}
            Dynamic::False => return Ok(None),
            Dynamic::Strict => return Err(self.strict(scalar)),
        }
        self.check_name()?;
        let field = scalar.dynamic_field(&self.path, !self.mapping.no_date_detection);
        let mapping = Arc::make_mut(self.mapping);
        let ordinal = mapping.add_field(field);
        if mapping.count() > MAX_FIELDS {
            return Err(self.too_many(scalar));
        }
        Ok(Some(ordinal))
    }

    fn strict<E: serde::de::Error>(&mut self, scalar: &Scalar<'a>) -> E {
        let (parent, name) = self.path.rsplit_once('.').unwrap_or(("_doc", &self.path));
        let message = format!(
            "[{}] mapping set to strict, dynamic introduction of [{name}] within [{parent}] is not allowed",
            self.position(Some(scalar))
        );
        self.fail("strict_dynamic_mapping_exception", message, None)
    }

    fn too_many<E: serde::de::Error>(&mut self, scalar: &Scalar<'a>) -> E {
        let limit = format!("Limit of total fields [{MAX_FIELDS}] has been exceeded while adding new fields [1]");
        let message = format!("[{}] failed to parse: {limit}", self.position(Some(scalar)));
        self.fail("document_parsing_exception", message, Some(("illegal_argument_exception", limit)))
    }

    /// A name that cannot be a path, or one below a field that holds values.
    fn check_name<E: serde::de::Error>(&mut self) -> Result<(), E> {
        let path = self.path.clone();
        if path.split('.').any(|segment| segment.trim().is_empty()) || path.contains(['\0', '\u{1}']) {
            let reason = if path.trim().is_empty() {
                "field name cannot be an empty string".to_owned()
            } else {
                format!("field name cannot contain only whitespace or start or end with a [.]: [{path}]")
            };
            return Err(self.fail(
                "document_parsing_exception",
                format!("[1:1] {reason}"),
                Some(("illegal_argument_exception", reason.clone())),
            ));
        }
        for (at, _) in path.match_indices('.') {
            if let Some(field) = self.mapping.field(&path[..at]) {
                let message = format!(
                    "[1:1] failed to parse field [{}] of type [{}] in document with id '{}'. Preview of field's value: '{{…}}'",
                    field.path, field.type_name, self.id
                );
                let cause = format!(
                    "Can't get {} on a START_OBJECT at 1:1",
                    if field.type_name == "text" { "text" } else { "a value" }
                );
                return Err(self.fail("document_parsing_exception", message, Some(("illegal_state_exception", cause))));
            }
        }
        Ok(())
    }

    fn object<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.depth > MAX_DEPTH {
            let reason =
                format!("Limit of mapping depth [{MAX_DEPTH}] has been exceeded due to object field [{}]", self.path);
            return Err(self.fail(
                "document_parsing_exception",
                format!("[1:1] failed to parse: {reason}"),
                Some(("illegal_argument_exception", reason.clone())),
            ));
        }
        if self.path.is_empty() || self.mapping.is_object(&self.path) {
            return Ok(());
        }
        if let Some(field) = self.mapping.field(&self.path) {
            let message = format!(
                "[1:1] failed to parse field [{}] of type [{}] in document with id '{}'. Preview of field's value: '{{…}}'",
                self.path, field.type_name, self.id
            );
            let cause = "Can't get text on a START_OBJECT at 1:1".to_owned();
            return Err(self.fail("document_parsing_exception", message, Some(("illegal_state_exception", cause))));
        }
        self.check_name()?;
        match self.mapping.dynamic {
            Dynamic::True => {
                let path = self.path.clone();
                let mapping = Arc::make_mut(self.mapping);
                mapping.add_object(&path);
                if mapping.count() > MAX_FIELDS {
                    return Err(self.too_many(&Scalar::Bool(true)));
                }
                Ok(())
            }
            Dynamic::False => Ok(()),
            Dynamic::Strict => Err(self.strict(&Scalar::Bool(true))),
        }
    }
}

/// The document itself: must be an object.
struct Top<'w, 'm, 'a>(&'w mut Walk<'m, 'a>);

impl<'a> Visitor<'a> for Top<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<(), A::Error> {
        Any(self.0).visit_map(map)
    }
}

/// A value below a path.
struct Any<'w, 'm, 'a>(&'w mut Walk<'m, 'a>);

impl<'a> DeserializeSeed<'a> for Any<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Any<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.0.scalar(Scalar::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.0.scalar(Scalar::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.0.scalar(i64::try_from(value).map_or(Scalar::Big(value), Scalar::Int))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.0.scalar(Scalar::Float(value))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'a str) -> Result<(), E> {
        self.0.scalar(Scalar::Str(Cow::Borrowed(value)))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.0.scalar(Scalar::Str(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Any(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let walk = self.0;
        walk.depth += 1;
        walk.object()?;
        let length = walk.path.len();
        while let Some(Key) = map.next_key_seed(PathKey(&mut walk.path, length))? {
            // Below `dynamic: false` or a refused name nothing is indexed, yet all is read.
            map.next_value_seed(Any(walk))?;
            walk.path.truncate(length);
        }
        walk.depth -= 1;
        Ok(())
    }
}

struct Key;

/// Appends a key to the path without allocating.
struct PathKey<'p>(&'p mut String, usize);

impl<'a> DeserializeSeed<'a> for PathKey<'_> {
    type Value = Key;

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PathKey<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
        if self.1 > 0 {
            self.0.push('.');
        }
        self.0.push_str(key);
        if self.0.len() > 4096 {
            return Err(E::custom("field name is longer than 4096 bytes"));
        }
        Ok(Key)
    }
}
