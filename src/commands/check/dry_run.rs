//! `logmill check --dry-run`: what sinks would make of records that are there now, without sending anything; and what
//! another configuration would make of them instead.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use logmill_config::{
    ConfigFile,
    sinks::{Sink, SinksConfig},
};
use logmill_sinks::{
    preview::{Preview, Seen},
    slice::{Extent, Slice},
};
use rdkafka::Message;
use serde_json::{Map, Value, json};

use crate::{
    fault::{self, Fault},
    output::Output,
};

pub(super) struct Wanted {
    pub(super) samples: u64,
    /// The only sink that is looked at.
    pub(super) sink: Option<String>,
    pub(super) diff: Option<PathBuf>,
    pub(super) output: Output,
}

/// What became of the records.
#[derive(Default)]
struct Counts {
    records: u64,
    dead: u64,
    filtered: u64,
    differ: u64,
}

#[allow(clippy::print_stdout)]
pub(super) fn run(file: &Path, wanted: &Wanted) -> anyhow::Result<()> {
    let config = load(file)?;
    let other = wanted.diff.as_deref().map(load).transpose()?;
    let dead_letter_topics: Vec<_> = config.sinks.iter().map(|sink| sink.dead_letters.topic.clone()).collect();
    let is_wanted = |sink: &&Sink| wanted.sink.as_ref().is_none_or(|name| *name == sink.name);
    let chosen: Vec<_> = config.sinks.iter().filter(is_wanted).collect();
    if chosen.is_empty() {
        let names: Vec<_> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
        let name = wanted.sink.clone().unwrap_or_default();
        return Err(fault::usage(format!("no sink is named {name}, expected one of: {}", names.join(", "))));
    }
    let mut counts = Counts::default();
    let mut out = io::stdout().lock();
    for sink in chosen {
        let mut preview = Preview::new(sink)?;
        let mut instead = match (&other, &wanted.diff) {
            (Some(other), Some(path)) => {
                let same = other.sinks.iter().find(|same| same.name == sink.name);
                let same = same.ok_or_else(|| anyhow!("{}: no sink is named {}", path.display(), sink.name))?;
                Some(Preview::new(same)?)
            }
            _ => None,
        };
        let mut slice = Slice::open(&config.kafka, sink, &dead_letter_topics, Extent::Newest(wanted.samples))
            .with_context(|| {
                format!("cannot read samples for sink {} from {}", sink.name, config.kafka.brokers.join(", "))
            })?;
        let mut left = wanted.samples;
        while left > 0 && !slice.is_finished() {
            let Some(message) = slice.next(Duration::from_millis(250))? else { continue };
            left -= 1;
            let place = (sink.name.as_str(), message.topic(), message.partition(), message.offset());
            let seen = preview.look(&message);
            counts.add(&seen);
            match &mut instead {
                None => tell(&mut out, wanted.output, place, &seen)?,
                Some(instead) => {
                    let then = instead.look(&message);
                    if then != seen {
                        counts.differ += 1;
                        tell_both(&mut out, wanted.output, place, &seen, &then)?;
                    }
                }
            }
        }
    }
    if wanted.output == Output::Table {
        let Counts { records, dead, filtered, differ } = counts;
        let delivered = records - dead - filtered;
        match wanted.diff {
            None => writeln!(
                out,
                "{records} records: {delivered} to be delivered, {dead} dead letters, {filtered} filtered"
            )?,
            Some(_) => writeln!(out, "{differ} of {records} records would differ")?,
        }
    }
    Ok(())
}

fn load(path: &Path) -> anyhow::Result<SinksConfig> {
    SinksConfig::load_verified(path, logmill_sinks::mistakes).map_err(|errors| Fault::Config(errors.to_string()).into())
}

impl Counts {
    fn add(&mut self, seen: &Seen) {
        self.records += 1;
        match seen {
            Seen::Delivered { .. } => {}
            Seen::Filtered => self.filtered += 1,
            Seen::Rejected { .. } => self.dead += 1,
        }
    }
}

/// Sink, topic, partition, offset.
type Place<'a> = (&'a str, &'a str, i32, i64);

fn tell(out: &mut impl Write, output: Output, place: Place<'_>, seen: &Seen) -> io::Result<()> {
    if output == Output::Json {
        let mut object = json_place(place);
        object.extend(json_seen(seen));
        return writeln!(out, "{}", Value::Object(object));
    }
    headline(out, place)?;
    lines(seen).iter().try_for_each(|line| writeln!(out, "  {line}"))
}

fn tell_both(out: &mut impl Write, output: Output, place: Place<'_>, seen: &Seen, then: &Seen) -> io::Result<()> {
    if output == Output::Json {
        let mut object = json_place(place);
        object.insert("now".into(), Value::Object(json_seen(seen)));
        object.insert("then".into(), Value::Object(json_seen(then)));
        return writeln!(out, "{}", Value::Object(object));
    }
    headline(out, place)?;
    let (before, after) = (lines(seen), lines(then));
    before.iter().filter(|line| !after.contains(line)).try_for_each(|line| writeln!(out, "- {line}"))?;
    after.iter().filter(|line| !before.contains(line)).try_for_each(|line| writeln!(out, "+ {line}"))
}

fn headline(out: &mut impl Write, (sink, topic, partition, offset): Place<'_>) -> io::Result<()> {
    writeln!(out, "{sink}: {topic}-{partition} offset {offset}")
}

/// What becomes of it, and the document.
fn lines(seen: &Seen) -> Vec<String> {
    match seen {
        Seen::Delivered { parts, document } => {
            let parts: Vec<_> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let document = String::from_utf8_lossy(document).into_owned();
            [parts.join(" "), document].into_iter().filter(|line| !line.is_empty()).collect()
        }
        Seen::Filtered => vec!["filtered".into()],
        Seen::Rejected { class, reason } => vec![format!("dead letter ({class}): {reason}")],
    }
}

fn json_place((sink, topic, partition, offset): Place<'_>) -> Map<String, Value> {
    let object = json!({"sink": sink, "topic": topic, "partition": partition, "offset": offset});
    object.as_object().cloned().unwrap_or_default()
}

fn json_seen(seen: &Seen) -> Map<String, Value> {
    let object = match seen {
        Seen::Delivered { parts, document } => {
            let text = String::from_utf8_lossy(document);
            let document = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.into_owned()));
            let mut object = json!({"outcome": "delivered", "document": document});
            for (name, value) in parts {
                object[name.as_str()] = value.as_str().into();
            }
            object
        }
        Seen::Filtered => json!({"outcome": "filtered"}),
        Seen::Rejected { class, reason } => json!({"outcome": "dead_letter", "class": class, "reason": reason}),
    };
    object.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const PLACE: Place<'_> = ("app", "logs", 2, 7);

    fn delivered(index: &str) -> Seen {
        let parts = [("op", "create"), ("index", index), ("id", "x")];
        let parts = parts.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Seen::Delivered { parts, document: b"{\"n\":1}".to_vec() }
    }

    fn told(tell: impl Fn(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        tell(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_as_text_and_as_json() {
        let text = told(|out| tell(out, Output::Table, PLACE, &delivered("a")));
        assert_eq!(text, "app: logs-2 offset 7\n  op=create index=a id=x\n  {\"n\":1}\n");
        let text = told(|out| tell(out, Output::Json, PLACE, &delivered("a")));
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["document"]["n"], &json["index"], &json["offset"]), (&json!(1), &json!("a"), &json!(7)));
        let rejected = Seen::Rejected { class: "decode", reason: "no JSON".into() };
        assert!(told(|out| tell(out, Output::Table, PLACE, &rejected)).ends_with("  dead letter (decode): no JSON\n"));
    }

    #[test]
    fn only_what_differs() {
        let text = told(|out| tell_both(out, Output::Table, PLACE, &delivered("a"), &delivered("b")));
        assert_eq!(text, "app: logs-2 offset 7\n- op=create index=a id=x\n+ op=create index=b id=x\n");
        let text = told(|out| tell_both(out, Output::Json, PLACE, &delivered("a"), &Seen::Filtered));
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["now"]["index"], &json["then"]["outcome"]), (&json!("a"), &json!("filtered")));
    }
}
