//! The daemon as a process, as a user without rights: what it says of what it cannot read, and of a second one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::Duration,
};

/// A user that may read only what everybody may.
const NOBODY: u32 = 65534;
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with a configuration, a state directory and logs; Kafka is nowhere.
struct Place {
    dir: tempfile::TempDir,
    agent: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Where it was built, nobody may be allowed to go.
        let agent = dir.path().join("logmill-agent");
        fs::copy(env!("CARGO_BIN_EXE_logmill-agent"), &agent).unwrap();
        for name in ["state", "logs"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let config = format!(
            "state_dir: {0}/state\nkafka: {{ brokers: [\"127.0.0.1:1\"] }}\nmetrics: 127.0.0.1:0\nshutdown_timeout: 1s\n\
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
        let mut command = Command::new(&self.agent);
        command.arg("--config").arg(self.path("agent.yaml")).current_dir(Path::new("/"));
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
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_file_that_must_not_be_read_is_named() {
    let place = Place::new();
    fs::write(place.path("logs/secret.log"), "x\n").unwrap();
    fs::set_permissions(place.path("logs/secret.log"), fs::Permissions::from_mode(0o000)).unwrap();
    if rustix::process::geteuid().is_root() {
        place.give("logs/secret.log");
    }
    let daemon = place.start();
    daemon.says(&["WARN", "cannot read", "secret.log", "ermission denied"]);
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
