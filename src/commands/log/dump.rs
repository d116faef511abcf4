//! `logmill log dump PATH…`

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use logmill_broker::dump::{self, Entry, Field};
use logmill_daemon::exit;
use serde_json::{Map, Value};

use crate::output::Output;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Files, or partition and data directories: every segment, index, snapshot and checkpoint in them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Every record too
    #[arg(long)]
    deep: bool,
    /// Only what is wrong
    #[arg(long)]
    problems: bool,
    /// Lines for people, or one JSON object a line for programs
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

/// Ends with 1 when something is wrong with a file.
#[allow(clippy::print_stderr)]
pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut files, mut problems) = (0u64, 0u64);
    for path in &options.paths {
        for file in dump::files(path).with_context(|| path.display().to_string())? {
            files += 1;
            let mut print = |entry: Entry| {
                problems += u64::from(entry.problem.is_some());
                if options.problems && entry.problem.is_none() {
                    return Ok(());
                }
                writeln!(out, "{}", line(&file, &entry, options.output))
            };
            dump::dump(&file, options.deep, &mut print).with_context(|| file.display().to_string())?;
        }
    }
    out.flush()?;
    if problems == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let (things, among) =
        (if problems == 1 { "problem" } else { "problems" }, if files == 1 { "file" } else { "files" });
    eprintln!("{problems} {things} in {files} {among}");
    Ok(ExitCode::from(exit::FAILED))
}

fn line(file: &Path, entry: &Entry, output: Output) -> String {
    match output {
        Output::Json => json(file, entry).to_string(),
        Output::Table => words(file, entry),
    }
}

fn json(file: &Path, entry: &Entry) -> Value {
    let mut object = Map::new();
    object.insert("file".into(), file.display().to_string().into());
    object.insert("kind".into(), entry.kind.into());
    for (name, field) in &entry.fields {
        let value = match field {
            Field::Number(number) => (*number).into(),
            Field::Text(text) => text.as_str().into(),
            Field::Flag(flag) => (*flag).into(),
            Field::Bytes(hex) => serde_json::json!({ "hex": hex }),
            Field::Null => Value::Null,
        };
        object.insert((*name).into(), value);
    }
    if let Some(problem) = &entry.problem {
        object.insert("problem".into(), problem.as_str().into());
    }
    object.into()
}

/// `file: kind name=value …`, flags by their names.
fn words(file: &Path, entry: &Entry) -> String {
    let name = file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned());
    let mut line = format!("{name}: {}", entry.kind);
    for (name, field) in &entry.fields {
        match field {
            Field::Number(number) => line.push_str(&format!(" {name}={number}")),
            Field::Text(text) if text.is_empty() || text.contains([' ', '\n', '\t', '"']) => {
                line.push_str(&format!(" {name}={text:?}"));
            }
            Field::Text(text) => line.push_str(&format!(" {name}={text}")),
            Field::Bytes(hex) => line.push_str(&format!(" {name}=0x{hex}")),
            Field::Flag(true) => line.push_str(&format!(" {name}")),
            Field::Flag(false) => {}
            Field::Null => line.push_str(&format!(" {name}=null")),
        }
    }
    if let Some(problem) = &entry.problem {
        line.push_str(&format!(" PROBLEM: {problem}"));
    }
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn entries_are_a_line_for_people_and_an_object_for_programs() {
        let fields = vec![
            ("offset", Field::Number(7)),
            ("key", Field::Null),
            ("value", Field::Text("two words".into())),
            ("control", Field::Flag(true)),
            ("transactional", Field::Flag(false)),
        ];
        let entry = Entry { kind: "record", fields, problem: Some("odd".into()) };
        let file = Path::new("/d/t-0/0.log");
        assert_eq!(words(file, &entry), r#"0.log: record offset=7 key=null value="two words" control PROBLEM: odd"#);
        let expected = serde_json::json!({
            "file": "/d/t-0/0.log", "kind": "record", "offset": 7, "key": null, "value": "two words", "control": true,
            "transactional": false, "problem": "odd",
        });
        assert_eq!(json(file, &entry), expected);
    }
}
