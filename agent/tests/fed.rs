//! Standard input and the journal as inputs of the real daemon, over kills and an unreachable Kafka. The Kafka is
//! librdkafka's own mock, the journalctl a script that knows the options that count.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
    mocking::MockCluster,
    producer::DefaultProducerContext,
};
use serde_json::Value;

const TICK: Duration = Duration::from_millis(20);
/// A minute and a half of them.
const TICKS: usize = 4500;

/// Held while a process is made, which has all descriptors of this one until it executes: the mock frees its port for a
/// moment when it goes down, and could not have it back.
static SPAWNING: Mutex<()> = Mutex::new(());

/// A directory with an agent's configuration and state, and a Kafka.
struct Place {
    dir: tempfile::TempDir,
    kafka: MockCluster<'static, DefaultProducerContext>,
}

/// Value and id of each record, in the order of the topic.
type Records = Vec<(Value, Vec<u8>)>;

impl Place {
    fn new(input: &str) -> Self {
        let (dir, kafka) = (tempfile::tempdir().unwrap(), MockCluster::new(1).unwrap());
        kafka.create_topic("t", 1, 1).unwrap();
        let place = Self { dir, kafka };
        place.configure(input);
        place
    }

    fn configure(&self, input: &str) {
        let config = format!(
            "state_dir: {}/state\nkafka: {{ brokers: [\"{}\"] }}\nmetrics: 127.0.0.1:0\nshutdown_timeout: 2s\nhost_name: h\n\
             inputs:\n  - {{ name: fed, topic: t, key: file, {input} }}\n",
            self.dir.path().display(),
            self.kafka.bootstrap_servers()
        );
        fs::write(self.path("agent.yaml"), config).unwrap();
    }

    fn kafka_away(&self) {
        let _alone = SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
        self.kafka.broker_down(1).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&self, options: &[&str]) -> Agent {
        let path = format!("{}:{}", self.dir.path().display(), std::env::var("PATH").unwrap_or_default());
        self.start_with_path(options, &path)
    }

    fn start_with_path(&self, options: &[&str], path: &str) -> Agent {
        self.start_as(Stdio::piped(), options, path)
    }

    fn start_reading(&self, stdin: Stdio, options: &[&str]) -> Agent {
        self.start_as(stdin, options, "")
    }

    fn start_as(&self, stdin: Stdio, options: &[&str], path: &str) -> Agent {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logmill-agent"));
        command.arg("--config").arg(self.path("agent.yaml")).args(options);
        command.env("PATH", path).env("ENTRIES", self.path("entries")).env("CALLS", self.path("calls"));
        let log = fs::File::options().append(true).create(true).open(self.path("log")).unwrap();
        let _alone = SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = command.stdin(stdin).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Agent { stdin: child.stdin.take(), child }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The content of the spool.
    fn spooled(&self) -> String {
        let segments = fs::read_dir(self.path("state/spool/fed")).into_iter().flatten();
        let mut segments: Vec<PathBuf> = segments.map(|entry| entry.unwrap().path()).collect();
        segments.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
        segments.sort();
        segments.iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..TICKS {
            if holds() {
                return;
            }
            std::thread::park_timeout(TICK);
        }
        panic!("never: {what}; the spool has {} bytes\n{}", self.spooled().len(), self.said());
    }

    /// All records of the topic so far.
    fn records(&self) -> Records {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.kafka.bootstrap_servers())
            .set("group.id", "test")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let mut from = TopicPartitionList::new();
        from.add_partition_offset("t", 0, rdkafka::Offset::Beginning).unwrap();
        consumer.assign(&from).unwrap();
        let mut records = Vec::new();
        loop {
            match consumer.poll(Duration::from_secs(30)).expect("no answer of the mock") {
                Ok(message) => {
                    assert_eq!(Some(&b"fed"[..]), message.key());
                    let value = serde_json::from_slice(message.payload().unwrap()).unwrap();
                    records.push((value, message.headers().unwrap().get(0).value.unwrap().to_vec()));
                }
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => return records,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The messages of distinct ids in the order of their first; a message has one id.
    fn distinct(&self) -> Vec<String> {
        let (mut ids, mut messages) = (BTreeMap::new(), Vec::new());
        for (value, id) in self.records() {
            let known = ids.entry(id).or_insert_with(|| {
                messages.push(value["message"].as_str().unwrap().to_owned());
                value.clone()
            });
            assert_eq!(*known, value, "one id, two records");
        }
        messages
    }

    /// A journal with this script before its usual end, and `entries` in it.
    fn journal(&self, before: &str) {
        let script = format!(
            r#"#!/bin/sh
echo "$*" >>"$CALLS"
{before}
from=1
for option; do
  case $option in
    --cursor=*) from=$(grep -nF "\"__CURSOR\":\"${{option#--cursor=}}\"" "$ENTRIES" | head -n 1 | cut -d: -f1) ;;
    --lines=*) exec tail -n "${{option#--lines=}}" "$ENTRIES" ;;
    --follow) follow=-f ;;
  esac
done
exec tail -n "+$from" $follow "$ENTRIES"
"#
        );
        let path = self.path("journalctl");
        // Never written while it runs: what runs may not be written.
        fs::write(self.path("journalctl.new"), script).unwrap();
        fs::set_permissions(self.path("journalctl.new"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(self.path("journalctl.new"), path).unwrap();
        self.entries(0..0);
    }

    fn entries(&self, range: std::ops::Range<usize>) {
        let mut file = fs::File::options().append(true).create(true).open(self.path("entries")).unwrap();
        let entry = |n| {
            format!(
                "{{\"__CURSOR\":\"s=1;i={n}\",\"__REALTIME_TIMESTAMP\":\"{}\",\"MESSAGE\":\"entry {n}\",\"PRIORITY\":\"6\",\
                 \"_SYSTEMD_UNIT\":\"a.service\",\"_HOSTNAME\":\"web\"}}\n",
                1_700_000_000_000_000_u64 + n as u64
            )
        };
        file.write_all(range.map(entry).collect::<String>().as_bytes()).unwrap();
    }
}

struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Agent {
    fn feed(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn reload(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends its input and waits for its end.
    fn ends(mut self, place: &Place) -> ExitStatus {
        self.stdin = None;
        let mut status = None;
        place.until("the agent ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn lines(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("line {n}")).collect()
}

fn text(range: std::ops::Range<usize>) -> String {
    lines(range).into_iter().map(|line| line + "\n").collect()
}

#[test]
fn standard_input_alone_is_read_to_its_end() {
    let place = Place::new("source: stdin");
    for (run, options) in [&["--once"][..], &[]].into_iter().enumerate() {
        let mut agent = place.start(options);
        agent.feed(&text(run * 2000..run * 2000 + 1999));
        agent.feed(&format!("line {}", run * 2000 + 1999));
        assert!(agent.ends(&place).success(), "{}", place.said());
        assert_eq!(lines(0..run * 2000 + 2000), place.distinct());
        assert_eq!("", place.spooled());
    }
    let (value, _) = place.records().remove(0);
    let members: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(["@timestamp", "host", "message"], *members, "{value}");
}

#[test]
fn to_end_before_all_is_acknowledged_is_a_failure() {
    let place = Place::new("source: stdin");
    place.kafka_away();
    let mut agent = place.start(&["--once"]);
    agent.feed(&text(0..10));
    place.until("all is in the spool", || place.spooled() == text(0..10));
    agent.signal(rustix::process::Signal::TERM);
    assert_eq!(Some(1), agent.ends(&place).code(), "{}", place.said());
    place.kafka.broker_up(1).unwrap();
    // Its input is what cannot be read.
    let agent = place.start_reading(fs::File::open(place.path("")).unwrap().into(), &["--once"]);
    assert_eq!(Some(1), agent.ends(&place).code(), "{}", place.said());
    assert_eq!(lines(0..10), place.distinct());
}

#[test]
fn what_was_read_of_a_pipe_survives_kills_while_kafka_is_away() {
    let place = Place::new("source: stdin");
    place.kafka_away();
    let mut all = String::new();
    for run in 0..3 {
        let mut agent = place.start(&[]);
        agent.feed(&text(run * 1000..run * 1000 + 1000));
        // Half a line is the writer's to send; what came of it is kept.
        agent.feed("half");
        all += &text(run * 1000..run * 1000 + 1000);
        all += "half";
        place.until("all is in the spool", || place.spooled() == all);
        agent.kill();
        all.push('\n');
    }
    place.kafka.broker_up(1).unwrap();
    assert!(place.start(&["--once"]).ends(&place).success());
    let mut expected = Vec::new();
    (0..3).for_each(|run| {
        expected.extend(lines(run * 1000..run * 1000 + 1000));
        expected.push("half".to_owned());
    });
    assert_eq!(expected, place.distinct());
    assert_eq!("", place.spooled());
}

#[test]
fn a_full_spool_holds_the_writer_back() {
    const BOUND: usize = 1 << 20;
    let place = Place::new("source: stdin, spool_bytes: 1MiB, max_line_bytes: 64KiB");
    place.kafka_away();
    let mut agent = place.start(&[]);
    let long = "x".repeat(1000);
    let total = 3 * BOUND / 1000;
    let mut stdin = agent.stdin.take().unwrap();
    let whole: String = (0..total).map(|n| format!("{n} {long}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(whole.as_bytes()));
    place.until("the spool is full", || place.spooled().len() >= BOUND);
    // What a pipe holds was under way.
    (0..20).for_each(|_| {
        std::thread::park_timeout(TICK);
        assert!(place.spooled().len() <= BOUND + (64 << 10), "{} bytes", place.spooled().len());
    });
    assert!(!writer.is_finished());
    place.kafka.broker_up(1).unwrap();
    assert!(agent.ends(&place).success());
    writer.join().unwrap().unwrap();
    let messages = place.distinct();
    assert_eq!(total, messages.len());
    for (n, message) in messages.iter().enumerate() {
        assert_eq!(Some(format!("{n}").as_str()), message.split(' ').next(), "in order");
    }
}

#[test]
fn lines_longer_than_the_spool_are_cut_with_a_mark() {
    let place = Place::new("source: stdin, spool_bytes: 1MiB, max_line_bytes: 1KiB");
    let mut agent = place.start(&["--once"]);
    agent.feed("before\n");
    (0..64).for_each(|_| agent.feed(&"y".repeat(64 << 10)));
    agent.feed("\nafter\n");
    assert!(agent.ends(&place).success());
    let records = place.records();
    let messages: Vec<usize> = records.iter().map(|(value, _)| value["message"].as_str().unwrap().len()).collect();
    assert_eq!([6, 1024, 5], *messages);
    assert_eq!(serde_json::json!({"flags": ["truncated"]}), records[1].0["log"]);
}

#[test]
fn each_entry_of_the_journal_comes_once_by_its_id_over_kills() {
    let place = Place::new("source: journal, units: [a.service], priority: info");
    place.journal("");
    let mut total = 0;
    for run in 0..4 {
        let agent = place.start(&[]);
        place.entries(total..total + 500);
        total += 500;
        if run % 2 == 0 {
            place.until("the entries are delivered", || place.distinct().len() == total);
        } else {
            place
                .until("the spool has some", || fs::read_to_string(place.path("calls")).unwrap().lines().count() > run);
        }
        agent.kill();
    }
    assert!(place.start(&["--once"]).ends(&place).success());
    let messages = place.distinct();
    assert_eq!((0..total).map(|n| format!("entry {n}")).collect::<Vec<_>>(), messages);
    let (value, _) = place.records().remove(7);
    assert_eq!("2023-11-14T22:13:20.000007Z", value["@timestamp"]);
    assert_eq!(
        ("informational", "a.service"),
        (value["log"]["level"].as_str().unwrap(), value["systemd"]["unit"].as_str().unwrap())
    );
    assert!(value["log"].get("offset").is_none() && value["log"].get("file").is_none(), "{value}");
    let calls = fs::read_to_string(place.path("calls")).unwrap();
    assert!(
        calls
            .lines()
            .all(|call| call.contains("--output=json --all") && call.contains("--unit=a.service --priority=6"))
    );
    assert!(
        calls.lines().last().unwrap().contains("--cursor=s=1;i=")
            && !calls.lines().last().unwrap().contains("--follow")
    );
}

#[test]
fn the_end_of_the_journal_is_written_down_at_the_first_start() {
    let place = Place::new("source: journal, read_from: end");
    place.journal("");
    place.entries(0..10);
    let agent = place.start(&[]);
    place.until("it follows", || fs::read_to_string(place.path("calls")).is_ok_and(|calls| calls.contains("--follow")));
    agent.kill();
    // Nothing of its units came before the kill: what comes while it is down is owed all the same.
    place.entries(10..20);
    assert!(place.start(&["--once"]).ends(&place).success());
    assert_eq!((10..20).map(|n| format!("entry {n}")).collect::<Vec<_>>(), place.distinct());
}

#[test]
fn a_journalctl_that_ends_is_started_again_where_it_was() {
    let place = Place::new("source: journal");
    // It gives the entries that are there, and half of one more.
    place.journal("if [ ! -e \"$CALLS.failed\" ]; then touch \"$CALLS.failed\"; cat \"$ENTRIES\"; printf '{\"__CURSOR\":\"s=1'; exit 3; fi");
    place.entries(0..100);
    let agent = place.start(&[]);
    place.until("it says so", || place.said().contains("journalctl ended"));
    place.entries(100..200);
    place.until("all is delivered", || place.records().len() >= 200);
    assert_eq!((0..200).map(|n| format!("entry {n}")).collect::<Vec<_>>(), place.distinct());
    assert_eq!(200, place.records().len(), "nothing was read twice");
    drop(agent);
}

#[test]
fn without_journalctl_it_says_what_is_missing() {
    let place = Place::new("source: journal");
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    let agent = place.start_with_path(&[], empty.to_str().unwrap());
    place.until("it says so", || place.said().contains("journalctl is not in PATH"));
    drop(agent);
}

#[test]
fn an_entry_that_is_too_long_is_counted_as_dropped() {
    let place = Place::new("source: journal, max_line_bytes: 100, on_long_line: drop");
    place.journal("");
    place.entries(0..1);
    let long = "z".repeat(1 << 20);
    for (n, length) in [(1, 101), (2, 1 << 20), (3, 100)] {
        let entry = format!("{{\"__CURSOR\":\"s=1;i={n}\",\"MESSAGE\":\"{}\"}}\n", &long[..length]);
        fs::File::options().append(true).open(place.path("entries")).unwrap().write_all(entry.as_bytes()).unwrap();
    }
    assert!(place.start(&["--once"]).ends(&place).success());
    let messages: Vec<usize> = place.distinct().iter().map(String::len).collect();
    assert_eq!([7, 100], *messages);
}

#[test]
fn a_reload_changes_the_limits_of_standard_input_and_the_journal_and_stops_neither() {
    const LIMIT: &str = "limits: [{ lines_per_second: 20, burst: 20 }]";
    const FASTER: &str = "limits: [{ lines_per_second: 100000 }]";
    for source in ["source: stdin", "source: journal"] {
        let place = Place::new(&format!("{source}, {LIMIT}"));
        place.journal("");
        let mut agent = place.start(&[]);
        let mut more = |range: std::ops::Range<usize>| match source {
            "source: stdin" => agent.feed(&text(range)),
            _ => place.entries(range),
        };
        more(0..3000);
        place.until("the limit lets the first pass", || place.records().len() >= 20);
        assert!(place.records().len() < 1500, "limited");
        place.configure(&format!("{source}, {FASTER}"));
        more(3000..4000);
        agent.reload();
        place.until("all is delivered", || place.records().len() >= 4000);
        let mut more = |range: std::ops::Range<usize>| match source {
            "source: stdin" => agent.feed(&text(range)),
            _ => place.entries(range),
        };
        more(4000..4001);
        place.until("what comes later is delivered", || place.records().len() >= 4001);
        let messages = place.distinct();
        let words = if source.ends_with("stdin") { "line" } else { "entry" };
        assert_eq!((0..4001).map(|n| format!("{words} {n}")).collect::<Vec<_>>(), messages, "each once, in order");
        assert!(place.said().contains("configuration applied"), "{}", place.said());
        // A file that is wrong changes nothing.
        place.configure("source: nothing");
        agent.reload();
        place.until("it is refused", || place.said().contains("not applied"));
        assert!(agent.child.try_wait().unwrap().is_none(), "it lives on");
    }
}
