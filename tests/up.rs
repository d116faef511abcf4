//! `logmill up` from an empty directory over a restart: every line becomes exactly one document.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

/// A running `logmill up`; killed when the test fails.
struct Up {
    child: Child,
    lines: Receiver<String>,
    kafka: String,
    index: String,
    metrics: String,
}

impl Up {
    fn start(dir: &Path) -> Self {
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_logmill"))
            .args(["up", "--data-dir", "data", "--tail", "logs/**/*.log"])
            .args(["--kafka", "127.0.0.1:0", "--index", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(dir.join("up.err")).unwrap())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (send, lines) = sync_channel(100);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let mut up = Self { child, lines, kafka: String::new(), index: String::new(), metrics: String::new() };
        up.kafka = up.line(dir, "kafka: ");
        up.index = up.line(dir, "index: http://");
        up.metrics = up.line(dir, "metrics: http://").trim_end_matches("/metrics").to_owned();
        up.line(dir, "ready");
        let took = started.elapsed();
        // Two seconds on an idle machine; a test machine compiles beside it.
        assert!(took < Duration::from_secs(10), "ready after {took:?}");
        assert!(up.line(dir, "try: ").contains(&up.index));
        up
    }

    /// The next line, which must begin so; gives the rest.
    fn line(&mut self, dir: &Path, beginning: &str) -> String {
        match self.lines.recv_timeout(Duration::from_secs(30)) {
            Ok(line) => match line.strip_prefix(beginning) {
                Some(rest) => rest.to_owned(),
                None => panic!("expected \"{beginning}…\", found \"{line}\""),
            },
            Err(e) => {
                panic!("no line \"{beginning}…\" ({e}): {}", fs::read_to_string(dir.join("up.err")).unwrap_or_default())
            }
        }
    }

    /// SIGINT; must end in order within the promised time.
    fn stop(mut self, dir: &Path) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let asked = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(asked.elapsed() < Duration::from_secs(9), "still running 9 s after SIGINT");
            std::thread::sleep(Duration::from_millis(20));
        };
        let err = fs::read_to_string(dir.join("up.err")).unwrap_or_default();
        assert_eq!(status.code(), Some(0), "{err}");
    }

    fn count(&self) -> u64 {
        let body = get(&self.index, "/app-logs-*/_count").unwrap_or_default();
        let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        json["count"].as_u64().unwrap_or(0)
    }

    fn wait_for_count(&self, expected: u64) {
        let begin = Instant::now();
        let mut count = 0;
        while begin.elapsed() < Duration::from_secs(60) {
            count = self.count();
            assert!(count <= expected, "{count} documents for {expected} lines");
            if count == expected {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{count} of {expected} lines indexed within 60 s: {:?}", get(&self.metrics, "/health/ready"));
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The body of an HTTP answer. Small on purpose: the answers here are small and come whole.
fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn append(path: &Path, lines: std::ops::Range<u64>) {
    let mut text = String::new();
    for n in lines {
        if n % 3 == 0 {
            text.push_str(&format!("plain line number {n} of the test\n"));
        } else {
            text.push_str(&format!("{{\"level\":\"info\",\"message\":\"json line\",\"number\":{n}}}\n"));
        }
    }
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn logmill(kafka: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_logmill")).args(arguments).args(["--brokers", kafka]).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_line_becomes_one_document_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs/deep");
    fs::create_dir_all(&logs).unwrap();
    append(&logs.join("a.log"), 0..6_000);
    append(&logs.join("b.log"), 6_000..10_000);

    let up = Up::start(dir.path());
    up.wait_for_count(10_000);
    let second = Command::new(env!("CARGO_BIN_EXE_logmill"))
        .args([
            "up",
            "--data-dir",
            "data",
            "--kafka",
            "127.0.0.1:0",
            "--index",
            "127.0.0.1:0",
            "--metrics",
            "127.0.0.1:0",
        ])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(error.contains("is in use by another logmill up (process "), "{error}");

    // The topic has every line once too, each with an id of its own.
    let records = logmill(&up.kafka, &["consume", "logs.app", "--from-beginning", "--exit-at-end", "--format", "json"]);
    let mut ids = BTreeSet::new();
    for record in records.lines() {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        assert_eq!(record["headers"][0]["key"], "logmill-id");
        ids.insert(record["headers"][0]["value"].as_str().unwrap().to_owned());
    }
    assert_eq!((records.lines().count(), ids.len()), (10_000, 10_000));
    assert!(logmill(&up.kafka, &["topics", "list"]).lines().any(|l| l.starts_with("logs.app ")));
    up.stop(dir.path());

    // Written while nothing runs, and while it starts.
    append(&logs.join("a.log"), 10_000..11_000);
    let up = Up::start(dir.path());
    append(&logs.join("c.log"), 11_000..12_000);
    up.wait_for_count(12_000);
    let groups = logmill(&up.kafka, &["groups", "describe", "app-logs", "--output", "json"]);
    let groups: serde_json::Value = serde_json::from_str(&groups).unwrap();
    let ends: i64 = groups.as_array().unwrap().iter().filter_map(|g| g["log_end_offset"].as_i64()).sum();
    assert_eq!(ends, 12_000);
    // The sinks count what is committed, a moment after it can be found.
    let begin = Instant::now();
    loop {
        let ledger = Command::new(env!("CARGO_BIN_EXE_logmill"))
            .args(["ledger", "--output", "json", "--agent", &up.metrics])
            .output()
            .unwrap();
        assert!(ledger.status.success(), "{}", String::from_utf8_lossy(&ledger.stderr));
        let ledger: serde_json::Value = serde_json::from_slice(&ledger.stdout).unwrap();
        if ledger["agent"]["acknowledged"] == 12_000 && ledger["sinks"]["app-logs"]["indexed"] == 12_000 {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{ledger}");
        std::thread::sleep(Duration::from_millis(100));
    }
    up.stop(dir.path());
}
