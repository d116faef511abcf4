//! SIGHUP on the daemon as a process: one sink stops, one starts, one is changed, and one goes on through all of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};

const PATIENCE: Duration = Duration::from_secs(60);

struct Stage {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: FutureProducer,
    dir: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Stage {
    fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("logs", 2, 1).unwrap();
        let producer = ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
        Self { cluster, producer, dir: tempfile::tempdir().unwrap(), daemon: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Each with what else it has; its file is called like it.
    fn configure(&self, sinks: &[(&str, &str)]) {
        let mut yaml = format!(
            "kafka: {{ brokers: [\"{}\"] }}\nmetrics: \"127.0.0.1:0\"\nsinks:\n",
            self.cluster.bootstrap_servers()
        );
        for (name, more) in sinks {
            let path = self.path(name);
            yaml += &format!(
                "  - name: {name}\n    topics: [logs]\n    file: {{ path: {}, linger: 20ms }}\n",
                path.display()
            );
            yaml += more;
        }
        fs::write(self.path("sinks.yaml"), yaml).unwrap();
    }

    fn start(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_logmill-sinks"));
        command.arg("--config").arg(self.path("sinks.yaml")).stdout(log.try_clone().unwrap()).stderr(log);
        self.daemon = Some(command.stdin(Stdio::null()).spawn().unwrap());
    }

    fn signal(&self, signal: &str) {
        let pid = self.daemon.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    async fn produce(&self, numbers: std::ops::Range<u32>) {
        for n in numbers {
            let value = format!("{{\"n\":{n}}}");
            let record = FutureRecord::<(), String>::to("logs").partition((n % 2) as i32).payload(&value);
            self.producer.send(record, Duration::from_secs(20)).await.unwrap();
        }
    }

    fn lines(&self, sink: &str) -> usize {
        read(&self.path(sink)).lines().count()
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let holds = async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, holds).await.is_ok();
        assert!(in_time, "waited in vain until {what}:\n{}", read(&self.path("log")));
    }

    async fn until_said(&self, words: &str) {
        self.until(words, |stage| read(&stage.path("log")).contains(words)).await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_come_and_go_while_others_go_on() {
    let mut stage = Stage::new();
    stage.configure(&[("stays", ""), ("goes", ""), ("changes", "")]);
    stage.produce(0..20).await;
    stage.start();
    stage.until("all three have begun", |s| ["stays", "goes", "changes"].iter().all(|sink| s.lines(sink) == 20)).await;

    // A program that does not compile: nothing of the file is applied.
    stage.configure(&[("stays", ""), ("changes", "    transform: '.x = upcase(.n)'\n")]);
    stage.signal("-HUP");
    stage.until_said("sinks[1].transform: does not compile").await;

    stage.configure(&[("stays", ""), ("changes", "    transform: '.x = 1'\n"), ("comes", "")]);
    stage.signal("-HUP");
    stage.until_said("stopped, it is configured no more sink=goes").await;
    stage.until("the new one has all", |s| s.lines("comes") == 20).await;
    stage.produce(20..40).await;
    stage
        .until("those at work have all", |s| ["stays", "changes", "comes"].iter().all(|sink| s.lines(sink) == 40))
        .await;
    assert_eq!(stage.lines("goes"), 20);
    let changed = read(&stage.path("changes"));
    assert_eq!((changed.matches("\"x\":1").count(), read(&stage.path("stays")).matches("\"x\"").count()), (20, 0));

    stage.signal("-TERM");
    assert!(stage.daemon.take().unwrap().wait().unwrap().success());
    let log = read(&stage.path("log"));
    assert_eq!(log.matches("restarts with its changed configuration").count(), 1, "{log}");
}
