//! Reads sinks.yaml.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use super::{Auth, Bulk, DeadLetters, Elasticsearch, Id, Op, Retry, Sink, SinksConfig, Tls};
use crate::{
    file::{self, Checked},
    kafka, names,
    problem::Errors,
    section::Section,
    value::Value,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

/// The reference sinks.yaml that users copy and `logmill up` runs on.
pub const REFERENCE: &str = include_str!("../../sinks.yaml");

/// Loads and checks a file.
pub fn load(path: &Path) -> Result<SinksConfig, Errors> {
    parse(&path.display().to_string(), &file::read(path)?)
}

/// Checks a text; `name` stands for it in errors.
pub fn parse(name: &str, text: &str) -> Result<SinksConfig, Errors> {
    parse_with(name, text, &file::process_env)
}

/// As [`parse`], with `env` answering for `${VAR}`.
pub fn parse_with(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<SinksConfig, Errors> {
    check(name, text, env).map(|checked| checked.config)
}

/// As [`parse_with`], with what is odd but allowed.
pub fn check(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Checked<SinksConfig>, Errors> {
    file::parse(name, text, env, build)
}

fn build(root: &mut Section) -> SinksConfig {
    let sinks =
        root.need("sinks", "[{ name: app-logs, topics: [logs.app], elasticsearch: { … } }]", |v| v.list("sinks"));
    let (mut names, mut groups) = (BTreeSet::new(), BTreeMap::new());
    SinksConfig {
        kafka: kafka::read(root, kafka::Role::Consumer),
        sinks: sinks.unwrap_or_default().iter().filter_map(|v| sink(v, &mut names, &mut groups)).collect(),
        buffer_bytes: root.or("buffer_bytes", 48 * MIB, |v| v.size(4 * MIB, 64 << 30)),
        metrics: root.or("metrics", ([127, 0, 0, 1], 9603).into(), Value::socket),
        shutdown_timeout: root.or("shutdown_timeout", 8 * SECOND, |v| v.duration(SECOND / 10, 600 * SECOND)),
    }
}

fn sink(value: &Value, taken: &mut BTreeSet<String>, groups: &mut BTreeMap<String, String>) -> Option<Sink> {
    let mut s = value.section()?;
    s.not_yet(&[("transform", ""), ("webhook", "use elasticsearch")]);
    let name = s.need("name", "app-logs", |v| names::unique(v, taken)).unwrap_or_default();
    let group_value = s.get("group");
    let group = group_value.as_ref().and_then(Value::text).unwrap_or_else(|| name.clone());
    if !name.is_empty() {
        match groups.get(&group) {
            Some(other) => {
                let message = format!(
                    "group \"{group}\" is also that of sink \"{other}\", each would get only a part of the records, expected a group of its own"
                );
                match &group_value {
                    Some(v) => v.fail::<()>(message),
                    None => value.fail(message),
                };
            }
            None => {
                groups.insert(group.clone(), name.clone());
            }
        }
    }
    let topics: Vec<String> = s
        .need("topics", "[logs.app]", |v| Some(v.list("topics")?.iter().filter_map(names::topic_or_regex).collect()))
        .unwrap_or_default();
    let dead = DeadLetters { topic: format!("{name}.dead") };
    let dead_letters = s.or("dead_letters", dead.clone(), |v| {
        let mut s = v.section()?;
        let topic = s.or("topic", dead.topic.clone(), |v| {
            let topic = names::topic(v)?;
            if topics.contains(&topic) {
                return v
                    .fail(format!("\"{topic}\" is read by this sink, expected another topic for its dead letters"));
            }
            Some(topic)
        });
        s.finish();
        Some(DeadLetters { topic })
    });
    let elasticsearch = if s.given("webhook") {
        s.get("elasticsearch").as_ref().and_then(elasticsearch)
    } else {
        s.need("elasticsearch", "{ hosts: [\"http://localhost:9200\"], index: \"app-logs-%Y.%m.%d\" }", elasticsearch)
    };
    let instance_id = s.get("instance_id").and_then(|v| v.text());
    let retry = s.or("retry", Retry { initial: SECOND / 5, max: 60 * SECOND }, retry);
    s.finish();
    Some(Sink { name, topics, group, instance_id, elasticsearch: elasticsearch?, retry, dead_letters })
}

fn elasticsearch(value: &Value) -> Option<Elasticsearch> {
    let mut s = value.section()?;
    s.not_yet(&[("data_stream", "use index")]);
    let hosts = s.need("hosts", "[\"http://localhost:9200\"]", |v| {
        Some(v.list("hosts")?.iter().filter_map(names::url).collect())
    });
    let index = if s.given("data_stream") {
        s.get("index").as_ref().and_then(names::index)
    } else {
        s.need("index", "\"app-logs-%Y.%m.%d\"", names::index)
    };
    let elasticsearch = Elasticsearch {
        hosts: hosts.unwrap_or_default(),
        auth: s.get("auth").and_then(|v| auth(&v)),
        tls: s.or("tls", Tls::default(), |v| {
            let mut s = v.section()?;
            s.not_yet(&[("fingerprint", "use ca_file")]);
            let tls = Tls { ca_file: s.get("ca_file").and_then(|v| v.path()) };
            s.finish();
            Some(tls)
        }),
        index: index.unwrap_or_default(),
        id: s.or("id", Id::Event, |v| {
            if v.text()?.starts_with("field:") {
                return v.fail("field:NAME is not supported yet, expected one of: event, record");
            }
            v.choice(&[("event", Id::Event), ("record", Id::Record)], &["key", "field"])
        }),
        op: s.or("op", Op::Create, |v| v.choice(&[("create", Op::Create), ("index", Op::Index)], &[])),
        bulk: s.or("bulk", BULK, bulk),
        headers: s.or("headers", BTreeMap::new(), headers),
    };
    s.finish();
    Some(elasticsearch)
}

fn auth(value: &Value) -> Option<Auth> {
    let mut s = value.section()?;
    let api_key = s.get("api_key").map(|v| v.text());
    let user = s.get("user").map(|v| v.text());
    let password = s.get("password").map(|v| v.any_text());
    let auth = match (api_key, user, password) {
        (Some(key), None, None) => key.map(Auth::ApiKey),
        (None, Some(user), Some(password)) => user.zip(password).map(|(user, password)| Auth::Basic { user, password }),
        _ => {
            s.fail_here("expected either api_key, or user and password");
            None
        }
    };
    s.finish();
    auth
}

const BULK: Bulk = Bulk { max_bytes: 5 * MIB, max_documents: 5000, linger: Duration::from_millis(200), in_flight: 4 };

fn bulk(value: &Value) -> Option<Bulk> {
    let mut s = value.section()?;
    let bulk = Bulk {
        max_bytes: s.or("max_bytes", BULK.max_bytes, |v| v.size(64 * KIB, 100 * MIB)),
        max_documents: s.or("max_documents", BULK.max_documents, |v| v.number(1, 100_000)),
        linger: s.or("linger", BULK.linger, |v| v.duration(Duration::ZERO, 60 * SECOND)),
        in_flight: s.or("in_flight", BULK.in_flight, |v| v.number(1, 64)),
    };
    s.finish();
    Some(bulk)
}

fn headers(value: &Value) -> Option<BTreeMap<String, String>> {
    let section = value.section()?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    for (name, v) in section.entries() {
        if name.is_empty() || !name.bytes().all(token) {
            v.fail::<()>("is not a name of an HTTP header");
        } else if ["authorization", "content-type", "content-length", "host"].contains(&name.to_lowercase().as_str()) {
            v.fail::<()>("is set by the sink itself, expected another header");
        } else if v.any_text().is_some_and(|text| text.contains(|c: char| c.is_control() || !c.is_ascii())) {
            v.fail::<()>("a header's value is printable ASCII");
        }
    }
    value.text_map()
}

fn retry(value: &Value) -> Option<Retry> {
    let mut s = value.section()?;
    let initial = s.or("initial", SECOND / 5, |v| v.duration(Duration::from_millis(1), 3600 * SECOND));
    let max = s.or("max", (60 * SECOND).max(initial), |v| {
        let max = v.duration(Duration::from_millis(1), 86_400 * SECOND)?;
        if max < initial { v.fail("is less than retry.initial, expected at least that") } else { Some(max) }
    });
    s.finish();
    Some(Retry { initial, max })
}
