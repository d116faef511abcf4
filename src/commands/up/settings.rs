//! What each part runs with: the reference files, or those of `--config`, under one data directory.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use logmill_config::{
    ConfigFile, Problem,
    agent::{AgentConfig, Input, ReadFrom, Source},
    broker::{Advertise, BrokerConfig, Listener},
    index::IndexConfig,
    sinks::SinksConfig,
};

use super::{Options, journal, samples};
use crate::fault::Fault;

/// Validated, with the paths and addresses of `up`.
pub(super) struct Settings {
    pub(super) agent: AgentConfig,
    pub(super) broker: BrokerConfig,
    pub(super) sinks: SinksConfig,
    pub(super) index: IndexConfig,
    /// Where index.yaml says the index listens: hosts of sinks that name it follow it to another port.
    pub(super) index_named: SocketAddr,
    pub(super) sample: bool,
}

impl Settings {
    pub(super) fn of(options: &Options) -> anyhow::Result<Self> {
        let dir = options.config.as_deref();
        if let Some(dir) = dir {
            std::fs::read_dir(dir).map_err(|e| config_fault(format!("--config {}: {e}", dir.display())))?;
        }
        let mut faults = Vec::new();
        let agent = one::<AgentConfig>(dir, "agent.yaml", &mut faults);
        let agent = agent.filter(|agent| compile("agent.yaml", &logmill_agent::mistakes(agent), &mut faults));
        let broker = one::<BrokerConfig>(dir, "broker.yaml", &mut faults);
        let sinks = one::<SinksConfig>(dir, "sinks.yaml", &mut faults);
        let sinks = sinks.filter(|sinks| compile("sinks.yaml", &logmill_sinks::mistakes(sinks), &mut faults));
        let index = one::<IndexConfig>(dir, "index.yaml", &mut faults);
        let (Some(mut agent), Some(mut broker), Some(mut sinks), Some(mut index)) = (agent, broker, sinks, index)
        else {
            return Err(config_fault(faults.join("\n")));
        };
        let index_named = index.listen;
        let here = std::env::current_dir().context("cannot tell the working directory")?;
        let data = here.join(&options.data_dir);
        agent.state_dir = data.join("agent");
        broker.data_dir = data.join("broker");
        index.data_dir = data.join("index");
        if let Some(listen) = options.kafka {
            broker.listeners = vec![Listener { listen, advertise: Advertise::Auto }];
        }
        index.listen = options.index.unwrap_or(index.listen);
        // One after the other within the 8 s of a whole stop; each is done in a fraction of this unless something hangs.
        agent.shutdown_timeout = agent.shutdown_timeout.min(Duration::from_millis(2500));
        sinks.shutdown_timeout = sinks.shutdown_timeout.min(Duration::from_millis(2500));
        broker.shutdown_timeout = broker.shutdown_timeout.min(Duration::from_millis(1500));
        index.shutdown_timeout = index.shutdown_timeout.min(Duration::from_millis(1500));
        if let Some(input) = agent.inputs.iter().find(|input| input.source.is_stdin()) {
            let name = &input.name;
            return Err(config_fault(format!(
                "agent.yaml: input {name} reads standard input, which only logmill-agent does"
            )));
        }
        if options.journal {
            journal::add(&mut agent).map_err(config_fault)?;
        }
        inputs(&mut agent, options, &here);
        Ok(Self { agent, broker, sinks, index, index_named, sample: options.sample })
    }
}

/// The file of `--config` if it is there, else the reference, which then does not look at the environment: its variables
/// are for daemons that run apart.
fn one<T: ConfigFile>(dir: Option<&Path>, name: &str, faults: &mut Vec<String>) -> Option<T> {
    let path = dir.map(|dir| dir.join(name)).filter(|path| path.exists());
    let loaded = match path {
        Some(path) => T::load(&path),
        None => T::parse_with(name, T::REFERENCE, &|_| None),
    };
    loaded.map_err(|errors| faults.push(errors.to_string())).ok()
}

/// Whether the programs of a file compile, which they do without `mistakes`.
fn compile(name: &str, mistakes: &[Problem], faults: &mut Vec<String>) -> bool {
    faults.extend(mistakes.iter().map(|mistake| mistake.describe(name)));
    mistakes.is_empty()
}

/// The first input of the reference file.
fn reference() -> Option<Input> {
    let agent = AgentConfig::parse_with("agent.yaml", AgentConfig::REFERENCE, &|_| None).ok()?;
    agent.inputs.into_iter().next()
}

fn inputs(agent: &mut AgentConfig, options: &Options, here: &Path) {
    if !options.tail.is_empty()
        && let Some(first) = agent.inputs.iter().find(|input| input.source.is_files()).cloned().or_else(reference)
    {
        let include = options.tail.clone();
        let name = "tail".to_owned();
        let tail = Input {
            name,
            include,
            exclude: Vec::new(),
            read_from: ReadFrom::Beginning,
            source: Source::Files,
            ..first
        };
        agent.inputs.retain(|input| options.journal && input.source.is_journal());
        agent.inputs.insert(0, tail);
    }
    // The reference input covers ./logs already; another one would read the samples twice.
    let covered = options.config.is_none() && options.tail.is_empty();
    let first = agent.inputs.iter_mut().find(|input| input.source.is_files());
    if let (true, false, Some(first)) = (options.sample, covered, first) {
        first.include.push(samples::pattern());
    }
    for input in &mut agent.inputs {
        if options.from_beginning {
            input.read_from = ReadFrom::Beginning;
        }
        for glob in input.include.iter_mut().chain(&mut input.exclude) {
            *glob = absolute(glob, here);
        }
    }
}

/// A glob from the working directory, so that documents name whole paths. `**/…` stays: it matches anywhere.
fn absolute(glob: &str, here: &Path) -> String {
    if glob.starts_with('/') || glob.starts_with("**") {
        return glob.to_owned();
    }
    // Characters of the directory's own name must not be taken for wildcards.
    let mut base = PathBuf::from(here).to_string_lossy().into_owned();
    if base.contains(['*', '?', '[', ']', '{', '}', '\\']) {
        base = base.chars().flat_map(|c| if "*?[]{}\\".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
    }
    format!("{}/{}", base.trim_end_matches('/'), glob.trim_start_matches("./"))
}

fn config_fault(message: String) -> anyhow::Error {
    Fault::Config(message).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn settings(arguments: &[&str]) -> anyhow::Result<Settings> {
        let Command::Up(options) = Cli::try_parse_from([&["logmill", "up"], arguments].concat()).unwrap().command
        else {
            panic!("not up")
        };
        Settings::of(&options)
    }

    #[test]
    fn the_reference_files_below_one_data_directory() {
        let s = settings(&["--data-dir", "/d", "--kafka", "127.0.0.1:0"]).unwrap();
        assert_eq!(s.agent.state_dir, Path::new("/d/agent"));
        assert_eq!(s.broker.data_dir, Path::new("/d/broker"));
        assert_eq!(s.broker.listeners[0].listen.port(), 0);
        assert_eq!(s.index.listen.port(), 9200);
        assert!(s.agent.inputs[0].include[0].ends_with("/logs/**/*.log"));
        assert!(s.agent.inputs[0].include[0].starts_with('/'));
        assert_eq!(s.agent.inputs[1].read_from, ReadFrom::End);
    }

    #[test]
    fn tail_instead_of_the_defaults() {
        let s = settings(&["--tail", "/a/*.log", "--tail", "/b/*", "--sample"]).unwrap();
        assert_eq!(s.agent.inputs.len(), 1);
        assert_eq!(s.agent.inputs[0].include[..2], ["/a/*.log", "/b/*"]);
        assert!(s.agent.inputs[0].include[2].ends_with("/logs/sample-*.log"));
        assert_eq!(s.agent.inputs[0].read_from, ReadFrom::Beginning);
        let s = settings(&["--from-beginning"]).unwrap();
        assert_eq!(s.agent.inputs[1].read_from, ReadFrom::Beginning);
    }

    #[test]
    fn standard_input_is_not_for_up() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("agent.yaml"), "inputs: [{ name: in, source: stdin, topic: t }]").unwrap();
        let e = settings(&["--config", dir.path().to_str().unwrap()]).err().unwrap();
        assert!(e.to_string().contains("input in reads standard input"), "{e}");
    }

    #[test]
    fn mistakes_of_every_file_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("broker.yaml"), "durability: never").unwrap();
        std::fs::write(dir.path().join("index.yaml"), "listen: here").unwrap();
        let e = settings(&["--config", dir.path().to_str().unwrap()]).err().unwrap();
        let text = e.to_string();
        assert!(text.contains("broker.yaml:1:13: durability") && text.contains("index.yaml:1:9: listen"), "{text}");
        assert_eq!(crate::fault::exit_code(&e), 78);
        let e = settings(&["--config", "/no/such/directory"]).err().unwrap();
        assert_eq!(crate::fault::exit_code(&e), 78);
    }

    #[test]
    fn globs_from_the_working_directory() {
        assert_eq!(absolute("./logs/*.log", Path::new("/w")), "/w/logs/*.log");
        assert_eq!(absolute("/x/*", Path::new("/w")), "/x/*");
        assert_eq!(absolute("**/*.tmp", Path::new("/w")), "**/*.tmp");
        assert_eq!(absolute("a", Path::new("/w[1]")), "/w\\[1\\]/a");
    }
}
