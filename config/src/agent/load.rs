//! Reads agent.yaml.

mod framing;
mod parse;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::tz::TimeZone;

use super::{
    AgentConfig, Encoding, Input, Key, Limit, LimitPer, OnExceed, OnLongLine, Parse, ReadFrom, TopicBy, Tuning,
};
use crate::{
    file::ConfigFile,
    kafka, names,
    section::Section,
    template::Part,
    transform::{self, OnError},
    value::Value,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

impl ConfigFile for AgentConfig {
    const REFERENCE: &'static str = include_str!("../../agent.yaml");

    fn build(root: &mut Section) -> Self {
        let inputs = root.need("inputs", "[{ name: app, include: [\"/var/log/app/*.log\"], topic: logs.app }]", |v| {
            v.list("inputs")
        });
        let mut taken = BTreeSet::new();
        let presets =
            [("balanced", Tuning::Balanced), ("throughput", Tuning::Throughput), ("low-latency", Tuning::LowLatency)];
        let preset = root.or("preset", Tuning::default(), |v| v.choice(&presets, &[]));
        let buffer_bytes = root.or("buffer_bytes", preset.buffer_bytes(), |v| v.size(MIB, 4096 * MIB));
        let mut stdin = false;
        let inputs = inputs.unwrap_or_default();
        let inputs = inputs.iter().filter_map(|v| input(v, &mut taken, &mut stdin, buffer_bytes)).collect();
        Self {
            state_dir: root.or("state_dir", "/var/lib/logmill-agent".into(), Value::path),
            kafka: kafka::read(root, kafka::Role::Producer),
            inputs,
            limits: root.or("limits", Vec::new(), |v| {
                Some(v.any_list("limits")?.iter().filter_map(|v| limit(v, true)).collect())
            }),
            host_name: root.get("host_name").and_then(|v| v.text()),
            preset,
            buffer_bytes,
            max_cpu_percent: root.get("max_cpu_percent").and_then(|v| v.number(1, 100_000)),
            rescan_interval: root.or("rescan_interval", 10 * SECOND, |v| v.duration(SECOND / 10, 3600 * SECOND)),
            max_open_files: root.or("max_open_files", 1024, |v| v.number(16, 1_000_000)),
            max_deleted_bytes: root.get("max_deleted_bytes").and_then(|v| v.size(MIB, MIB * MIB)),
            metrics: root.or("metrics", ([127, 0, 0, 1], 9601).into(), Value::socket),
            shutdown_timeout: root.or("shutdown_timeout", 8 * SECOND, |v| v.duration(SECOND / 10, 600 * SECOND)),
        }
    }
}

fn input(value: &Value, taken: &mut BTreeSet<String>, stdin: &mut bool, buffer_bytes: u64) -> Option<Input> {
    let mut s = value.section()?;
    let max_line_bytes = s.or("max_line_bytes", 256 * KIB, |v| {
        let n = v.size(64, 64 * MIB)?;
        if n > buffer_bytes {
            return v.fail("is more than buffer_bytes, expected at most that");
        }
        Some(n)
    });
    let (source, include) = source::read(&mut s, max_line_bytes, stdin);
    let (topic, topic_by) = topics(&mut s);
    let mut input = Input {
        name: s.need("name", "app", |v| names::unique(v, taken)).unwrap_or_default(),
        source,
        include,
        exclude: s.or("exclude", Vec::new(), |v| Some(names::globs(&v.any_list("globs")?))),
        topic,
        topic_by,
        key: s.or("key", Key::File, key),
        read_from: s.or("read_from", ReadFrom::Beginning, |v| {
            v.choice(&[("beginning", ReadFrom::Beginning), ("end", ReadFrom::End)], &[])
        }),
        ignore_older: s.get("ignore_older").and_then(|v| v.duration(60 * SECOND, 36_500 * 86_400 * SECOND)),
        parse: s.or("parse", Parse::Auto, parse::parser),
        timezone: s.get("timezone").and_then(|v| names::time_zone(&v)).unwrap_or_else(TimeZone::system),
        numbers: s.or("numbers", Vec::new(), |v| Some(v.any_list("fields")?.iter().filter_map(field).collect())),
        encoding: s.or("encoding", Encoding::Utf8, framing::encoding),
        container: s.or("container", None, framing::container),
        multiline: s.get("multiline").and_then(|v| framing::multiline(&v, max_line_bytes)),
        max_line_bytes,
        on_long_line: s.or("on_long_line", OnLongLine::Truncate, |v| {
            let choices =
                [("truncate", OnLongLine::Truncate), ("split", OnLongLine::Split), ("drop", OnLongLine::Drop)];
            v.choice(&choices, &[])
        }),
        flush_unterminated: s.or("flush_unterminated", 5 * SECOND, |v| v.duration(SECOND / 10, 3600 * SECOND)),
        limits: s
            .or("limits", Vec::new(), |v| Some(v.any_list("limits")?.iter().filter_map(|v| limit(v, false)).collect())),
        fields: s.or("fields", BTreeMap::new(), fields),
        path_fields: s.get("path_fields").and_then(|v| parse::path_fields(&v)),
        transform: s
            .get("transform")
            .and_then(|v| transform::read(&v, OnError::Pass, &[("pass", OnError::Pass), ("drop", OnError::Drop)])),
    };
    source::fit(&mut s, &mut input);
    s.finish();
    Some(input)
}

/// The topic, or the one of records whose fields give none, and how fields do.
fn topics(s: &mut Section) -> (String, Option<TopicBy>) {
    let template = s.need("topic", "logs.app", names::topic_template).unwrap_or_default();
    let otherwise = s.get("topic_otherwise").and_then(|v| names::topic(&v));
    let most = s.or("max_topics", 100, |v| v.number(1, 10_000));
    if !template.is_constant() {
        if !s.given("topic_otherwise") {
            s.fail_here("has a topic with fields, expected topic_otherwise beside it, for records without them");
        }
        return (otherwise.unwrap_or_default(), Some(TopicBy { template, most }));
    }
    for key in ["topic_otherwise", "max_topics"] {
        if s.given(key) {
            s.fail_here(&format!("has {key}, which is for a topic with fields such as logs.{{service.name}}"));
        }
    }
    let text = |part: &Part| if let Part::Text(text) = part { text.clone() } else { String::new() };
    (template.parts().iter().map(text).collect(), None)
}

fn key(value: &Value) -> Option<Key> {
    if let Some(field) = value.behind("field:") {
        if names::is_field_path(field) {
            return Some(Key::Field(field.to_owned()));
        }
        return value.fail(format!("\"{field}\" is not a field, expected a dotted path such as field:user.id"));
    }
    let words =
        [("none", Key::None), ("host", Key::Host), ("file", Key::File), ("field:NAME", Key::Field("NAME".into()))];
    value.choice(&words, &[])
}

fn field(value: &Value) -> Option<String> {
    let text = value.text_that_is("field name")?;
    if names::is_field_path(&text) { Some(text) } else { value.fail("is not a field name, expected e.g. http.status") }
}

/// An entry of `limits`; one of all inputs together is per nothing.
fn limit(value: &Value, of_all: bool) -> Option<Limit> {
    let mut s = value.section()?;
    let lines_per_second = s.get("lines_per_second").and_then(|v| v.number(1, u32::MAX));
    let bytes_per_second = s.get("bytes_per_second").and_then(|v| v.size(1, u64::from(u32::MAX)));
    let rates = s.given("lines_per_second") || s.given("bytes_per_second");
    let burst = s.get("burst");
    if !rates {
        s.fail_here("sets no limit, expected lines_per_second, bytes_per_second or both");
    } else if let (Some(burst), false) = (&burst, s.given("lines_per_second")) {
        burst.fail::<()>("counts lines, expected lines_per_second beside it");
    }
    let sample = s.get("sample_one_in");
    let one_in = sample.as_ref().and_then(|v| v.number(2, 1_000_000));
    let on_exceed = s.or("on_exceed", OnExceed::Delay, |v| {
        let sample = OnExceed::Sample { one_in: 10 };
        v.choice(&[("delay", OnExceed::Delay), ("drop", OnExceed::Drop), ("sample", sample)], &[])
    });
    let on_exceed = match (on_exceed, sample) {
        (OnExceed::Sample { one_in: usual }, _) => OnExceed::Sample { one_in: one_in.unwrap_or(usual) },
        (other, None) => other,
        (other, Some(v)) => {
            v.fail::<()>("is for on_exceed: sample");
            other
        }
    };
    let per = if of_all { LimitPer::Input } else { s.or("per", LimitPer::File, per) };
    let burst = burst.and_then(|v| v.number(1, u32::MAX));
    s.finish();
    Some(Limit { per, lines_per_second, bytes_per_second, burst, on_exceed })
}

fn per(value: &Value) -> Option<LimitPer> {
    if let Some(field) = value.behind("field:") {
        if names::is_field_path(field) {
            return Some(LimitPer::Field(field.to_owned()));
        }
        return value.fail(format!("\"{field}\" is not a field, expected a dotted path such as field:user.id"));
    }
    let words = [
        ("file", LimitPer::File),
        ("input", LimitPer::Input),
        ("host", LimitPer::Field("host.name".into())),
        ("field:NAME", LimitPer::Field("NAME".into())),
    ];
    value.choice(&words, &[])
}

fn fields(value: &Value) -> Option<BTreeMap<String, serde_json::Value>> {
    let section = value.section()?;
    let mut fields: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    for (name, v) in section.entries() {
        if !names::is_field_path(name) {
            v.fail::<()>("is not a field name, expected a dotted path such as service.name");
        } else if matches!(name, "@timestamp" | "message") {
            v.fail::<()>("comes from the line itself, expected another field");
        } else if let Some(other) = fields.keys().find(|other| names::one_inside_other(other, name)) {
            let message = format!("one field is inside the other: \"{other}\" has a value of its own");
            v.fail::<()>(message);
        } else if let Some(json) = v.json() {
            fields.insert(name.to_owned(), json);
        }
    }
    Some(fields)
}
