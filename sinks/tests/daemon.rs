//! The daemon as a process: what can be known at the start to be wrong ends it with one clear message.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

/// Exit code and what is said, of a sink with these additional lines.
fn started_with(lines: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sinks.yaml");
    let yaml = format!(
        "kafka: {{ brokers: [\"127.0.0.1:1\"] }}\nmetrics: \"127.0.0.1:0\"\nsinks:\n  - name: one\n    topics: [logs]\n{lines}"
    );
    std::fs::write(&path, yaml).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_logmill-sinks")).arg("--config").arg(&path).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn files_that_are_missing_are_named() {
    let elasticsearch = "    elasticsearch: { hosts: [\"http://127.0.0.1:1\"], index: logs";
    for (lines, key) in [
        (format!("{elasticsearch}, tls: {{ ca_file: /nowhere/ca.pem }} }}\n"), "tls.ca_file"),
        (
            format!("{elasticsearch} }}\n    enrich: {{ geoip: {{ field: ip, database: /nowhere/city.mmdb }} }}\n"),
            "geoip",
        ),
    ] {
        let (code, said) = started_with(&lines);
        assert_eq!(Some(1), code, "{said}");
        let last = said.lines().last().unwrap();
        assert!(["sink one", key, "/nowhere/"].iter().all(|part| last.contains(part)), "{said}");
    }
}

#[test]
fn a_program_that_does_not_compile_is_told_with_line_and_caret() {
    let lines = "    transform: |\n      .a = 1\n      .b = upcase(.a)\n      .c = upcase(.c)\n    file: { path: /tmp/a.ndjson }\n";
    let (code, said) = started_with(lines);
    assert_eq!(Some(78), code, "{said}");
    for part in ["sinks.yaml:7:7: sinks[0].transform: does not compile:", "error[E110]", ":2:13", ":3:6", "^^"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_wrong_file_is_told_with_line_and_column() {
    let (code, said) = started_with("    elasticsearch: { hosts: [\"http://127.0.0.1:1\"], indx: logs }\n");
    assert_eq!(Some(78), code, "{said}");
    assert!(said.contains("sinks.yaml:6:"), "{said}");
    assert!(said.contains("did you mean \"index\"?"), "{said}");
}
