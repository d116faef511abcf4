//! The mapping in Elasticsearch's JSON: `{"properties": {…}}`, read from requests and our own commits, and written back.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Dynamic, Field, Kind, MAX_DEPTH, MAX_FIELDS, Mapping};

/// Why a mapping was refused: Elasticsearch's `type` and `reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MappingError {
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
}

impl MappingError {
    fn parsing(reason: String) -> Self {
        Self { kind: "mapper_parsing_exception", reason }
    }

    fn illegal(reason: String) -> Self {
        Self { kind: "illegal_argument_exception", reason }
    }
}

/// Types we index, by Elasticsearch's names.
const TYPES: &[(&str, Kind)] = &[
    ("text", Kind::Text),
    ("match_only_text", Kind::Text),
    ("keyword", Kind::Keyword),
    ("constant_keyword", Kind::Keyword),
    ("wildcard", Kind::Keyword),
    ("ip", Kind::Keyword),
    ("version", Kind::Keyword),
    ("long", Kind::Long),
    ("integer", Kind::Long),
    ("short", Kind::Long),
    ("byte", Kind::Long),
    ("unsigned_long", Kind::Long),
    ("double", Kind::Double),
    ("float", Kind::Double),
    ("half_float", Kind::Double),
    ("scaled_float", Kind::Double),
    ("boolean", Kind::Boolean),
    ("date", Kind::Date),
    ("date_nanos", Kind::Date),
];

impl Mapping {
    /// Merges `{"dynamic":…, "properties":{…}}` into this mapping.
    ///
    /// # Errors
    /// An unknown type, a field whose type would change, too many fields.
    pub(crate) fn merge_json(&mut self, mapping: &Value) -> Result<(), MappingError> {
        let Some(object) = mapping.as_object() else {
            return Err(MappingError::parsing("mapping must be an object".to_owned()));
        };
        match object.get("dynamic") {
            None => {}
            Some(Value::Bool(true)) => self.dynamic = Dynamic::True,
            Some(Value::Bool(false)) => self.dynamic = Dynamic::False,
            Some(Value::String(text)) => {
                self.dynamic = match text.as_str() {
                    "true" => Dynamic::True,
                    "false" => Dynamic::False,
                    "strict" => Dynamic::Strict,
                    other => return Err(MappingError::parsing(format!("dynamic [{other}] is not supported here"))),
                }
            }
            Some(other) => return Err(MappingError::parsing(format!("dynamic [{other}] is not supported here"))),
        }
        if let Some(detection) = object.get("date_detection") {
            self.no_date_detection = detection == &Value::Bool(false) || detection == "false";
        }
        if let Some(properties) = object.get("properties") {
            self.merge_properties("", properties, 1)?;
        }
        if self.count() > MAX_FIELDS {
            return Err(MappingError::illegal(format!("Limit of total fields [{MAX_FIELDS}] has been exceeded")));
        }
        Ok(())
    }

    fn merge_properties(&mut self, prefix: &str, properties: &Value, depth: usize) -> Result<(), MappingError> {
        let Some(properties) = properties.as_object() else {
            return Err(MappingError::parsing("Expected map for property [properties]".to_owned()));
        };
        if depth > MAX_DEPTH {
            return Err(MappingError::illegal(format!(
                "Limit of mapping depth [{MAX_DEPTH}] has been exceeded due to object field [{prefix}]"
            )));
        }
        for (name, definition) in properties {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let type_name = definition.get("type").and_then(Value::as_str);
            match (type_name, definition.get("properties")) {
                (Some("object" | "nested") | None, nested) => {
                    if type_name.is_none() && nested.is_none() && !definition.as_object().is_some_and(Map::is_empty) {
                        return Err(MappingError::parsing(format!("No type specified for field [{path}]")));
                    }
                    if self.field(&path).is_some() {
                        return Err(self.conflict(&path, "object"));
                    }
                    self.add_object(&path);
                    if let Some(nested) = nested {
                        self.merge_properties(&path, nested, depth + 1)?;
                    }
                }
                (Some(type_name), _) => self.merge_field(&path, type_name, definition)?,
            }
        }
        Ok(())
    }

    fn merge_field(&mut self, path: &str, type_name: &str, definition: &Value) -> Result<(), MappingError> {
        let Some((type_name, kind)) = TYPES.iter().find(|(name, _)| *name == type_name) else {
            return Err(MappingError::parsing(format!(
                "No handler for type [{type_name}] declared on field [{}]",
                path.rsplit('.').next().unwrap_or(path)
            )));
        };
        let above = |definition: &Value| {
            definition.get("ignore_above").and_then(Value::as_u64).and_then(|above| u32::try_from(above).ok())
        };
        let sub = definition.get("fields").and_then(|fields| fields.get("keyword"));
        let field = Field {
            path: Arc::from(path),
            kind: *kind,
            type_name,
            keyword: *kind == Kind::Keyword || (*kind == Kind::Text && sub.is_some()),
            ignore_above: match kind {
                Kind::Text => sub.and_then(above),
                _ => above(definition),
            },
        };
        if let Some(present) = self.ordinal(path) {
            if self.fields[present as usize].type_name != field.type_name {
                return Err(self.conflict(path, type_name));
            }
            // A keyword subfield can be added, never taken away.
            let present = &mut self.fields[present as usize];
            present.keyword |= field.keyword;
            present.ignore_above = field.ignore_above.or(present.ignore_above);
            return Ok(());
        }
        if self.is_object(path) {
            return Err(MappingError::illegal(format!(
                "can't merge a non object mapping [{path}] with an object mapping"
            )));
        }
        self.add_field(field);
        Ok(())
    }

    fn conflict(&self, path: &str, to: &str) -> MappingError {
        let from = self.field(path).map_or("object", |field| field.type_name);
        MappingError::illegal(format!("mapper [{path}] cannot be changed from type [{from}] to [{to}]"))
    }

    /// `{"properties": {…}}` as `_mapping` answers and our commits keep it.
    pub(crate) fn to_json(&self) -> Value {
        let mut root = Map::new();
        match self.dynamic {
            Dynamic::True => {}
            Dynamic::False => drop(root.insert("dynamic".to_owned(), json!("false"))),
            Dynamic::Strict => drop(root.insert("dynamic".to_owned(), json!("strict"))),
        }
        if self.no_date_detection {
            root.insert("date_detection".to_owned(), json!(false));
        }
        for object in &self.objects {
            node(&mut root, object);
        }
        for field in &self.fields {
            node(&mut root, &field.path).extend(field.to_json());
        }
        // An object with nothing below it must say that it is one.
        for object in &self.objects {
            let node = node(&mut root, object);
            if node.is_empty() {
                node.insert("type".to_owned(), json!("object"));
            }
        }
        Value::Object(root)
    }
}

impl Field {
    fn to_json(&self) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("type".to_owned(), json!(self.type_name));
        if self.kind == Kind::Text && self.keyword {
            let mut keyword = Map::new();
            keyword.insert("type".to_owned(), json!("keyword"));
            if let Some(above) = self.ignore_above {
                keyword.insert("ignore_above".to_owned(), json!(above));
            }
            out.insert("fields".to_owned(), json!({ "keyword": keyword }));
        } else if let Some(above) = self.ignore_above {
            out.insert("ignore_above".to_owned(), json!(above));
        }
        out
    }
}

/// The node of a dotted path below `properties`, made if missing.
fn node<'a>(root: &'a mut Map<String, Value>, path: &str) -> &'a mut Map<String, Value> {
    let mut at = root;
    for segment in path.split('.') {
        at = object(object(at, "properties"), segment);
    }
    at
}

fn object<'a>(at: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = at.entry(key.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}
