//! The reference page is what the loader asks for, and the reference files tell the truth about defaults.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, path::Path};

use regex::Regex;
use serde_json::Value;

use super::{Description, Wanted, page, schema};
use crate::{
    ConfigFile, agent::AgentConfig, broker::BrokerConfig, index::IndexConfig, kind::Kind, sinks::SinksConfig, units,
};

const KINDS: [Kind; 4] = [Kind::Agent, Kind::Broker, Kind::Sinks, Kind::Index];

/// `LOGMILL_REWRITE=1` writes it anew.
#[test]
fn the_reference_page_is_what_the_loader_asks_for() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration-reference.md");
    let page = page();
    if std::env::var_os("LOGMILL_REWRITE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let differs = there.lines().zip(page.lines()).find(|(there, now)| there != now);
    assert!(
        there == page,
        "docs/configuration-reference.md is not what the loader asks for, first in {differs:?}; \
         LOGMILL_REWRITE=1 cargo test -p logmill-config reference_page writes it anew"
    );
}

#[test]
fn every_key_is_explained_in_its_reference_file_with_its_default() {
    let mut faults = Vec::new();
    let mut compared = 0;
    for kind in KINDS {
        let description = Description::of(kind);
        for key in &description.keys {
            let at = format!("config/{}.yaml: {}", kind.name(), key.path);
            if key.wanted.is_empty() {
                faults.push(format!("{at}: the loader asks for it without reading it when every key is there"));
            }
            // What a list's items are is told at the list.
            if key.is_item() {
                continue;
            }
            if key.about.is_empty() {
                faults.push(format!("{at}: no comment says what it is for"));
            }
            if let (Some(default), None, Some(shown), false) =
                (&key.default, &key.default_in_words, &key.shown, key.needed)
            {
                compared += 1;
                let shown = expand(shown);
                let same = shown == *default
                    || units::parse_duration(&shown).is_ok_and(|d| units::parse_duration(default) == Ok(d))
                    || units::parse_size(&shown).is_ok_and(|n| units::parse_size(default) == Ok(n));
                if !same {
                    faults.push(format!("{at}: the file shows {shown}, the default is {default}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(compared > 50, "only {compared} defaults were compared");
}

/// `${NAME:-default}` without its variable.
fn expand(text: &str) -> String {
    Regex::new(r"\$\{\w+:-([^}]*)\}").unwrap().replace_all(text, "$1").into_owned()
}

#[test]
fn kinds_of_values_are_told_apart() {
    let description = Description::of(Kind::Agent);
    let key = |path: &str| description.key(path).unwrap();
    assert_eq!(key("inputs[].parse").wanted.len(), 2, "{:?}", key("inputs[].parse"));
    assert_eq!(key("inputs[].parse").default.as_deref(), Some("auto"));
    assert!(key("inputs[].topic").needed && key("inputs").needed);
    assert_eq!(key("buffer_bytes").default.as_deref(), Some("16MiB"));
    assert_eq!(key("inputs[].flush_unterminated").default.as_deref(), Some("5s"));
    assert_eq!(key("inputs[].container").default.as_deref(), Some("none"));
    assert_eq!(key("metrics").default.as_deref(), Some("127.0.0.1:9601"));
    assert!(key("inputs[].fields").own_keys);
    assert_eq!(key("inputs[].include[]").wanted, [Wanted::Text("glob")]);
    assert!(description.key("kafka.tls").is_none() || !key("kafka.tls").wanted.is_empty());
}

/// What a schema says of a value, as far as our schemas go.
fn fits(schema: &Value, value: &Value, root: &Value) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        return fits(root.pointer(name.trim_start_matches('#')).unwrap(), value, root);
    }
    if let Some(forms) = schema["anyOf"].as_array() {
        let faults: Vec<_> = forms.iter().map(|form| fits(form, value, root)).collect();
        return if faults.iter().any(Result::is_ok) { Ok(()) } else { Err(format!("{faults:?}")) };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(_) if types.contains(&"integer") => "integer",
        Value::Number(_) => "number",
        Value::Null => "null",
    };
    let mut wrong = !types.is_empty() && !types.contains(&kind);
    wrong |= schema["enum"].as_array().is_some_and(|words| !words.contains(value));
    wrong |= schema.get("const").is_some_and(|only| only != value);
    wrong |= schema["pattern"].as_str().is_some_and(|p| !Regex::new(p).unwrap().is_match(value.as_str().unwrap_or("")));
    wrong |= schema["minimum"].as_f64().is_some_and(|least| value.as_f64().is_some_and(|n| n < least));
    wrong |= schema["maximum"].as_f64().is_some_and(|most| value.as_f64().is_some_and(|n| n > most));
    wrong |=
        schema["minItems"].as_u64().is_some_and(|least| value.as_array().is_some_and(|a| (a.len() as u64) < least));
    if wrong {
        return Err(format!("{value} does not fit {schema}"));
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(key) {
            Some(schema) => fits(schema, value, root).map_err(|e| format!("{key}: {e}"))?,
            None if schema["additionalProperties"] == Value::Bool(false) => return Err(format!("{key}: unknown")),
            None => {}
        }
    }
    for needed in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        value.get(needed).ok_or(format!("{needed}: missing"))?;
    }
    for item in value.as_array().into_iter().flatten().filter(|_| schema.get("items").is_some()) {
        fits(&schema["items"], item, root)?;
    }
    Ok(())
}

fn json(text: &str) -> Value {
    use crate::{problem::Findings, value};
    let findings = Findings::default();
    // Variables stay as they are.
    let text = text.replace("${", "$${");
    let node = crate::tree::parse(&text, &|_| None, &findings).unwrap();
    value::Value { findings: &findings, path: String::new(), node: &node, key_mark: node.mark }.json().unwrap()
}

#[test]
fn the_schema_takes_the_reference_files_and_refuses_mistakes() {
    let references = [AgentConfig::REFERENCE, BrokerConfig::REFERENCE, SinksConfig::REFERENCE, IndexConfig::REFERENCE];
    for (kind, reference) in KINDS.into_iter().zip(references) {
        let schema = schema(kind);
        fits(&schema, &json(reference), &schema).unwrap_or_else(|e| panic!("{}: {e}", kind.name()));
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    }
    let agent = schema(Kind::Agent);
    let usual = "name: a, include: [x], topic: t";
    for good in [
        "parse: { regex: '(?<message>.*)' }",
        "key: 'field:user.id', max_line_bytes: 1000",
        "encoding: '${ENCODING}', fields: { a.b: 1 }",
    ] {
        let text = format!("inputs: [{{ {usual}, {good} }}]");
        AgentConfig::parse_with("a", &text.replace("${ENCODING}", "gbk"), &|_| None).unwrap();
        fits(&agent, &json(&text), &agent).unwrap_or_else(|e| panic!("{good}: {e}"));
    }
    for bad in [
        "parse: { regexp: x }",
        "parse: csv2",
        "key: 'field:'",
        "flush_unterminated: 5",
        "max_line_bytes: 64K",
        "limits: [{ lines_per_second: 0 }]",
        "include: []",
        "topik: t",
    ] {
        let text = format!("inputs: [{{ {usual}, {bad} }}]");
        assert!(AgentConfig::parse_with("a", &text, &|_| None).is_err(), "{bad}");
        assert!(fits(&agent, &json(&text), &agent).is_err(), "{bad}");
    }
    assert!(fits(&agent, &json("state_dir: /a"), &agent).is_err(), "inputs are needed");
}
