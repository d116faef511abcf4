//! Inputs that are no files: which keys they take, and which mean nothing for them.

use super::{agent_errors, no_env};
use crate::{
    ConfigFile,
    agent::{AgentConfig, LimitPer, ReadFrom, Source},
};

#[test]
fn standard_input_and_the_journal_are_read() {
    let text = "\
inputs:
  - { name: in, source: stdin, topic: t, multiline: { start: x }, limits: [{ lines_per_second: 5 }] }
  - { name: all, source: journal, topic: t }
  - { name: some, source: journal, topic: t, units: [a.service, 'b*'], priority: warning, spool_bytes: 1MiB, read_from: end }
";
    let inputs = AgentConfig::parse_with("a", text, &no_env).unwrap().inputs;
    let spool_bytes = 64 << 20;
    assert_eq!(inputs[0].source, Source::Stdin { spool_bytes });
    assert_eq!(inputs[0].limits[0].per, LimitPer::Input, "its segments are one stream");
    assert_eq!(inputs[1].source, Source::Journal { units: vec![], priority: None, spool_bytes });
    let units = vec!["a.service".to_owned(), "b*".to_owned()];
    assert_eq!(inputs[2].source, Source::Journal { units, priority: Some(4), spool_bytes: 1 << 20 });
    assert_eq!((ReadFrom::End, Some(1 << 20)), (inputs[2].read_from, inputs[2].source.spool_bytes()));
    assert!(inputs.iter().all(|input| input.include.is_empty() && !input.source.is_files()));
}

#[test]
fn keys_of_other_sources_are_refused() {
    agent_errors(
        "\
inputs:
  - name: a
    source: stdin
    include: [/x]
    read_from: end
    priority: info
    encoding: utf-16le
    topic: t
  - name: b
    source: stdin
    topic: t
  - name: c
    source: journal
    multiline: { start: x }
    flush_unterminated: 1s
    on_long_line: split
    units: ['a b']
    priority: warn
    spool_bytes: 1MiB
    max_line_bytes: 1MiB
    topic: t
  - name: d
    units: [a]
    spool_bytes: 2MiB
    topic: t
  - name: e
    source: syslog
    include: [/x]
    topic: t
",
        r#"
agent.yaml:4:14: inputs[0].include: means nothing for source: stdin
agent.yaml:5:16: inputs[0].read_from: means nothing for source: stdin
agent.yaml:6:15: inputs[0].priority: means nothing for source: stdin
agent.yaml:7:15: inputs[0].encoding: has other newlines than standard input is cut at, expected an encoding that extends ASCII
agent.yaml:10:13: inputs[1].source: standard input is read by another input already, expected one such input
agent.yaml:12:5: inputs[2]: has a spool_bytes of less than four times max_line_bytes, expected at least that
agent.yaml:14:16: inputs[2].multiline: means nothing for source: journal
agent.yaml:15:25: inputs[2].flush_unterminated: means nothing for source: journal
agent.yaml:16:19: inputs[2].on_long_line: means nothing for source: journal, where an entry is one record; expected truncate or drop
agent.yaml:17:13: inputs[2].units[0]: is not a unit, expected a name such as nginx.service, or a glob of one
agent.yaml:18:15: inputs[2].priority: "warn" is not known, did you mean "warning"?
agent.yaml:22:5: inputs[3].include: missing, expected e.g. "include: ["/var/log/app/*.log"]"
agent.yaml:23:12: inputs[3].units: means nothing for source: files
agent.yaml:24:18: inputs[3].spool_bytes: means nothing for source: files
agent.yaml:27:13: inputs[4].source: "syslog" is not known, expected one of: files, stdin, journal
"#,
    );
}
