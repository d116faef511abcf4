//! The reference page: a table for each section of each file.

use std::fmt::Write;

use super::{Description, Key, Wanted};
use crate::{
    kind::Kind,
    units::{format_duration, format_size},
};

const HEAD: &str = "# Configuration reference

Every key of the four files: what it takes, what holds when it is absent, and what it is for. Written from what the loader asks for and from
the comments of the reference files in [config/](../config/); what they share is told in [configuration.md](configuration.md). The same as JSON
Schema, for editors: `logmill schema agent`, or `broker`, `sinks`, `index`. `[]` stands for each item of a list.

";

/// The page, in Markdown.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    for kind in [Kind::Agent, Kind::Broker, Kind::Sinks, Kind::Index] {
        let description = Description::of(kind);
        let _ = writeln!(out, "## {}.yaml\n", kind.name());
        table(&description, "", &mut out);
        let mut sections: Vec<&str> = Vec::new();
        for key in description.keys.iter().filter(|key| !key.section().is_empty()) {
            if !sections.contains(&key.section()) {
                sections.push(key.section());
            }
        }
        for section in sections {
            let _ = writeln!(out, "### {}\n", title(kind, section));
            table(&description, section, &mut out);
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn title(kind: Kind, section: &str) -> String {
    format!("{}.yaml: {section}", kind.name())
}

fn table(description: &Description, section: &str, out: &mut String) {
    out.push_str("| key | takes | default | |\n|---|---|---|---|\n");
    for key in description.keys_of(section) {
        let cells = [format!("`{}`", key.name()), takes(description, key), default(key), about(key)];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

/// What it is for, where that is more than a list of the words it takes.
fn about(key: &Key) -> String {
    let word = |text: &str| {
        key.wanted.iter().any(|w| matches!(w, Wanted::OneOf(words) if words.iter().any(|(word, _)| word == text)))
    };
    if key.about.split(" | ").all(word) { String::new() } else { key.about.clone() }
}

fn default(key: &Key) -> String {
    match (&key.default_in_words, &key.default) {
        _ if key.needed => "needed".to_owned(),
        (Some(words), _) => words.clone(),
        (None, Some(default)) => format!("`{default}`"),
        (None, None) => String::new(),
    }
}

fn takes(description: &Description, key: &Key) -> String {
    if key.own_keys {
        return "keys of your own".to_owned();
    }
    let forms: Vec<_> = key.wanted.iter().map(|wanted| form(description, key, wanted)).collect();
    forms.join(", or ")
}

fn form(description: &Description, key: &Key, wanted: &Wanted) -> String {
    match wanted {
        Wanted::Text(what) => (*what).to_owned(),
        Wanted::Boolean => "`true` or `false`".to_owned(),
        Wanted::Number { least, most } => format!("number, {least} to {most}"),
        Wanted::Size { least, most } => format!("size, {} to {}", format_size(*least), format_size(*most)),
        Wanted::Duration { least, most } => {
            format!("duration, {} to {}", format_duration(*least), format_duration(*most))
        }
        Wanted::OneOf(words) => words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Wanted::Section => {
            let anchor = title(description.kind, &key.path).to_lowercase().replace(' ', "-");
            let in_anchor = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            format!("[section](#{})", anchor.chars().filter(in_anchor).collect::<String>())
        }
        Wanted::List { at_least } => {
            let items = description.key(&format!("{}[]", key.path)).map(|item| takes(description, item));
            let empty = if *at_least == 0 { ", may be empty" } else { "" };
            format!("list of {}{empty}", items.unwrap_or_default())
        }
    }
}
