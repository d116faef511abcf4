//! Expressions that `parse` takes, and what is said of those that are none.

use std::collections::BTreeMap;

use super::*;

#[test]
fn expressions_that_are_none() {
    let wrong = |parse: &str, expected: &str| {
        let text = format!("inputs: [{{name: a, include: [a], topic: b, parse: {parse}}}]");
        let errors = AgentConfig::parse_with("agent.yaml", &text, &no_env).unwrap_err().to_string();
        assert!(errors.contains(expected), "{parse}: {errors}");
    };
    wrong("{ time: '%Y' }", "inputs[0].parse: expected one of: regex, grok, csv");
    wrong("{ grok: '%{WORD:a}', csv: [a] }", "inputs[0].parse: expected one of: regex, grok, csv");
    wrong("{ grok: '%{WROD:a}' }", "inputs[0].parse.grok: is not a grok pattern");
    wrong("{ grok: '%{WORD:a}(' }", "is not a grok pattern");
    wrong("{ grok: '%{WORD}' }", "gives no field");
    wrong("{ grok: '%{WORD:a..b}' }", "is not a field");
    wrong("{ grok: '%{INT:a:integer}' }", "\"integer\" of a is not known as a type, expected int or float");
    wrong("{ csv: [a], patterns: { A: b } }", "inputs[0].parse.patterns: is for grok, which is not there");
    wrong("{ grok: '%{WORD:a}', delimiter: ';' }", "inputs[0].parse.delimiter: is for csv, which is not there");
    wrong("{ csv: [] }", "inputs[0].parse.csv: the list is empty");
    wrong("{ csv: [a, 'b c'] }", "inputs[0].parse.csv[1]: is not a field name");
    wrong("{ csv: [a.b, _, a] }", "inputs[0].parse.csv[2]: is a field beside \"a.b\"");
    wrong("{ csv: [a], delimiter: ',,' }", "is not a delimiter, expected one character");
    let text = "inputs: [{name: a, include: [a], topic: b, parse: { csv: [a, _], delimiter: tab }}]";
    let config = AgentConfig::parse_with("agent.yaml", text, &no_env).unwrap();
    let columns = vec![Some("a".to_owned()), None];
    assert_eq!(config.inputs[0].parse, agent::Parse::Csv { columns, delimiter: b'\t', time: None });
}

#[test]
fn every_pattern_of_the_library_is_one() {
    for (name, _) in ::grok::patterns() {
        agent::grok::compile(&format!("%{{{name}:a}}"), &BTreeMap::new()).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    assert_eq!(agent::grok::field("[log][level]"), "log.level");
    assert_eq!(agent::grok::field("log.level"), "log.level");
    assert_eq!(agent::grok::field("[a][b][1]"), "a.b");
    assert_eq!(agent::grok::field("took[1]"), "took");
}
