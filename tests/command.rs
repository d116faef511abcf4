//! The `logmill` command from outside, where it needs no broker: exit codes and messages.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    net::TcpListener,
    process::{Command, Stdio},
};

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn logmill(arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_logmill"))
        .args(arguments)
        .env_remove("LOGMILL_BROKERS")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn help_and_version_are_fine() {
    let version = logmill(&["--version"]);
    assert_eq!(version.code, 0);
    assert!(version.out.starts_with(concat!("logmill ", env!("CARGO_PKG_VERSION"), " (")), "{}", version.out);
    let help = logmill(&["--help"]);
    assert_eq!(help.code, 0);
    for command in ["up", "sample", "topics", "produce", "consume", "groups", "configs", "ledger", "check", "health"] {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command} is not in the help:\n{}", help.out);
    }
}

#[test]
fn wrong_usage_is_64() {
    for arguments in [
        &["tpics"][..],
        &[],
        &["topics", "create"],
        &["consume", "t", "--offset", "latest"],
        &["consume", "t", "--offset", "stored"],
        &["consume", "t", "--group", "g", "--offset", "5"],
        &["produce", "t", "--header", "novalue"],
        &["sample", "--kind", "mail", "f"],
        &["configs", "describe", "--all"],
        &["configs", "describe", "--topic", "t", "--broker", "1"],
        &["configs", "alter", "--topic", "t"],
        &["topics", "alter", "t"],
        &["topics", "alter", "t", "--config", "novalue"],
        &["groups", "reset-offsets", "g", "--to-latest"],
        &["groups", "reset-offsets", "g", "--topic", "t"],
        &["groups", "reset-offsets", "g", "--topic", "t:x", "--to-latest"],
        &["groups", "reset-offsets", "g", "--topic", "t", "--to-latest", "--to-earliest"],
        &["groups", "reset-offsets", "g", "--topic", "t", "--to-latest", "--dry-run", "--execute"],
        &["groups", "delete"],
    ] {
        let ran = logmill(arguments);
        assert_eq!(ran.code, 64, "{arguments:?}: {}", ran.err);
        assert!(!ran.err.is_empty());
    }
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (arguments, name) in [
        (&["users", "list"][..], "logmill users"),
        (&["consume", "t", "--isolation", "read-committed"], "logmill consume --isolation"),
        (&["topics", "list", "--tls"], "--tls"),
    ] {
        let ran = logmill(arguments);
        assert_eq!(ran.code, 64, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(name) && ran.err.contains("not supported yet"), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn schemas_are_printed() {
    for (kind, key) in [("agent", "inputs"), ("broker", "listeners"), ("sinks", "sinks"), ("index", "refresh_interval")]
    {
        let ran = logmill(&["schema", kind]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let schema: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert!(schema["properties"][key]["description"].is_string(), "{kind}: {key} is not described");
    }
    assert_eq!(logmill(&["schema", "elasticsearch"]).code, 64);
}

#[test]
fn check_gives_every_mistake_and_78() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = write("broker.yaml", "durability: page-cache\n");
    let ran = logmill(&["check", &good]);
    assert_eq!((ran.code, ran.out.as_str()), (0, format!("{good}: ok (broker)\n").as_str()), "{}", ran.err);

    let bad = write("agent.yaml", "inputs:\n  - name: a\n    topic: b c\n    inclde: [x]\n");
    let ran = logmill(&["check", &good, &bad]);
    assert_eq!(ran.code, 78);
    assert_eq!(
        ran.err,
        format!(
            "{bad}:2:5: inputs[0].include: missing, expected e.g. \"include: [\"/var/log/app/*.log\"]\"\n\
             {bad}:3:12: inputs[0].topic: \"b c\" is not a topic name, expected only ASCII letters, digits, \".\", \"_\" and \"-\"\n\
             {bad}:4:5: inputs[0].inclde: unknown key, did you mean \"include\"?\n\
             error: 3 mistakes in 1 of 2 files\n"
        )
    );
    let missing = dir.path().join("none.yaml");
    let ran = logmill(&["check", missing.to_str().unwrap()]);
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("cannot open: no such file or directory"), "{}", ran.err);
}

#[test]
fn reference_files_pass_the_check() {
    let files =
        ["agent", "broker", "sinks", "index"].map(|k| format!("{}/config/{k}.yaml", env!("CARGO_MANIFEST_DIR")));
    let arguments: Vec<&str> = ["check"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let ran = logmill(&arguments);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.err, "");
}

#[test]
fn no_broker_is_one_clear_message() {
    // A port that nothing listens on any more.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let broker = format!("127.0.0.1:{port}");
    for arguments in [
        &["topics", "list"][..],
        &["topics", "create", "t"],
        &["consume", "t"],
        &["produce", "t"],
        &["groups", "describe"],
    ] {
        let ran = logmill(&[arguments, &["--brokers", &broker]].concat());
        assert_eq!(ran.code, 1, "{arguments:?}");
        let expected =
            format!("error: cannot connect to Kafka at {broker}: connection refused, is a broker running there?\n");
        assert_eq!(ran.err, expected, "{arguments:?}");
    }
}

#[test]
fn ledger_without_anything_running_says_so() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = logmill(&["ledger", "--agent", &format!("127.0.0.1:{port}")]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with(&format!("error: cannot read the metrics of 127.0.0.1:{port}")), "{}", ran.err);
}

#[test]
fn sample_appends_the_lines_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("logs/app.log");
    let path = file.to_str().unwrap();
    let time = "2026-01-31T12:00:00Z";
    for kind in ["app", "behavior", "nginx"] {
        let ran = logmill(&["sample", "--kind", kind, "--count", "10", "--seed", "1", "--time", time, path]);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 30);
    assert!(text.contains("2026-01-31T12:00:00") && text.contains("31/Jan/2026:12:00:00 +0000"), "{text}");
}

#[test]
fn up_says_what_stands_in_its_way() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = ["--metrics", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--index", "127.0.0.1:0"];
    let ran = logmill(&["up", "--data-dir", data, "--metrics", &address]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains(&format!("metrics: cannot listen on {address}: port {}", taken.local_addr().unwrap().port())),
        "{}",
        ran.err
    );
    let ran = logmill(&[&["up", "--config", "/no/such/dir"], &free[..]].concat());
    assert_eq!(ran.code, 78, "{}", ran.err);
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let ran = logmill(&[&["up", "--data-dir", file.to_str().unwrap()], &free[..]].concat());
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("cannot create the data directory"), "{}", ran.err);
}

#[test]
fn health_of_what_is_not_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = logmill(&["health", "live", "--metrics", &format!("127.0.0.1:{port}")]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.err.contains("does not answer"), "{}", ran.err);
}

#[test]
fn man_pages_and_completions() {
    let dir = tempfile::tempdir().unwrap();
    let ran = logmill(&["generate", &dir.path().display().to_string()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let page = std::fs::read_to_string(dir.path().join("man/man1/logmill-topics-create.1")).unwrap();
    assert!(page.contains(r"\-\-partitions"), "{page}");
    let completions = std::fs::read_to_string(dir.path().join("bash-completion/completions/logmill")).unwrap();
    assert!(completions.contains("--from-beginning"));
}
