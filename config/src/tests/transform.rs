//! Programs of inputs and sinks: how they are written, and what becomes by default of what they fail with.

use super::*;
use crate::transform::{OnError, Source};

fn of_agent(transform: &str) -> Result<AgentConfig, String> {
    let text = format!("inputs:\n  - {{ name: a, include: [a], topic: b, transform: {transform} }}\n");
    AgentConfig::parse_with("agent.yaml", &text, &no_env).map_err(|e| e.to_string())
}

fn of_sinks(transform: &str) -> Result<SinksConfig, String> {
    let text = format!("sinks: [{{ name: a, topics: [t], file: {{ path: /a/b }}, transform: {transform} }}]");
    SinksConfig::parse_with("sinks.yaml", &text, &no_env).map_err(|e| e.to_string())
}

#[test]
fn a_program_is_a_text_or_a_file() {
    let inline = Source::Inline(".x = 1".into());
    for (yaml, source, on_error) in [
        ("'.x = 1'", inline.clone(), None),
        ("{ program: '.x = 1' }", inline.clone(), None),
        ("{ program: '.x = 1', on_error: drop }", inline.clone(), Some(OnError::Drop)),
        ("{ program: '.x = 1', on_error: pass }", inline, Some(OnError::Pass)),
        ("{ file: /a.vrl }", Source::File("/a.vrl".into()), None),
    ] {
        let agent = of_agent(yaml).unwrap().inputs.remove(0).transform.unwrap();
        assert_eq!((&agent.source, agent.on_error), (&source, on_error.unwrap_or(OnError::Pass)), "{yaml}");
        let sink = of_sinks(yaml).unwrap().sinks.remove(0).transform.unwrap();
        assert_eq!((&sink.source, sink.on_error), (&source, on_error.unwrap_or(OnError::DeadLetter)), "{yaml}");
    }
    let same = |a: &str, b: &str| of_agent(a).unwrap() == of_agent(b).unwrap();
    assert!(same("'.x = 1'", "{ program: '.x = 1', on_error: pass }"), "wherever it stands");
    assert!(!same("'.x = 1'", "{ program: '.x = 1', on_error: drop }"));
}

#[test]
fn programs_that_are_none() {
    for (yaml, expected) in [
        ("{}", "agent.yaml:2:40: inputs[0].transform: has no program"),
        ("''", "inputs[0].transform: expected text, found an empty value"),
        ("[a]", "inputs[0].transform: expected"),
        ("{ program: a, file: /a }", "inputs[0].transform.file: stands beside program, expected one of them"),
        ("{ program: a, on_error: dead_letter }", "\"dead_letter\" is not known, expected one of: pass, drop"),
        ("{ program: a, on_eror: drop }", "inputs[0].transform.on_eror: unknown key, did you mean \"on_error\"?"),
    ] {
        let error = of_agent(yaml).unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
    assert!(of_sinks("{ program: a, on_error: keep }").unwrap_err().contains("one of: dead_letter, drop, pass"));
}
