//! The documents say what is: every YAML example is a configuration that passes the check, and every command and option of
//! docs/commands.md is the program's, and the other way round.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use regex::Regex;

fn logmill() -> Command {
    Command::new(env!("CARGO_BIN_EXE_logmill"))
}

/// README.md and what is in docs.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|e| e == "md")).chain([root.join("README.md")]);
    pages.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// Code that is indented by four spaces below an empty line, without the indentation; with its line number.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let (mut inside, mut after_empty) = (false, false);
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("    ") {
            Some(code) if inside => {
                let (_, block) = blocks.last_mut().unwrap();
                block.push_str(code);
                block.push('\n');
            }
            Some(code) if after_empty => {
                inside = true;
                blocks.push((number + 1, format!("{code}\n")));
            }
            None if !line.is_empty() => inside = false,
            _ => {}
        }
        after_empty = line.is_empty();
    }
    blocks
}

#[test]
fn examples_of_configuration_pass_the_check() {
    let dir = tempfile::tempdir().unwrap();
    let key = Regex::new(r"^[a-z_]+:$").unwrap();
    let variable = Regex::new(r"\$\{([A-Z_]+)\}").unwrap();
    let mut checked = 0;
    for (path, text) in documents() {
        for (line, mut block) in blocks(&text) {
            if !block.lines().next().is_some_and(|first| key.is_match(first)) {
                continue;
            }
            let at = format!("{}:{line}", path.display());
            // What an example leaves out as known.
            if !block.contains("inputs:") && !block.contains("sinks:") && block.starts_with("kafka:") {
                block.push_str("inputs: [{ name: a, include: [/srv/a.log], topic: t }]\n");
            } else if !block.contains("kafka:") && (block.starts_with("inputs:") || block.starts_with("sinks:")) {
                block.push_str("kafka: { brokers: [localhost:9092] }\n");
            }
            let file = dir.path().join("example.yaml");
            std::fs::write(&file, &block).unwrap();
            let mut check = logmill();
            check.arg("check").arg(&file);
            for variable in variable.captures_iter(&block) {
                check.env(&variable[1], "0123456789abcdef0123456789abcdef");
            }
            let output = check.output().unwrap();
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{at}: this example is refused:\n{out}{err}\n{block}");
            checked += 1;
        }
    }
    assert!(checked >= 2, "only {checked} examples were found");
}

/// The options in a text.
fn options(text: &str) -> BTreeSet<String> {
    let option = Regex::new(r"(?:^|[^\w-])(--[a-z][a-z-]+)").unwrap();
    option.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The options that `logmill PATH --help` lists, and the commands below it.
fn help(path: &[String]) -> (BTreeSet<String>, Vec<String>) {
    let output = logmill().args(path).arg("--help").output().unwrap();
    assert!(output.status.success(), "logmill {} --help fails", path.join(" "));
    let text = String::from_utf8(output.stdout).unwrap();
    let listed = Regex::new(r"(?m)^ {2,6}(?:-\w, )?(--[a-z][a-z-]+)").unwrap();
    let options = listed.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    let commands = text.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap_or(""));
    let command = Regex::new(r"(?m)^  ([a-z][a-z-]*)").unwrap();
    let commands = command.captures_iter(commands).map(|found| found[1].to_owned()).filter(|name| name != "help");
    (options, commands.collect())
}

/// Every command that does something, with its options.
fn all_commands(path: &[String], into: &mut BTreeMap<String, BTreeSet<String>>) {
    let (options, below) = help(path);
    if below.is_empty() {
        into.insert(path.join(" "), options);
    }
    for name in below {
        all_commands(&[path, &[name]].concat(), into);
    }
}

#[test]
fn commands_and_options_are_documented_as_they_are() {
    const COMMON: [&str; 6] = ["--help", "--version", "--brokers", "--property", "--timeout", "--output"];
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md")).unwrap();
    let mut commands = BTreeMap::new();
    all_commands(&[], &mut commands);
    let sections: Vec<&str> = text.split("\n## ").collect();
    let mut faults = Vec::new();
    for (command, listed) in &commands {
        let head = command.split(' ').next().unwrap();
        let Some(section) = sections.iter().find(|s| s.starts_with(&format!("logmill {head}"))) else {
            faults.push(format!("no section for `logmill {command}`"));
            continue;
        };
        // The synopsis goes on in lines that are indented further.
        let (mut synopsis, mut ours) = (String::new(), false);
        for line in blocks(section).iter().flat_map(|(_, block)| block.lines()) {
            if !line.starts_with(' ') {
                let rest = line.strip_prefix(&format!("logmill {command}"));
                ours = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
            }
            if ours {
                synopsis.push_str(line);
                synopsis.push('\n');
            }
        }
        if synopsis.is_empty() {
            faults.push(format!("no synopsis of `logmill {command}`"));
        }
        for option in options(&synopsis).difference(listed) {
            faults.push(format!("`logmill {command}` has no option {option}"));
        }
        for option in listed.difference(&options(section)).filter(|option| !COMMON.contains(&option.as_str())) {
            faults.push(format!("{option} of `logmill {command}` is not documented"));
        }
    }
    assert!(faults.is_empty(), "docs/commands.md:\n{}", faults.join("\n"));
    assert!(commands.len() > 15, "only {} commands were found", commands.len());
}

/// A part of the mistakes that docs/configuration.md shows is this file's.
const MISTAKEN: &str = "\
state_dir: /tmp/a

kafka:
  compresion: lz4
inputs:
  - name: app
    include: [/srv/a.log]
    topic: t
    multiline: { start: x, end: y }
";

#[test]
fn mistakes_read_as_they_are_shown() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let shown: Vec<_> = blocks(&text).into_iter().filter(|(_, block)| block.starts_with("agent.yaml:")).collect();
    let [(_, shown)] = shown.as_slice() else { panic!("{} blocks of mistakes", shown.len()) };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("agent.yaml"), MISTAKEN).unwrap();
    let output = logmill().args(["check", "agent.yaml"]).current_dir(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78));
    assert!(said.starts_with(shown.as_str()), "docs/configuration.md shows\n{shown}but it says\n{said}");
}

/// Lines of code in the documents that are not run as they stand, and where what they do is: a suite of `logmill-e2e`, a test
/// or a script that names them. A line that ends in `…` stands for all that begin so.
const RUN_ELSEWHERE: [(&str, &str); 17] = [
    // The suite types in what stands in README.md, with the binary that cargo built, and compares what `up` prints.
    ("cargo run --release -- up --sample", "suite documents"),
    ("kafka: 127.0.0.1:9092", "suite documents"),
    ("index: http://127.0.0.1:9200", "suite documents"),
    ("metrics: http://127.0.0.1:9600/metrics", "suite documents"),
    ("ready", "suite documents"),
    ("try: curl …", "suite documents"),
    // With the binaries of the tests in place of a release.
    ("cargo test --workspace", ".ci/run"),
    ("cargo build --release --workspace && deploy/debian/build", "suite systemd"),
    ("cargo build --release --workspace", "suite systemd"),
    ("deploy/debian/build", "suite systemd"),
    // There as root, from where the suite has put them.
    ("sudo dpkg -i …", "suite systemd"),
    // What systemd's editor would be given.
    ("# systemctl edit logmill-agent", "suite systemd"),
    // With binaries that are there; the soak docker-build compiles them in the image.
    ("docker build …", "suite docker"),
    // By Debian's docker-compose, with images that are there.
    ("LOGMILL_LOGS_DIR=$PWD/logs docker compose -f deploy/docker/compose.yaml up --build -d", "suite docker"),
    (
        "LOGMILL_LOGS_DIR=/var/log/app docker compose --file deploy/docker/compose.yaml up --build --detach",
        "suite docker",
    ),
    ("clock, settings, error, metrics → …", "tests/house.rs"),
    ("# yaml-language-server: $schema=agent.schema.json", "tests/command.rs"),
];

#[test]
fn every_block_is_run_or_checked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let suites = std::fs::read_to_string(root.join("e2e/src/suites.rs")).unwrap();
    let yaml = Regex::new(r"^[a-z_]+:$").unwrap();
    let (mut faults, mut used) = (Vec::new(), BTreeSet::new());
    for (path, text) in documents() {
        let page = path.file_name().unwrap().to_str().unwrap().to_owned();
        for (number, block) in blocks(&text) {
            let first = block.lines().next().unwrap();
            // Configurations and mistakes have tests above, and so has each line of the commands' page.
            if yaml.is_match(first)
                || first.starts_with("agent.yaml:")
                || (page == "commands.md" && first.starts_with("logmill"))
            {
                continue;
            }
            for line in block.lines() {
                let command = line.trim().split(" #").next().unwrap().trim();
                let typed = ["target/release/logmill ", "logmill ", "logmill-agent ", "logmill-sinks "];
                // The suites `documents` and `systemd` type in what they find in these two.
                if ["README.md", "operations.md"].contains(&page.as_str())
                    && typed.iter().any(|p| command.starts_with(p))
                {
                    continue;
                }
                let listed = RUN_ELSEWHERE.iter().position(|(listed, _)| match listed.strip_suffix('…') {
                    Some(beginning) => command.starts_with(beginning),
                    None => command == *listed,
                });
                match listed {
                    Some(at) => used.insert(at),
                    None => {
                        faults.push(format!("{page}:{number}: nothing runs or checks `{line}`"));
                        continue;
                    }
                };
                // What follows the editor's command is the text it is given.
                if command.starts_with("# systemctl edit") {
                    break;
                }
            }
        }
    }
    for (at, (line, place)) in RUN_ELSEWHERE.iter().enumerate() {
        if !used.contains(&at) {
            faults.push(format!("no document has `{line}` any more"));
        }
        let there = match place.strip_prefix("suite ") {
            Some(suite) => suites.contains(&format!("name: \"{suite}\"")),
            None => root.join(place).exists(),
        };
        if !there {
            faults.push(format!("`{line}`: there is no {place}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
