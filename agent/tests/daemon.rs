//! The daemon as a process, as a user without rights: what it says of what it cannot read, and of a second one; what it reads
//! before it ends by itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    mocking::MockCluster,
};

/// A user that may read only what everybody may.
const NOBODY: u32 = 65534;
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with a configuration, a state directory and logs.
struct Place {
    dir: tempfile::TempDir,
    agent: PathBuf,
}

impl Place {
    /// Kafka is nowhere.
    fn new() -> Self {
        Self::with_kafka("127.0.0.1:1")
    }

    fn with_kafka(brokers: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Where it was built, nobody may be allowed to go.
        let agent = dir.path().join("logmill-agent");
        fs::copy(env!("CARGO_BIN_EXE_logmill-agent"), &agent).unwrap();
        for name in ["state", "logs"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let config = format!(
            "state_dir: {0}/state\nkafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: 127.0.0.1:0\nshutdown_timeout: 1s\nrescan_interval: 1s\n\
             inputs:\n  - {{ name: app, include: [\"{0}/logs/*.log\"], topic: logs }}\n",
            dir.path().display()
        );
        fs::write(dir.path().join("agent.yaml"), config).unwrap();
        let place = Self { dir, agent };
        if rustix::process::geteuid().is_root() {
            place.give("");
            ["state", "logs", "agent.yaml", "logmill-agent"].iter().for_each(|name| place.give(name));
        }
        place
    }

    fn give(&self, name: &str) {
        chown(self.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    fn start_with(&self, options: &[&str]) -> Daemon {
        let mut command = Command::new(&self.agent);
        command.arg("--config").arg(self.path("agent.yaml")).args(options).current_dir(Path::new("/"));
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (send, said) = sync_channel(1000);
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
        Daemon { child, said }
    }
}

struct Daemon {
    child: Child,
    said: Receiver<String>,
}

impl Daemon {
    /// Waits for a line of its log with all these words.
    fn says(&self, words: &[&str]) -> String {
        loop {
            let line = self.said.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("never said {words:?}: {e}"));
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    /// Waits until it has ended by itself.
    fn ends(&mut self) -> ExitStatus {
        for _ in 0..12_000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("it does not end");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads the topic from its beginning.
fn consumer(brokers: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "test").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset("logs", 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    consumer
}

/// The next message; none at the end of the topic.
fn next(consumer: &BaseConsumer) -> Option<String> {
    let message = match consumer.poll(PATIENCE).expect("nothing comes") {
        Err(KafkaError::PartitionEOF(_)) => return None,
        polled => polled.unwrap(),
    };
    let value: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
    Some(value["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_file_that_must_not_be_read_is_named_and_read_once_it_may_be() {
    let kafka = MockCluster::new(1).unwrap();
    kafka.create_topic("logs", 1, 1).unwrap();
    let place = Place::with_kafka(&kafka.bootstrap_servers());
    let secret = place.path("logs/secret.log");
    let allow = |mode| fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
    fs::write(&secret, "secret\n").unwrap();
    allow(0o000);
    if rustix::process::geteuid().is_root() {
        place.give("logs/secret.log");
    }
    let consumer = consumer(&kafka.bootstrap_servers());
    let next = || (0..).find_map(|_| next(&consumer)).unwrap();
    let daemon = place.start();
    daemon.says(&["WARN", "cannot read", "secret.log", "ermission denied"]);
    fs::write(place.path("logs/other.log"), "other\n").unwrap();
    assert_eq!("other", next(), "others are read meanwhile");
    allow(0o600);
    assert_eq!("secret", next());
    // Taken away once more while the agent has it open.
    allow(0o000);
    let more = fs::File::options().append(true).open(&secret).or_else(|_| {
        allow(0o600);
        fs::File::options().append(true).open(&secret)
    });
    more.unwrap().write_all(b"more\n").unwrap();
    assert_eq!("more", next());
}

#[test]
fn a_second_agent_on_the_same_state_directory_ends_and_says_why() {
    let place = Place::new();
    let mut first = place.start();
    first.says(&["started"]);
    // The lock is taken right after.
    let locked = || place.path("state/host-id").exists();
    (0..10_000).take_while(|_| !locked()).for_each(|_| std::thread::park_timeout(Duration::from_millis(5)));
    let mut second = place.start();
    second.says(&["another agent is running on the state directory", "state"]);
    assert_eq!(Some(1), second.child.wait().unwrap().code());
    assert!(first.child.try_wait().unwrap().is_none(), "the first goes on");
}

#[test]
fn once_reads_files_to_their_end_and_a_second_time_nothing() {
    let kafka = MockCluster::new(1).unwrap();
    kafka.create_topic("logs", 1, 1).unwrap();
    let place = Place::with_kafka(&kafka.bootstrap_servers());
    let config = fs::read_to_string(place.path("agent.yaml")).unwrap();
    let config =
        config.replace("/*.log\"", "/*.log*\"").replace("topic: logs", "topic: logs, flush_unterminated: 200ms");
    fs::write(place.path("agent.yaml"), config).unwrap();
    let lines =
        |name: &str, range: std::ops::Range<u32>| -> Vec<String> { range.map(|n| format!("{name} {n}")).collect() };
    let mut expected = Vec::new();
    // The second time there is something new in each kind of file; the third time there is nothing.
    for run in 0..3 {
        if run < 2 {
            let range = run * 5000..(run + 1) * 5000;
            let write = |name: &str, text: &[u8]| {
                let mut file = fs::File::options().append(true).create(true).open(place.path(name)).unwrap();
                file.write_all(text).unwrap();
            };
            write("logs/whole.log", (lines("whole", range.clone()).join("\n") + "\n").as_bytes());
            write("logs/torn.log", lines("torn", range.clone()).join("\n").as_bytes());
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all((lines("packed", range.clone()).join("\n") + "\n").as_bytes()).unwrap();
            write(&format!("logs/other.log.{run}.gz"), &packed.finish().unwrap());
            ["whole", "torn", "packed"].iter().for_each(|name| expected.extend(lines(name, range.clone())));
        }
        let mut daemon = place.start_with(&["--once"]);
        let status = daemon.ends();
        assert!(status.success(), "{status}: {:?}", daemon.said.try_iter().collect::<Vec<_>>());
        let consumer = consumer(&kafka.bootstrap_servers());
        let mut read: Vec<String> = std::iter::from_fn(|| next(&consumer)).collect();
        let read_in_order: Vec<String> = read.iter().filter(|line| line.starts_with("torn")).cloned().collect();
        assert_eq!(lines("torn", 0..(run.min(1) + 1) * 5000), read_in_order, "run {run}");
        read.sort();
        expected.sort();
        assert_eq!(expected.len(), read.len(), "run {run}");
        assert_eq!(expected, read, "run {run}");
    }
}
