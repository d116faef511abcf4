//! `logmill dead-letters show`: letters in full.

use std::{
    io::{self, BufWriter, Write},
    ops::ControlFlow,
};

use clap::Args;
use serde_json::{Value, json};

use super::{Letter, Select, read};
use crate::{commands::topics::Shown, output::Output};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The dead-letter topic; those whose name ends with .dead when none is given
    topics: Vec<String>,
    #[command(flatten)]
    select: Select,
    /// At most so many
    #[arg(long, default_value = "10")]
    max: u64,
    #[command(flatten)]
    shown: Shown,
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut left = options.max;
    for topic in read::topics(&options.shown.connection, &options.topics)? {
        if left == 0 {
            break;
        }
        read::letters(&options.shown.connection, &topic, &options.select, |letter| {
            match options.shown.output {
                Output::Json => writeln!(out, "{}", object(&letter))?,
                Output::Table => write(&mut out, &letter)?,
            }
            left -= 1;
            Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
    }
    Ok(out.flush()?)
}

fn write(out: &mut impl Write, letter: &Letter) -> io::Result<()> {
    let text = |bytes: &Option<Vec<u8>>| match bytes {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => "-".to_owned(),
    };
    let from = &letter.from;
    writeln!(out, "{} {}:{}  {}", letter.topic, letter.partition, letter.offset, letter.time)?;
    writeln!(
        out,
        "  sink    {}, {}, error {}, attempts {}",
        letter.sink,
        letter.class,
        letter.error_id(),
        letter.attempts
    )?;
    writeln!(out, "  reason  {}", letter.reason)?;
    writeln!(out, "  from    {} {}:{}", from.topic, from.partition, from.offset)?;
    writeln!(out, "  key     {}", text(&letter.key))?;
    if let Some(bytes) = &letter.truncated {
        writeln!(out, "  cut     only the beginning of {bytes} bytes was kept")?;
    }
    writeln!(out, "  value   {}", text(&letter.value))
}

/// A line of JSON; bytes that are no text are shown as far as they are.
fn object(letter: &Letter) -> Value {
    let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|b| String::from_utf8_lossy(b).into_owned());
    json!({
        "topic": letter.topic, "partition": letter.partition, "offset": letter.offset,
        "sink": letter.sink, "class": letter.class, "error": letter.error_id(), "reason": letter.reason,
        "time": letter.time, "attempts": letter.attempts.parse::<u64>().ok(),
        "original_topic": letter.from.topic, "original_partition": letter.from.partition,
        "original_offset": letter.from.offset, "original_timestamp": letter.from.timestamp,
        "truncated_from_bytes": letter.truncated.as_ref().and_then(|t| t.parse::<u64>().ok()),
        "key": text(&letter.key), "value": text(&letter.value),
    })
}
