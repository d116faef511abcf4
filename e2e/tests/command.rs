//! The command as a process. That there is a test of it makes `cargo test` build the binary, which the suites are run with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_logmill-e2e")).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn suites_are_listed_by_name_and_unknown_ones_refused() {
    let (code, list) = run(&["list"]);
    assert_eq!(Some(0), code, "{list}");
    for suite in logmill_e2e::suites::ALL.iter().chain(logmill_e2e::suites::SOAKS) {
        assert!(list.lines().any(|line| line.starts_with(suite.name) && line.contains(suite.about)), "{}", suite.name);
    }
    let (code, said) = run(&["run", "nonsense"]);
    assert_eq!(Some(64), code, "{said}");
    assert!(said.contains("no suite is named nonsense"), "{said}");
}
