//! `--journal`: the machine's own journal as one more input; and that it is said where there is one that nobody reads.

use std::{env, fs, path::Path};

use logmill_config::{
    ConfigFile,
    agent::{AgentConfig, Input},
};

const PROGRAM: &str = "journalctl";
/// Where journald keeps it, for good or until the next start.
const PLACES: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
/// What a syslog daemon would have made of it.
const SYSLOG: &str = "/var/log/syslog";

/// Adds the input, with the topic of the others; nothing where one reads the journal already.
pub(super) fn add(agent: &mut AgentConfig) -> Result<(), String> {
    if agent.inputs.iter().any(|input| input.source.is_journal()) {
        return Ok(());
    }
    if !is_there() {
        return Err(format!("--journal: {PROGRAM} is not in PATH, which reading the journal needs"));
    }
    let input = input(agent)?;
    agent.inputs.push(input);
    Ok(())
}

fn input(agent: &AgentConfig) -> Result<Input, String> {
    if agent.inputs.iter().any(|input| input.name == "journal") {
        return Err("--journal: another input is named journal in agent.yaml, expected another name".to_owned());
    }
    let text = "inputs: [{ name: journal, source: journal, read_from: end, topic: logs.app }]";
    let journal = AgentConfig::parse_with("--journal", text, &|_| None).map_err(|errors| errors.to_string())?;
    let mut input = journal.inputs.into_iter().next().ok_or("--journal: no input")?;
    if let Some(first) = agent.inputs.first() {
        input.topic.clone_from(&first.topic);
    }
    Ok(input)
}

/// What to say where the machine's log is in a journal alone, and is not read.
pub(super) fn offer(agent: &AgentConfig) -> Option<&'static str> {
    let unread = !agent.inputs.iter().any(|input| input.source.is_journal());
    let has_some = |dir: &&str| fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    let alone = fs::File::open(SYSLOG).is_err() && PLACES.iter().any(has_some);
    (unread && alone && is_there()).then_some("this machine's log is in the systemd journal: --journal reads it too")
}

fn is_there() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| Path::new(&dir).join(PROGRAM).is_file())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_config::agent::ReadFrom;

    use super::*;

    fn agent(text: &str) -> AgentConfig {
        AgentConfig::parse_with("agent.yaml", text, &|_| None).unwrap()
    }

    #[test]
    fn the_journal_goes_where_the_others_go() {
        let input = input(&agent("inputs: [{ name: a, include: [/x], topic: t }]")).unwrap();
        assert_eq!(("journal", "t", ReadFrom::End), (input.name.as_str(), input.topic.as_str(), input.read_from));
        assert!(input.source.is_journal());
        let mut own = agent("inputs: [{ name: a, source: journal, topic: t }]");
        add(&mut own).unwrap();
        assert_eq!((1, None), (own.inputs.len(), offer(&own)));
        assert!(super::input(&agent("inputs: [{ name: journal, include: [/x], topic: t }]")).is_err());
    }
}
