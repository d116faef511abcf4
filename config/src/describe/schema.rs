//! JSON Schema, in the draft that editors know best. A value in which a variable stands passes whatever it is for, since only
//! the loader knows what will be put in.

use serde_json::{Map, Value, json};

use super::{Description, Key, Wanted};
use crate::kind::Kind;

/// The schema of a kind of file.
pub fn schema(kind: Kind) -> Value {
    let description = Description::of(kind);
    let mut schema = section(&description, "");
    schema.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".into(), format!("logmill {}.yaml", kind.name()).into());
    let variable = json!({ "type": "string", "pattern": r"\$\{[A-Za-z_]" });
    schema.insert("definitions".into(), json!({ "variable": variable }));
    Value::Object(schema)
}

fn section(description: &Description, path: &str) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in description.keys_of(path) {
        properties.insert(key.name().to_owned(), Value::Object(value(description, key)));
        if key.needed {
            required.push(key.name());
        }
    }
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties.into());
    schema.insert("additionalProperties".into(), false.into());
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema
}

fn value(description: &Description, key: &Key) -> Map<String, Value> {
    let scalar = |wanted: &Wanted| !matches!(wanted, Wanted::Text(_) | Wanted::List { .. } | Wanted::Section);
    let mut forms: Vec<_> = key.wanted.iter().flat_map(|wanted| forms(description, key, wanted)).collect();
    if key.wanted.iter().any(scalar) {
        forms.push(json!({ "$ref": "#/definitions/variable" }));
    }
    let mut schema = match (forms.pop(), forms.is_empty()) {
        (Some(Value::Object(only)), true) => only,
        (Some(last), _) => {
            forms.push(last);
            Map::from_iter([("anyOf".to_owned(), forms.into())])
        }
        (None, _) => Map::new(),
    };
    if !key.about.is_empty() {
        let words = key.default_in_words.as_ref().map(|words| format!("; default: {words}"));
        schema.insert("description".into(), format!("{}{}", key.about, words.unwrap_or_default()).into());
    }
    if let (Some(default), None) = (&key.default, &key.default_in_words) {
        let typed = match key.wanted.first() {
            Some(Wanted::Boolean | Wanted::Number { .. }) => serde_json::from_str(default).ok(),
            Some(Wanted::List { .. }) => None,
            _ => Some(default.as_str().into()),
        };
        typed.map(|default| schema.insert("default".into(), default));
    }
    schema
}

/// Any of these is what is wanted.
fn forms(description: &Description, key: &Key, wanted: &Wanted) -> Vec<Value> {
    const TEXT: [&str; 3] = ["string", "number", "boolean"];
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    match wanted {
        Wanted::Text(_) => vec![json!({ "type": TEXT })],
        Wanted::Boolean => vec![json!({ "type": "boolean" })],
        Wanted::Number { least, most } => {
            vec![json!({ "type": "integer", "minimum": number(least), "maximum": number(most) })]
        }
        Wanted::Size { least, most } => vec![
            json!({ "type": "string", "pattern": "^[0-9]+ *(([kKmMgGtT][iI]?)?[bB])?$" }),
            json!({ "type": "integer", "minimum": least, "maximum": most }),
        ],
        Wanted::Duration { .. } => {
            vec![json!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h|d)$" }), json!({ "const": 0 })]
        }
        Wanted::OneOf(words) => {
            let (open, fixed): (Vec<&str>, Vec<&str>) =
                words.iter().map(|(word, _)| word.as_str()).partition(|word| word.ends_with(":NAME"));
            let open = open
                .iter()
                .map(|word| json!({ "type": "string", "pattern": format!("^{}.", word.trim_end_matches("NAME")) }));
            std::iter::once(json!({ "enum": fixed })).chain(open).collect()
        }
        Wanted::Section if key.own_keys => vec![json!({ "type": "object" })],
        Wanted::Section => vec![Value::Object(section(description, &key.path))],
        Wanted::List { at_least } => {
            let items = description.key(&format!("{}[]", key.path)).map(|item| value(description, item));
            vec![json!({ "type": "array", "items": items.unwrap_or_default(), "minItems": at_least })]
        }
    }
}
