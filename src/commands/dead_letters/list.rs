//! `logmill dead-letters list`: letters counted by topic, sink, class and error.

use std::{collections::BTreeMap, ops::ControlFlow};

use clap::Args;
use serde_json::json;

use super::{Letter, Select, read};
use crate::{commands::topics::Shown, output};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Dead-letter topics; those whose name ends with .dead when none is given
    topics: Vec<String>,
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    shown: Shown,
}

/// Errors told apart; what comes beyond is counted together.
const MOST_ERRORS: usize = 10_000;

struct Group {
    letters: u64,
    error: String,
    first: String,
    last: String,
    offsets: (i64, i64),
}

#[allow(clippy::print_stderr)]
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let connection = &options.shown.connection;
    let mut groups: BTreeMap<(String, String, String, String), Group> = BTreeMap::new();
    for topic in read::topics(connection, &options.topics)? {
        let others = read::letters(connection, &topic, &options.select, |letter| {
            count(&mut groups, letter);
            Ok(ControlFlow::Continue(()))
        })?;
        if others > 0 {
            eprintln!("{others} records of {topic} are no dead letters");
        }
    }
    let (mut rows, mut list) = (Vec::new(), Vec::new());
    for ((topic, sink, class, id), group) in groups {
        list.push(json!({
            "topic": topic, "sink": sink, "class": class, "error": id, "letters": group.letters,
            "first_time": group.first, "last_time": group.last,
            "first_offset": group.offsets.0, "last_offset": group.offsets.1, "reason": group.error,
        }));
        rows.push(vec![topic, sink, class, id, group.letters.to_string(), group.last, group.error]);
    }
    let header = ["topic", "sink", "class", "error", "letters", "last_time", "reason"];
    Ok(output::print(options.shown.output, &header, rows, &list.into())?)
}

fn count(groups: &mut BTreeMap<(String, String, String, String), Group>, letter: Letter) {
    let mut key = (letter.topic.clone(), letter.sink.clone(), letter.class.clone(), letter.error_id());
    let mut error = letter.error();
    if groups.len() >= MOST_ERRORS && !groups.contains_key(&key) {
        key.3 = "other".to_owned();
        error = "more errors than are told apart".to_owned();
    }
    let group = groups.entry(key).or_insert_with(|| Group {
        letters: 0,
        error,
        first: letter.time.clone(),
        last: String::new(),
        offsets: (letter.offset, letter.offset),
    });
    group.letters += 1;
    group.first = group.first.clone().min(letter.time.clone());
    group.last = group.last.clone().max(letter.time);
    group.offsets = (group.offsets.0.min(letter.offset), group.offsets.1.max(letter.offset));
}
