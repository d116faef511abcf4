//! What compiles, and how mistakes are told.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use logmill_config::{ConfigFile, agent::AgentConfig};

use super::*;
use crate::{metadata::Kind::Text, run::Made};

const NAMES: &Names = &[("path", Text)];

/// As it stands in a file.
pub(crate) fn transform(yaml: &str) -> Transform {
    let text = format!("inputs:\n  - {{ name: a, include: [a], topic: t, transform: {yaml} }}\n");
    let mut config = AgentConfig::parse_with("a.yaml", &text, &|_| None).unwrap_or_else(|e| panic!("{e}"));
    config.inputs.remove(0).transform.unwrap()
}

#[test]
fn mistakes_are_told() {
    for (program, expected) in [
        ("'.level = upcase(.level)'", "^^^^^^"),
        ("'.x = '", "syntax error"),
        ("'.x = upcas(\"a\")'", "did you mean \"upcase\""),
        ("'. = 1'", "expected an object"),
        ("'%path = \"b\"'", "read-only"),
        ("'.a = upcase(%offset)'", "error"),
        ("'.a = decode_gzip!(.a)'", "undefined function"),
        ("'.a = get_env_var!(\"HOME\")'", "undefined function"),
        ("'.a = dns_lookup!(\"h\")'", "undefined function"),
        ("{ file: /nowhere/a.vrl }", "/nowhere/a.vrl: cannot open"),
    ] {
        let transform = transform(program);
        let found = mistakes([&transform], NAMES);
        assert!(found.len() == 1 && found[0].message.contains(expected), "{program}: {found:?}");
        assert!(warnings([&transform], NAMES).is_empty());
    }
    assert!(mistakes([&transform("'.x = upcase(%path)'")], NAMES).is_empty());
}

#[test]
fn what_is_odd_is_a_warning() {
    let odd = transform("'upcase(\"a\"); .x = 1'");
    assert!(mistakes([&odd], NAMES).is_empty());
    let found = warnings([&odd], NAMES);
    assert!(found.len() == 1 && found[0].message.contains("warning"), "{found:?}");
    assert!(warnings([&transform("'.x = 1'")], NAMES).is_empty());
}

#[test]
fn a_file_holds_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vrl");
    std::fs::write(&path, "# a comment\n.x = 1\n").unwrap();
    let transform = transform(&format!("{{ file: '{}' }}", path.display()));
    let made = Program::compile(&transform, NAMES).unwrap().runner().run(b"{}", &[], 100);
    assert_eq!(made, Made::Event(b"{\"x\":1}".to_vec()));
    std::fs::write(&path, "\n.x = ").unwrap();
    let found = mistakes([&transform], NAMES);
    assert!(found[0].path == "inputs[0].transform.file" && found[0].message.contains("a.vrl: does not compile"));
    std::fs::write(&path, vec![b' '; MOST as usize + 1]).unwrap();
    assert!(mistakes([&transform], NAMES)[0].message.contains("larger than 1 MiB"));
}
