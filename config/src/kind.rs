//! Which daemon a file is for, told from its keys, and checking it as that.

use std::path::Path;

use crate::{
    ConfigFile,
    agent::AgentConfig,
    broker::BrokerConfig,
    file,
    index::IndexConfig,
    problem::{Errors, Findings, Problem},
    sinks::SinksConfig,
    tree::{self, Kind as NodeKind},
};

/// The daemon a configuration file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Agent,
    Broker,
    Sinks,
    Index,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Broker => "broker",
            Self::Sinks => "sinks",
            Self::Index => "index",
        }
    }
}

/// Top-level keys that belong to one kind only.
const TELLING: [(Kind, &[&str]); 4] = [
    (Kind::Agent, &["inputs", "state_dir", "host_name", "rescan_interval", "max_open_files"]),
    (Kind::Broker, &["listeners", "node_id", "durability", "group_commit", "topics", "limits", "free_space_reserve"]),
    (Kind::Sinks, &["sinks"]),
    (Kind::Index, &["listen", "refresh_interval", "max_writers", "writer_memory", "max_body_bytes"]),
];

/// Checks a file of any kind. Gives its kind and what is odd but allowed.
pub fn check(path: &Path) -> Result<(Kind, Vec<Problem>), Errors> {
    let name = path.display().to_string();
    let text = file::read(path)?;
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    let kind = detect(&text, stem).ok_or_else(|| {
        let message = "cannot tell which daemon this is for, expected one of the keys inputs (agent), listeners (broker), \
                       sinks (sinks) or listen (index)";
        Errors::whole(&name, message.into())
    })?;
    let env = &file::process_env;
    let warnings = match kind {
        Kind::Agent => AgentConfig::check(&name, &text, env)?.warnings,
        Kind::Broker => BrokerConfig::check(&name, &text, env)?.warnings,
        Kind::Sinks => SinksConfig::check(&name, &text, env)?.warnings,
        Kind::Index => IndexConfig::check(&name, &text, env)?.warnings,
    };
    Ok((kind, warnings))
}

/// By most telling keys, then by the file's name.
pub fn detect(text: &str, file_stem: &str) -> Option<Kind> {
    let by_name = || {
        let stem = file_stem.to_lowercase();
        TELLING.iter().map(|(kind, _)| *kind).find(|kind| stem.contains(kind.name()))
    };
    let root = tree::parse(text, &|_| Some(String::new()), &Findings::default());
    let Some(NodeKind::Map(entries)) = root.map(|root| root.kind) else { return by_name() };
    let count = |keys: &[&str]| entries.iter().filter(|e| keys.contains(&e.key.as_str())).count();
    let most = TELLING.iter().map(|(_, keys)| count(keys)).max().unwrap_or(0);
    let mut best = TELLING.iter().filter(|(_, keys)| count(keys) == most).map(|(kind, _)| *kind);
    match (most, best.next(), best.next()) {
        (1.., Some(kind), None) => Some(kind),
        _ => by_name(),
    }
}
