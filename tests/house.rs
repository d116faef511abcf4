//! The house rules: who may use whom, how files begin, what they may be called, how long they may be.
//!
//! docs/architecture.md explains the rules; this test is what keeps them true.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Folder → crate → the project's crates it may use. Agent, broker, sinks and index meet only over their protocols;
/// only the command composes them.
const HOUSES: [(&str, &str, &[&str]); 14] = [
    (
        "agent",
        "logmill-agent",
        &["logmill-allocator", "logmill-config", "logmill-transform", "logmill-daemon", "logmill-disk"],
    ),
    ("broker/protocol", "logmill-protocol", &[]),
    ("broker/log", "logmill-log", &["logmill-protocol", "logmill-disk"]),
    (
        "broker",
        "logmill-broker",
        &["logmill-protocol", "logmill-log", "logmill-config", "logmill-daemon", "logmill-disk"],
    ),
    ("sinks", "logmill-sinks", &["logmill-allocator", "logmill-config", "logmill-transform", "logmill-daemon"]),
    ("index", "logmill-index", &["logmill-allocator", "logmill-config", "logmill-daemon", "logmill-disk"]),
    ("config", "logmill-config", &[]),
    ("transform", "logmill-transform", &["logmill-config"]),
    ("daemon", "logmill-daemon", &["logmill-config"]),
    ("disk", "logmill-disk", &[]),
    ("allocator", "logmill-allocator", &[]),
    ("e2e", "logmill-e2e", &[]),
    ("bench", "logmill-bench", &["logmill-e2e"]),
    (
        "",
        "logmill",
        &[
            "logmill-agent",
            "logmill-broker",
            "logmill-protocol",
            "logmill-sinks",
            "logmill-index",
            "logmill-allocator",
            "logmill-config",
            "logmill-daemon",
        ],
    ),
];

/// The broker's modules from the ground up: each may use those of its own line and of the lines before it.
const BROKER_LAYERS: [&[&str]; 9] = [
    &["clock", "settings", "error", "metrics"],
    &["metadata", "security"],
    &["partition"],
    &["cluster"],
    &["coordinator"],
    &["broker"],
    &["api"],
    &["net"],
    &["server"],
];

#[test]
fn the_architecture_draws_the_layers_as_they_are() {
    let drawn = BROKER_LAYERS.map(|layer| layer.join(", ")).join(" → ");
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    assert!(text.lines().any(|line| line.trim() == drawn), "docs/architecture.md draws the broker's layers otherwise");
}

const LONGEST_FILE: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every .rs file of the project, relative to its root.
fn sources() -> Vec<PathBuf> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "data", "logs"].contains(&name.as_str()) {
                    walk(&path, found);
                }
            } else if name.ends_with(".rs") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), &mut found);
    found.sort();
    assert!(found.len() > 50, "only {} source files found", found.len());
    found
}

/// The house of a file: the longest folder that holds it.
fn house(file: &Path) -> (&'static str, &'static str, &'static [&'static str]) {
    HOUSES.into_iter().filter(|(folder, ..)| file.starts_with(folder)).max_by_key(|(folder, ..)| folder.len()).unwrap()
}

/// A file's lines without comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(root().join(file)).unwrap();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_crate_has_a_house() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<&str> = members.iter().map(|m| m.as_str().unwrap()).chain([""]).collect();
    let houses: BTreeSet<&str> = HOUSES.iter().map(|(folder, ..)| *folder).collect();
    assert_eq!(members, houses);
}

#[test]
fn manifests_keep_the_import_table() {
    let mut faults = Vec::new();
    for (folder, name, allowed) in HOUSES {
        let path = root().join(folder).join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some(name), "{}", path.display());
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section) else { continue };
            for dependency in dependencies.as_table().unwrap().keys() {
                if dependency.starts_with("logmill") && !allowed.contains(&dependency.as_str()) {
                    faults.push(format!("{folder}/Cargo.toml: {name} may not use {dependency}"));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn sources_keep_the_import_table() {
    let mut faults = Vec::new();
    for file in sources() {
        let (_, own, allowed) = house(&file);
        let text = code(&file);
        for (_, name, _) in HOUSES {
            let used = text.contains(&format!("{}::", name.replace('-', "_")));
            // A crate's own tests and binaries name it too.
            if used && name != own && !allowed.contains(&name) {
                faults.push(format!("{}: {own} may not use {name}", file.display()));
            }
        }
    }
    none(&faults);
}

#[test]
fn the_broker_keeps_its_layers() {
    let layer_of = |module: &str| BROKER_LAYERS.iter().position(|layer| layer.contains(&module));
    let mut faults = Vec::new();
    for file in sources().iter().filter(|f| f.starts_with("broker/src")) {
        let relative = file.strip_prefix("broker/src").unwrap();
        let module = relative.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        if ["lib", "main", "tests"].contains(&module.as_str()) || is_test(relative) {
            continue;
        }
        let Some(layer) = layer_of(&module) else {
            faults.push(format!("{}: module {module} has no layer in this test", file.display()));
            continue;
        };
        for used in crate_modules(&without_test_modules(&code(file))) {
            match layer_of(&used) {
                Some(other) if other > layer => {
                    faults.push(format!("{}: {module} may not use {used}, which is above it", file.display()));
                }
                _ => {}
            }
        }
    }
    none(&faults);
}

fn is_test(file: &Path) -> bool {
    file.iter().any(|part| {
        let part = part.to_string_lossy();
        part == "tests" || part == "tests.rs"
    })
}

/// Tests inside a file come last and may reach anywhere.
fn without_test_modules(code: &str) -> String {
    code.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

/// First segments behind `crate::`, one by one or in braces.
fn crate_modules(code: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for (_, after) in code.match_indices("crate::").map(|(at, found)| code.split_at(at + found.len())) {
        match after.strip_prefix('{') {
            None => drop(modules.insert(identifier(after))),
            Some(list) => {
                let mut depth = 0;
                let mut item = String::new();
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => drop(modules.insert(identifier(&std::mem::take(&mut item)))),
                        _ if depth == 0 => item.push(c),
                        _ => {}
                    }
                }
                modules.insert(identifier(&item));
            }
        }
    }
    modules.remove("");
    modules
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn the_scanner_sees_what_it_must() {
    let code = "use crate::api::x; use crate::{\n  net::{a, b},\n  server,\n}; let x = crate::partition::y();";
    let expected = ["api", "net", "partition", "server"].map(String::from);
    assert_eq!(crate_modules(code), BTreeSet::from(expected));
    assert_eq!(house(Path::new("broker/log/src/lib.rs")).1, "logmill-log");
    assert_eq!(house(Path::new("broker/src/lib.rs")).1, "logmill-broker");
    assert_eq!(house(Path::new("src/main.rs")).1, "logmill");
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut faults = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(root().join(&file)).unwrap();
        let opening = text.lines().next().unwrap_or_default();
        if opening.strip_prefix("//! ").is_none_or(|words| words.trim().len() < 10) {
            faults.push(format!("{}:1: expected a line `//! what this file is for`", file.display()));
        }
    }
    none(&faults);
}

#[test]
fn names_say_something_and_files_stay_short() {
    let mut faults = Vec::new();
    for file in sources() {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        if ["mod", "util", "utils", "helper", "helpers", "common", "misc"].contains(&stem.as_str()) {
            faults.push(format!("{}: expected a name that says what is inside", file.display()));
        }
        let lines = fs::read_to_string(root().join(&file)).unwrap().lines().count();
        if lines > LONGEST_FILE {
            faults.push(format!("{}: {lines} lines, expected at most {LONGEST_FILE}: split it", file.display()));
        }
    }
    none(&faults);
}

#[test]
fn dependencies_are_versioned_once() {
    let mut faults = Vec::new();
    for (folder, ..) in HOUSES {
        let manifest: toml::Table =
            fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap().parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies: BTreeMap<_, _> =
                manifest.get(section).and_then(|s| s.as_table()).into_iter().flatten().collect();
            for (name, value) in dependencies {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    faults.push(format!(
                        "{folder}/Cargo.toml: {name}: expected `workspace = true`, versions stand in the root"
                    ));
                }
            }
        }
    }
    none(&faults);
}
