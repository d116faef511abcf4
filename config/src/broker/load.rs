//! Reads broker.yaml.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use super::{Advertise, BrokerConfig, Compaction, Durability, GroupCommit, Limits, Listener, TopicDefaults};
use crate::{file::ConfigFile, section::Section, value::Value};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

impl ConfigFile for BrokerConfig {
    const REFERENCE: &'static str = include_str!("../../broker.yaml");

    fn build(root: &mut Section) -> Self {
        root.not_yet(&[
            ("tls", ""),
            ("sasl", ""),
            ("users", ""),
            ("acls", ""),
            ("authorization", ""),
            ("quotas", ""),
            ("cluster", "one node serves all partitions"),
            ("validate", "batches are checked by header and CRC"),
        ]);
        let loopback = Listener { listen: ([127, 0, 0, 1], 9092).into(), advertise: Advertise::Auto };
        let listeners = root.or("listeners", vec![loopback], |v| {
            let mut taken = BTreeSet::new();
            Some(v.list("listeners")?.iter().filter_map(|v| listener(v, &mut taken)).collect())
        });
        let data_dir: PathBuf = root.or("data_dir", "/var/lib/logmill-broker".into(), Value::path);
        let more_data_dirs = root.or("more_data_dirs", Vec::new(), |v| {
            let mut taken = vec![data_dir.clone()];
            for dir in v.any_list("directories")? {
                let path = dir.path()?;
                if let Some(other) = taken.iter().find(|other| path.starts_with(other) || other.starts_with(&path)) {
                    return dir.fail(format!(
                        "\"{}\" is the same as \"{}\" or within it",
                        path.display(),
                        other.display()
                    ));
                }
                taken.push(path);
            }
            Some(taken.split_off(1))
        });
        Self {
            node_id: root.or("node_id", 1, |v| v.number(0, i32::MAX)),
            data_dir,
            more_data_dirs,
            listeners,
            durability: root.or("durability", Durability::Fsync, |v| {
                v.choice(&[("fsync", Durability::Fsync), ("page-cache", Durability::PageCache)], &[])
            }),
            group_commit: root.or("group_commit", GroupCommit::Auto, |v| {
                let choices = [
                    ("auto", GroupCommit::Auto),
                    ("fdatasync", GroupCommit::Fdatasync),
                    ("syncfs", GroupCommit::Syncfs),
                ];
                v.choice(&choices, &[])
            }),
            topics: topics(root),
            limits: limits(root),
            compaction: compaction(root),
            free_space_reserve: root.or("free_space_reserve", 256 * MIB, |v| v.size(0, 1 << 50)),
            metrics: root.or("metrics", ([127, 0, 0, 1], 9602).into(), Value::socket),
            shutdown_timeout: root.or("shutdown_timeout", 8 * SECOND, |v| v.duration(SECOND / 10, 600 * SECOND)),
        }
    }
}

fn listener(value: &Value, taken: &mut BTreeSet<std::net::SocketAddr>) -> Option<Listener> {
    let mut s = value.section()?;
    s.not_yet(&[("tls", ""), ("sasl", ""), ("security", "")]);
    let listen = s.need("listen", "\"127.0.0.1:9092\"", |v| {
        let address = v.socket()?;
        if address.port() != 0 && !taken.insert(address) {
            return v.fail(format!("{address} is used by another listener"));
        }
        Some(address)
    });
    let advertise = s.or("advertise", Advertise::Auto, |v| {
        if let Some(auto) = v.word("auto", Advertise::Auto) {
            return Some(auto);
        }
        let (host, port) = v.host_port(9092)?;
        Some(Advertise::Address { host, port })
    });
    s.finish();
    Some(Listener { listen: listen?, advertise })
}

fn topics(root: &mut Section) -> TopicDefaults {
    let default = TopicDefaults { auto_create: true, partitions: 4, retention: 7 * DAY, config: BTreeMap::new() };
    root.or("topics", default, |v| {
        let mut s = v.section()?;
        let topics = TopicDefaults {
            auto_create: s.or("auto_create", true, Value::boolean),
            partitions: s.or("partitions", 4, |v| v.number(1, 10_000)),
            retention: s.or("retention", 7 * DAY, |v| v.duration(SECOND, 36_500 * DAY)),
            config: s.or("config", BTreeMap::new(), |v| {
                if let Some(section) = v.section() {
                    for (name, v) in section.entries() {
                        if name == "retention.ms" {
                            v.fail::<()>("is given by topics.retention, expected only that");
                        }
                    }
                }
                v.text_map()
            }),
        };
        s.finish();
        Some(topics)
    })
}

fn compaction(root: &mut Section) -> Compaction {
    let default = Compaction { memory: 32 * MIB, bytes_per_second: 64 * MIB, interval: 15 * SECOND };
    root.or("compaction", default.clone(), |v| {
        let mut s = v.section()?;
        let compaction = Compaction {
            memory: s.or("memory", default.memory, |v| v.size(MIB, 1 << 40)),
            bytes_per_second: s.or("bytes_per_second", default.bytes_per_second, |v| v.size(64 * KIB, 1 << 50)),
            interval: s.or("interval", default.interval, |v| v.duration(SECOND / 10, 30 * DAY)),
        };
        s.finish();
        Some(compaction)
    })
}

fn limits(root: &mut Section) -> Limits {
    let default = Limits {
        max_request_bytes: 100 << 20,
        max_in_flight_bytes: 64 * MIB,
        max_connections: 10_000,
        max_connections_per_address: 10_000,
        max_decompressed_bytes: 128 * MIB,
        slow_reader_timeout: 60 * SECOND,
        idle_timeout: 600 * SECOND,
    };
    root.or("limits", default.clone(), |v| {
        let mut s = v.section()?;
        let limits = Limits {
            max_request_bytes: s.or("max_request_bytes", default.max_request_bytes, |v| {
                v.size(64 * KIB, 1024 * MIB).and_then(|n| u32::try_from(n).ok())
            }),
            max_in_flight_bytes: s.or("max_in_flight_bytes", default.max_in_flight_bytes, |v| v.size(MIB, 1 << 40)),
            max_connections: s.or("max_connections", default.max_connections, |v| v.number(1, 1_000_000)),
            max_connections_per_address: s.or(
                "max_connections_per_address",
                default.max_connections_per_address,
                |v| v.number(1, 1_000_000),
            ),
            max_decompressed_bytes: s
                .or("max_decompressed_bytes", default.max_decompressed_bytes, |v| v.size(MIB, 2048 * MIB)),
            slow_reader_timeout: s
                .or("slow_reader_timeout", default.slow_reader_timeout, |v| v.duration(SECOND / 10, 30 * DAY)),
            idle_timeout: s.or("idle_timeout", default.idle_timeout, |v| v.duration(SECOND, 30 * DAY)),
        };
        s.finish();
        Some(limits)
    })
}
