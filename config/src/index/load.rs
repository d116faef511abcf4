//! Reads index.yaml.

use std::time::Duration;

use super::IndexConfig;
use crate::{file::ConfigFile, section::Section, value::Value};

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

impl ConfigFile for IndexConfig {
    const REFERENCE: &'static str = include_str!("../../index.yaml");

    fn build(root: &mut Section) -> Self {
        root.not_yet(&[("tls", ""), ("auth", ""), ("retention", "")]);
        Self {
            listen: root.or("listen", ([127, 0, 0, 1], 9200).into(), Value::socket),
            data_dir: root.or("data_dir", "/var/lib/logmill-index".into(), Value::path),
            refresh_interval: root.or("refresh_interval", SECOND, |v| v.duration(SECOND / 20, 3600 * SECOND)),
            max_writers: root.or("max_writers", 4, |v| v.number(1, 64)),
            writer_memory: root.or("writer_memory", 15 * MIB, |v| v.size(15 * MIB, 4096 * MIB)),
            max_body_bytes: root.or("max_body_bytes", 100 * MIB, |v| v.size(MIB, 2048 * MIB)),
            metrics: root.or("metrics", ([127, 0, 0, 1], 9604).into(), Value::socket),
            shutdown_timeout: root.or("shutdown_timeout", 8 * SECOND, |v| v.duration(SECOND / 10, 600 * SECOND)),
        }
    }
}
