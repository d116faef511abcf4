//! The engine on real files, with a producer whose reports come as each test says. Time is the tests' own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod archives;
mod chains;
mod chance;
mod copies;
mod deleted;
mod events;
mod fed;
mod idle;
mod latency;
mod limits;
mod lines;
mod overwritten;
mod restart;
mod rotation;
mod rotator;
mod sources;
mod transforming;
mod trouble;
mod unseen;

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use logmill_config::{
    agent::{AgentConfig, Input, Tuning},
    kafka::KafkaConfig,
};
use logmill_daemon::Progress;
use logmill_disk::{Disk, RealDisk};
use serde_json::Value;

use super::*;
use crate::produce::{Outcome, memory::Memory};

/// A directory of logs, an agent over it, and the topic.
pub(super) struct Rig {
    pub(super) dir: tempfile::TempDir,
    pub(super) config: AgentConfig,
    pub(super) topic: Memory,
    pub(super) engine: Option<Engine<Memory>>,
    pub(super) now: Now,
    /// Reports come at once.
    pub(super) acknowledge: bool,
    pub(super) spools: crate::feed::Spools,
    /// Of the checkpoint.
    pub(super) disk: Arc<dyn Disk>,
}

pub(super) fn input(dir: &Path) -> Input {
    Input {
        name: "app".into(),
        source: Default::default(),
        include: vec![format!("{}/**/*.log", dir.display())],
        exclude: vec![],
        topic: "logs".into(),
        topic_by: None,
        key: logmill_config::agent::Key::File,
        read_from: logmill_config::agent::ReadFrom::Beginning,
        ignore_older: None,
        parse: logmill_config::agent::Parse::Auto,
        timezone: jiff::tz::TimeZone::UTC,
        numbers: vec![],
        encoding: Default::default(),
        container: None,
        multiline: None,
        max_line_bytes: 256 << 10,
        on_long_line: logmill_config::agent::OnLongLine::Truncate,
        flush_unterminated: Duration::from_secs(5),
        limits: vec![],
        fields: BTreeMap::new(),
        path_fields: None,
        transform: None,
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    /// An agent configured by `change`; it is started by the first step.
    pub(super) fn with(change: impl FnOnce(&mut AgentConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("logs")).unwrap();
        fs::create_dir_all(dir.path().join("state")).unwrap();
        let mut config = AgentConfig {
            state_dir: dir.path().join("state"),
            kafka: KafkaConfig { brokers: vec![], compression: Default::default(), properties: BTreeMap::new() },
            inputs: vec![input(&dir.path().join("logs"))],
            limits: vec![],
            host_name: None,
            preset: Tuning::default(),
            buffer_bytes: 16 << 20,
            rescan_interval: Duration::from_secs(10),
            max_open_files: 100,
            max_cpu_percent: None,
            max_deleted_bytes: None,
            metrics: ([127, 0, 0, 1], 0).into(),
            shutdown_timeout: Duration::from_secs(1),
        };
        change(&mut config);
        let now = Now { unix_ms: 1_700_000_000_000, ..Now::read() };
        let (topic, disk) = (Memory::new(), Arc::new(RealDisk));
        Self { dir, config, topic, engine: None, now, acknowledge: true, spools: Default::default(), disk }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    pub(super) fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Waits until new files are younger than those there are.
    pub(super) fn next_birth(&self) {
        let birth = |name: &str| {
            let path = self.dir.path().join(name);
            fs::write(&path, "").unwrap();
            let birth = crate::identity::Stat::of_path(&path).unwrap().birth;
            fs::remove_file(&path).unwrap();
            birth
        };
        let first = birth("one");
        assert!((0..1_000_000).any(|_| birth("two") > first));
    }

    pub(super) fn start(&mut self) {
        let mut engine = self.new_engine();
        engine.begin(self.now).unwrap();
        self.engine = Some(engine);
    }

    /// An engine that has not begun yet.
    pub(super) fn new_engine(&self) -> Engine<Memory> {
        let around = Surroundings {
            host_id: "host".into(),
            host_name: "web-1".into(),
            waker: Waker::new().unwrap(),
            stop: Arc::default(),
            metrics: Metrics::new(&prometheus::Registry::new()).unwrap(),
            health: Health::default(),
            pulse: Progress::default().watch("reader", Duration::from_secs(60)),
            relimit: NewLimits::default(),
            desk: crate::status::Desk::default(),
            once: false,
            spools: self.spools.clone(),
        };
        let checkpoint = Log::open(Arc::clone(&self.disk), &self.config.state_dir).unwrap();
        Engine::new(self.config.clone(), around, checkpoint, self.topic.clone(), self.now).unwrap()
    }

    /// One turn, 20 ms later.
    pub(super) fn step(&mut self) {
        if self.engine.is_none() {
            self.start();
        }
        self.now.mono += Duration::from_millis(20);
        self.now.unix_ms += 20;
        let now = self.now;
        self.engine.as_mut().unwrap().turn(now).unwrap();
        if self.acknowledge {
            self.topic.report_all(Outcome::Acknowledged);
        }
    }

    pub(super) fn steps(&mut self, count: usize) {
        self.catch_up();
        (0..count).for_each(|_| self.step());
    }

    /// Applies the limits of `config` to the running engine.
    pub(super) fn relimit(&mut self) {
        let engine = self.engine.as_mut().unwrap();
        engine.around.relimit.set(Arc::new(self.config.clone()));
        engine.relimit(self.now);
    }

    /// Waits until the engine can see the events of what the test has done so far.
    fn catch_up(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.watcher.catch_up();
        }
    }

    /// Steps until nothing new comes for a while.
    pub(super) fn settle(&mut self) {
        self.catch_up();
        let mut quiet = 0;
        let mut last = self.topic.0.borrow().sent.len();
        for _ in 0..5000 {
            self.step();
            let sent = self.topic.0.borrow().sent.len();
            quiet = if sent == last { quiet + 1 } else { 0 };
            last = sent;
            if quiet > 30 {
                return;
            }
        }
        panic!("the agent does not come to rest");
    }

    /// Steps until no copy is waited for any more that might have what a truncation took.
    pub(super) fn settle_losses(&mut self) {
        self.settle();
        self.pass(archive::PATIENCE);
        self.settle();
    }

    /// Lets time pass without turns.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.unix_ms += i64::try_from(time.as_millis()).unwrap();
    }

    /// kill -9: the engine is gone, with what it had not written; what was under way never arrives anew.
    pub(super) fn kill(&mut self) {
        self.engine = None;
        self.topic.renew(1_000_000).unwrap();
    }

    pub(super) fn records(&self) -> Vec<Value> {
        self.topic.0.borrow().sent.iter().map(|r| serde_json::from_slice(&r.value).unwrap()).collect()
    }

    pub(super) fn messages(&self) -> Vec<String> {
        self.records().iter().map(|r| r["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Asserts that records with equal ids are equal, and gives the messages of the distinct ones in order.
    pub(super) fn distinct(&self) -> Vec<String> {
        let mut by_id = BTreeMap::new();
        let mut out = Vec::new();
        for record in &self.topic.0.borrow().sent {
            let known = by_id.entry(record.id).or_insert_with(|| {
                let value: Value = serde_json::from_slice(&record.value).unwrap();
                out.push(value["message"].as_str().unwrap().to_owned());
                record.clone()
            });
            assert_eq!(*known, *record, "one id, two records");
        }
        out
    }

    /// Asserts read = acknowledged + dropped + in flight.
    pub(super) fn ledger(&self) -> (u64, Ledger) {
        let engine = self.engine.as_ref().unwrap();
        (engine.lines_read, engine.ledger)
    }
}

pub(super) fn numbered(prefix: &str, range: std::ops::Range<usize>) -> String {
    range.map(|n| format!("{prefix}-{n}\n")).collect()
}

pub(super) fn names(prefix: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{prefix}-{n}")).collect()
}
