//! Reads index.yaml.

use std::{path::Path, time::Duration};

use super::IndexConfig;
use crate::{
    file::{self, Checked},
    problem::Errors,
    section::Section,
    value::Value,
};

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

/// The reference index.yaml that users copy and `logmill up` runs on.
pub const REFERENCE: &str = include_str!("../../index.yaml");

/// Loads and checks a file.
pub fn load(path: &Path) -> Result<IndexConfig, Errors> {
    parse(&path.display().to_string(), &file::read(path)?)
}

/// Checks a text; `name` stands for it in errors.
pub fn parse(name: &str, text: &str) -> Result<IndexConfig, Errors> {
    parse_with(name, text, &file::process_env)
}

/// As [`parse`], with `env` answering for `${VAR}`.
pub fn parse_with(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<IndexConfig, Errors> {
    check(name, text, env).map(|checked| checked.config)
}

/// As [`parse_with`], with what is odd but allowed.
pub fn check(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Checked<IndexConfig>, Errors> {
    file::parse(name, text, env, build)
}

fn build(root: &mut Section) -> IndexConfig {
    root.not_yet(&[("tls", ""), ("auth", ""), ("retention", "")]);
    IndexConfig {
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
