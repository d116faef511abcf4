//! The table of suites and how they are run: each in a fresh directory, with a line for its result.

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    process::ExitCode,
};

use anyhow::Result;

use crate::clock;

mod bad_input;
mod bare_machine;
mod clients;
mod compaction;
mod consuming;
mod dead_letters;
mod directories;
mod docker;
mod docker_build;
mod documents;
mod failing_disk;
mod faults;
mod file;
mod kafka_tools;
mod kills;
mod limits;
mod odd_files;
mod operations;
mod outage;
mod peers;
mod power_cut;
mod recovery;
mod reprocess;
mod rotations;
mod secured;
mod stacks;
mod systemd;
mod three_kafka;
mod traps;
mod webhook;
mod whole;

/// Bounded forms together stay within minutes; long forms are soaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Bounded,
    Long,
}

/// What a suite gets: an empty directory that is removed when it passes.
pub struct Room {
    pub dir: PathBuf,
    pub size: Size,
}

impl Room {
    pub fn is_long(&self) -> bool {
        self.size == Size::Long
    }
}

type Run = fn(&Room) -> Pin<Box<dyn Future<Output = Result<String>> + '_>>;

pub struct Suite {
    pub name: &'static str,
    pub about: &'static str,
    run: Run,
}

pub const ALL: &[Suite] = &[
    Suite {
        name: "whole",
        about: "20 files with rename rotations: the set is whole in topic and index",
        run: |r| Box::pin(whole::run(r)),
    },
    Suite {
        name: "behavior",
        about: "behaviour events of `logmill sample` arrive without dead letters",
        run: |r| Box::pin(whole::behavior(r)),
    },
    Suite {
        name: "kills",
        about: "kill -9 of agent, broker and sinks in turn under a paced writer",
        run: |r| Box::pin(kills::run(r)),
    },
    Suite {
        name: "rotations",
        about: "logrotate's schemes under kill -9: every line, one id, in order; as a soak a random rotator too",
        run: |r| Box::pin(rotations::run(r)),
    },
    Suite {
        name: "power-broker",
        about: "the broker on ext4: every acknowledged record survives a power cut",
        run: |r| Box::pin(power_cut::of_broker(r)),
    },
    Suite {
        name: "power-index",
        about: "the index on ext4: every document answered for survives a power cut",
        run: |r| Box::pin(power_cut::of_index(r)),
    },
    Suite {
        name: "power-agent",
        about: "the agent's checkpoint on ext4: nothing missing after a power cut, same ids",
        run: |r| Box::pin(power_cut::of_agent(r)),
    },
    Suite {
        name: "failing-disk",
        about: "a device that fails under the broker: nothing acknowledged is lost, nothing it refused is believed",
        run: |r| Box::pin(failing_disk::run(r)),
    },
    Suite {
        name: "kafka-tools",
        about: "kcat and Apache Kafka's own tools on our broker",
        run: |r| Box::pin(kafka_tools::run(r)),
    },
    Suite {
        name: "directories",
        about: "partition directories of Apache Kafka served by us, and ours by it",
        run: |r| Box::pin(directories::run(r)),
    },
    Suite {
        name: "recovery",
        about: "1 000 partitions, kill -9 under load: the first acknowledgement within a second, nothing lost",
        run: |r| Box::pin(recovery::run(r)),
    },
    Suite {
        name: "stacks",
        about: "Java, Python, JavaScript and Go clients on our broker: all codecs, groups by every assignor",
        run: |r| Box::pin(stacks::run(r)),
    },
    Suite {
        name: "compaction",
        about: "a compacted topic: Kafka's own consumer and dump-log on cleaned segments",
        run: |r| Box::pin(compaction::run(r)),
    },
    Suite {
        name: "clients",
        about: "the official Python client on the embedded index; a Kafka client of version 0",
        run: |r| Box::pin(clients::run(r)),
    },
    Suite { name: "documents", about: "README.md's quick start as it stands", run: |r| Box::pin(documents::run(r)) },
    Suite {
        name: "traps",
        about: "broker away, topic missing, new partitions, an empty machine",
        run: |r| Box::pin(traps::run(r)),
    },
    Suite {
        name: "bad-input",
        about: "wrong configuration, wrong bytes, wrong files: clear errors, bounded memory",
        run: |r| Box::pin(bad_input::run(r)),
    },
    Suite {
        name: "odd-files",
        about: "lines without end, noise, thousands of files at once, a full disk below the agent's state, inode numbers used again: told, nothing else lost",
        run: |r| Box::pin(odd_files::run(r)),
    },
    Suite {
        name: "limits",
        about: "what the agent's limits and its CPU cap let pass in windows of ten seconds, and its ledger of the rest",
        run: |r| Box::pin(limits::run(r)),
    },
    Suite {
        name: "outage",
        about: "the broker away at full write rate: the agent's memory, nothing lost, how fast it catches up",
        run: |r| Box::pin(outage::run(r)),
    },
    Suite {
        name: "consuming",
        about: "sinks by pattern, from a moment on, as static members, behind retention; on our broker and Apache Kafka",
        run: |r| Box::pin(consuming::run(r)),
    },
    Suite {
        name: "webhook",
        about: "a topic fanned out to two flaky services: each event, one identity, order per key, rate kept",
        run: |r| Box::pin(webhook::run(r)),
    },
    Suite {
        name: "dead-letters",
        about: "refused records of two sinks: listed by error, replayed to the one that refused, purged",
        run: |r| Box::pin(dead_letters::run(r)),
    },
    Suite {
        name: "file",
        about: "kill -9 of the sinks while they write files: every event, every line whole",
        run: |r| Box::pin(file::run(r)),
    },
    Suite {
        name: "faults",
        about: "search nodes that refuse, halve, hang, cut, fill up and die: exact counts in all three kinds",
        run: |r| Box::pin(faults::run(r)),
    },
    Suite {
        name: "secured",
        about: "an Elasticsearch with TLS and users: every way to come in, and what those say that may not",
        run: |r| Box::pin(secured::run(r)),
    },
    Suite {
        name: "operations",
        about: "documents replaced, merged and deleted by key with versions; gzip; a data stream with its template",
        run: |r| Box::pin(operations::run(r)),
    },
    Suite {
        name: "reprocess",
        about: "a dry run, retained records once more into another index, one sink reloaded beside the other",
        run: |r| Box::pin(reprocess::run(r)),
    },
    Suite {
        name: "peers",
        about: "our agent and sinks on Apache Kafka, Elasticsearch and OpenSearch; inputs that Kafka's access control stops",
        run: |r| Box::pin(peers::run(r)),
    },
    Suite {
        name: "three-kafka",
        about: "our agent and sinks on three Apache Kafka nodes, one of them killed",
        run: |r| Box::pin(three_kafka::run(r)),
    },
    Suite {
        name: "docker",
        about: "the images and the compose file on a Docker engine: kills, both listeners, stops",
        run: |r| Box::pin(docker::run(r)),
    },
    Suite {
        name: "systemd",
        about: "the packages on a booted Debian: install, kill, reload, upgrade, watchdog, remove",
        run: |r| Box::pin(systemd::run(r)),
    },
];

/// What takes too long for a bounded form.
pub const SOAKS: &[Suite] = &[
    Suite {
        name: "bare-machine",
        about: "README.md's two commands on a Debian with what README.md asks for and nothing else",
        run: |r| Box::pin(bare_machine::run(r)),
    },
    Suite {
        name: "docker-build",
        about: "the Dockerfile's own compilation of all images, and the broker's started",
        run: |r| Box::pin(docker_build::run(r)),
    },
];

/// Runs the named suites one after another; prints `N passed, N failed` at the end.
pub async fn run(names: &[String], size: Size) -> ExitCode {
    let (mut passed, mut failed) = (0, Vec::new());
    let base = std::env::temp_dir().join(format!("logmill-e2e-{}", std::process::id()));
    for name in names {
        let soaks = if size == Size::Long { SOAKS } else { &[] };
        let Some(suite) = ALL.iter().chain(soaks).find(|s| s.name == name) else {
            eprintln!("no suite is named {name}; `logmill-e2e list` names them");
            return ExitCode::from(64);
        };
        let dir = base.join(suite.name);
        let start = clock::now();
        println!("{name}: {}", suite.about);
        match one(suite, &dir, size).await {
            Ok(figures) => {
                passed += 1;
                println!("{name}: ok in {:.1} s: {figures}", start.elapsed().as_secs_f64());
                let _ = std::fs::remove_dir_all(&dir);
            }
            Err(e) => {
                println!(
                    "{name}: FAILED after {:.1} s: {e:#}\n  its files are in {}",
                    start.elapsed().as_secs_f64(),
                    dir.display()
                );
                failed.push(name.as_str());
            }
        }
    }
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    } else {
        let _ = std::fs::remove_dir_all(&base);
    }
    println!("{passed} passed, {} failed", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn one(suite: &Suite, dir: &Path, size: Size) -> Result<String> {
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir)?;
    (suite.run)(&Room { dir: dir.to_owned(), size }).await
}
