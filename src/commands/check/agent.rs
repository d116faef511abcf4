//! `logmill check --dry-run agent.yaml`: the files each input matches, and their first events as they would be sent.

use std::path::Path;

use logmill_agent::InputPreview;
use logmill_config::{ConfigFile, agent::AgentConfig};
use serde_json::{Value, json};

use crate::{fault::Fault, output::Output};

/// Files of each input whose events are shown.
const FILES: usize = 3;

#[allow(clippy::print_stdout)]
pub(super) fn run(file: &Path, events: usize, output: Output) -> anyhow::Result<()> {
    let config = AgentConfig::load_verified(file, logmill_agent::mistakes)
        .map_err(|errors| Fault::Config(errors.to_string()))?;
    let inputs = logmill_agent::dry_run(&config, FILES, events)?;
    match output {
        Output::Json => println!("{}", Value::Array(inputs.iter().map(object).collect())),
        Output::Table => inputs.iter().for_each(show),
    }
    Ok(())
}

fn object(input: &InputPreview) -> Value {
    let parsed = |event: &String| serde_json::from_str(event).unwrap_or(Value::Null);
    let file = |file: &logmill_agent::FilePreview| {
        json!({
            "path": file.path.to_string_lossy(),
            "size": file.size,
            "events": file.events.as_ref().map(|events| events.iter().map(parsed).collect::<Vec<Value>>()).ok(),
            "fault": file.events.as_ref().err(),
            "left_out": file.left_out,
            "failures": file.failures,
        })
    };
    json!({ "input": input.name, "source": input.source, "files": input.files.iter().map(file).collect::<Vec<_>>(), "faults": input.faults })
}

#[allow(clippy::print_stdout)]
fn show(input: &InputPreview) {
    match input.source {
        "journal" => println!("input {}: the journal, whose newest entries are", input.name),
        "stdin" => println!("input {}: standard input, which is not read here", input.name),
        _ => println!("input {}: {} files", input.name, input.files.len()),
    }
    for fault in &input.faults {
        println!("  cannot look into {fault}");
    }
    for file in &input.files {
        if input.source == "files" {
            println!("  {} ({} bytes)", file.path.display(), file.size);
        }
        match &file.events {
            Ok(events) => events.iter().for_each(|event| println!("    {event}")),
            Err(fault) => println!("    cannot read: {fault}"),
        }
        if file.left_out > 0 {
            println!("    {} more that the program leaves out", file.left_out);
        }
        file.failures.iter().for_each(|failure| println!("    the program fails: {failure}"));
    }
}
