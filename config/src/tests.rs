//! The loader as its users see it: reference files, exact error texts, no panic on any input.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod expressions;
mod sources;
mod transform;

use std::time::Duration;

use proptest::prelude::*;

use crate::{
    ConfigFile,
    agent::{self, AgentConfig},
    broker::BrokerConfig,
    index::IndexConfig,
    kind,
    sinks::{self, Compression, Op, SinksConfig, Start, Template, Tombstones, Version},
};

fn no_env(_: &str) -> Option<String> {
    None
}

#[track_caller]
fn agent_errors(text: &str, expected: &str) {
    let errors = AgentConfig::parse_with("agent.yaml", text, &no_env).unwrap_err().to_string();
    assert_eq!(errors, expected.trim());
}

#[test]
fn reference_files_say_what_is_the_default() {
    let agent = AgentConfig::parse_with("agent.yaml", AgentConfig::REFERENCE, &no_env).unwrap();
    assert_eq!(agent.inputs.len(), 2);
    assert_eq!(agent.inputs[0].include, ["./logs/**/*.log"]);
    assert_eq!(agent.inputs[1].read_from, agent::ReadFrom::End);
    let bare = "inputs: [{ name: app, include: ['./logs/**/*.log'], exclude: ['**/*.tmp'], topic: logs.app }]";
    let mut bare = AgentConfig::parse_with("a", bare, &no_env).unwrap();
    bare.inputs.push(agent.inputs[1].clone());
    assert_eq!(bare, agent);

    let broker = BrokerConfig::parse_with("broker.yaml", BrokerConfig::REFERENCE, &no_env).unwrap();
    assert_eq!(broker, BrokerConfig::parse_with("b", "", &no_env).unwrap());

    let index = IndexConfig::parse_with("index.yaml", IndexConfig::REFERENCE, &no_env).unwrap();
    assert_eq!(index, IndexConfig::parse_with("i", "", &no_env).unwrap());

    let sinks = SinksConfig::parse_with("sinks.yaml", SinksConfig::REFERENCE, &no_env).unwrap();
    let bare = "sinks: [{ name: app-logs, topics: [logs.app], dead_letters: { topic: logs.app.dead },
        elasticsearch: { hosts: ['http://localhost:9200'], index: app-logs-%Y.%m.%d } }]";
    assert_eq!(sinks, SinksConfig::parse_with("s", bare, &no_env).unwrap());
}

#[test]
fn a_preset_gives_way_to_what_is_set() {
    let input = "inputs: [{ name: app, include: ['/l/*.log'], topic: logs.app }]";
    let read = |keys: &str| {
        let config = AgentConfig::parse_with("a", &format!("{keys}\n{input}"), &no_env).unwrap();
        (config.preset.linger().as_millis(), config.buffer_bytes >> 20)
    };
    assert_eq!(read(""), (10, 16));
    assert_eq!(read("preset: throughput"), (100, 64));
    assert_eq!(read("preset: low-latency"), (1, 16));
    assert_eq!(read("preset: throughput\nbuffer_bytes: 8MiB"), (100, 8));
    let wrong = AgentConfig::parse_with("a", &format!("preset: fast\n{input}"), &no_env).unwrap_err().to_string();
    assert!(wrong.contains("expected one of"), "{wrong}");
}

#[test]
fn every_mistake_at_once() {
    agent_errors(
        "\
state_dir: 7
kafka:
  brokers: [localhost]
  compresion: lz4
  properties: { acks: 1, linger.ms: 5 }
inputs:
  - name: app
    include: [\"/var/log/[a\"]
    topik: logs.app
    key: feild:user
    parse: csv
    multiline: { start: x, end: y }
    encoding: utf8
    max_line_bytes: 64K
    limits:
      - { per: hots, lines_per_second: 0, sample_one_in: 5 }
  - name: app
    include: /var/log/*.log
    topic: 'logs app'
metrics: localhost:9601
rescan_interval: 10
",
        r#"
agent.yaml:3:13: kafka.brokers[0]: "localhost" is not HOST:PORT, did you mean "localhost:9092"?
agent.yaml:4:3: kafka.compresion: unknown key, did you mean "compression"?
agent.yaml:5:23: kafka.properties.acks: cannot be set, since delivery without loss hangs on it: it is always all
agent.yaml:7:5: inputs[0].topic: missing, expected e.g. "topic: logs.app"
agent.yaml:8:15: inputs[0].include[0]: "/var/log/[a" is not a glob: unclosed character class; missing ']'
agent.yaml:9:5: inputs[0].topik: unknown key, did you mean "topic"?
agent.yaml:10:10: inputs[0].key: "feild:user" is not known, expected one of: none, host, file, field:NAME
agent.yaml:11:12: inputs[0].parse: "csv" is not known, expected one of: auto, raw, json, logfmt, nginx, apache, syslog
agent.yaml:12:5: inputs[0].multiline: expected one of: preset, start, continue, continue_next, end
agent.yaml:13:15: inputs[0].encoding: "utf8" is not known, did you mean "utf-8"?
agent.yaml:14:21: inputs[0].max_line_bytes: "64K" is not a size, expected a whole number with a unit such as 64KiB or 5MB, did you mean "64KiB"?
agent.yaml:16:16: inputs[0].limits[0].per: "hots" is not known, did you mean "host"?
agent.yaml:16:40: inputs[0].limits[0].lines_per_second: 0 is out of range, expected 1 to 4294967295
agent.yaml:16:58: inputs[0].limits[0].sample_one_in: is for on_exceed: sample
agent.yaml:17:11: inputs[1].name: "app" is used twice, expected a name of its own
agent.yaml:18:14: inputs[1].include: expected a list, did you mean ["/var/log/*.log"]?
agent.yaml:19:12: inputs[1].topic: "logs app" is not a topic name, expected only ASCII letters, digits, ".", "_" and "-"
agent.yaml:20:10: metrics: "localhost:9601" is not an address to listen on, expected IP:PORT such as 127.0.0.1:9092, did you mean "127.0.0.1:9601"?
agent.yaml:21:18: rescan_interval: "10" is not a duration, expected a whole number with a unit such as 250ms, 10s, 5m, 1h or 7d, did you mean "10s" or "10ms"?
"#,
    );
}

#[test]
fn structure() {
    agent_errors(
        "",
        "agent.yaml:1:1: inputs: missing, expected e.g. \"inputs: [{ name: app, include: [\"/var/log/app/*.log\"], topic: logs.app }]\"",
    );
    agent_errors(
        "state_dir: /a\nstate_dir: /b\ninputs: [{name: a, include: [a], topic: b}]",
        "agent.yaml:2:1: state_dir: duplicate key, first given on line 1",
    );
    agent_errors("inputs: []", "agent.yaml:1:9: inputs: the list is empty, expected at least one of inputs");
    agent_errors("inputs: 5", "agent.yaml:1:9: inputs: expected a list, did you mean [\"5\"]?");
    agent_errors("a: &x 1\nb: *x", "\
agent.yaml:1:1: inputs: missing, expected e.g. \"inputs: [{ name: app, include: [\"/var/log/app/*.log\"], topic: logs.app }]\"
agent.yaml:1:1: a: unknown key, expected one of: inputs, preset, buffer_bytes, state_dir, kafka, limits, host_name, max_cpu_percent, rescan_interval, max_open_files, max_deleted_bytes, metrics, shutdown_timeout
agent.yaml:2:1: b: unknown key, expected one of: inputs, preset, buffer_bytes, state_dir, kafka, limits, host_name, max_cpu_percent, rescan_interval, max_open_files, max_deleted_bytes, metrics, shutdown_timeout
agent.yaml:2:4: b: aliases (*name) are not supported, write the value out");
    agent_errors(
        "inputs: [{name: \"${NAME}\", include: [a], topic: b}]",
        "agent.yaml:1:17: inputs[0].name: environment variable NAME is not set and has no default, write ${NAME:-value} to give one",
    );
    let errors = AgentConfig::parse_with("agent.yaml", "inputs: [{name: ${NAME}}]", &no_env).unwrap_err().to_string();
    assert!(errors.ends_with(", quote a value with ${…} inside {} or []"), "{errors}");
    let deep = format!("inputs: {}", "[".repeat(40));
    let errors = AgentConfig::parse_with("agent.yaml", &deep, &no_env).unwrap_err().to_string();
    assert!(errors.contains("nested deeper than 32 levels"), "{errors}");
    let errors = AgentConfig::parse_with("agent.yaml", "inputs: [\n", &no_env).unwrap_err().to_string();
    assert!(errors.starts_with("agent.yaml:2:1: not valid YAML: "), "{errors}");
}

#[test]
fn sinks_mistakes() {
    let text = "\
sinks:
  - name: a
    topics: [in, '^([']
    transform: { program: '.x = 1', file: /a.vrl, on_error: ignore }
    elasticsearch: { hosts: [localhost:9200], index: Logs-%Y-%q, id: keys }
    dead_letters: { topic: in }
  - name: b
    group: a
    topics: [in]
    webhook: { url: 'http://{host}/x', batch: 5, headers: { x: '{a}', Host: b }, auth: { api_key: k }, sign: { secret: whsec_! }, statuses: { done: [409], retry: [409] } }
kafka: { sasl: {}, properties: { group.id: x } }
";
    let errors = SinksConfig::parse_with("sinks.yaml", text, &no_env).unwrap_err().to_string();
    assert_eq!(
        errors,
        r#"sinks.yaml:3:18: sinks[0].topics[1]: "^([" is not a regular expression: unclosed character class
sinks.yaml:4:43: sinks[0].transform.file: stands beside program, expected one of them
sinks.yaml:4:61: sinks[0].transform.on_error: "ignore" is not known, expected one of: dead_letter, drop, pass
sinks.yaml:5:30: sinks[0].elasticsearch.hosts[0]: "localhost:9200" is not a URL, did you mean "http://localhost:9200"?
sinks.yaml:5:54: sinks[0].elasticsearch.index: "%q" is not a date part, expected %Y, %m, %d, %H, %j, %G, %V or %y
sinks.yaml:5:70: sinks[0].elasticsearch.id: "keys" is not known, did you mean "key"?
sinks.yaml:6:28: sinks[0].dead_letters.topic: "in" is read by this sink, expected another topic for its dead letters
sinks.yaml:8:12: sinks[1].group: group "a" is also that of sink "a", each would get only a part of the records, expected a group of its own
sinks.yaml:10:21: sinks[1].webhook.url: holds a field before its path, expected a fixed scheme, host and port
sinks.yaml:10:64: sinks[1].webhook.headers.x: differs from event to event, which a batch of 5 cannot, expected batch: 1
sinks.yaml:10:77: sinks[1].webhook.headers.Host: is set by the sink itself, expected another header
sinks.yaml:10:82: sinks[1].webhook.auth: expected either bearer, or user and password
sinks.yaml:10:90: sinks[1].webhook.auth.api_key: unknown key, expected one of: bearer, user, password
sinks.yaml:10:120: sinks[1].webhook.sign.secret: begins with whsec_, after which base64 is expected
sinks.yaml:10:163: sinks[1].webhook.statuses.retry: 409 is also in another list, expected it in one
sinks.yaml:11:10: kafka.sasl: not supported yet, until then set librdkafka's own security.protocol, ssl.* and sasl.* in kafka.properties
sinks.yaml:11:44: kafka.properties.group.id: cannot be set, since delivery without loss hangs on it: use group of the sink"#
    );
}

#[test]
fn a_sink_delivers_to_one_place() {
    for (outputs, expected) in [
        ("", "says nowhere to deliver to"),
        ("elasticsearch: { hosts: ['http://h'], index: a }, webhook: { url: 'http://h' }", "delivers to two places"),
        ("transform: {}, file: { path: /a/b }", "transform: has no program"),
        ("transform: '', file: { path: /a/b }", "transform: expected text, found an empty value"),
        ("decode: text, file: { path: /a/b }", "decode: \"text\" is not known, expected one of: json, raw"),
        ("enrich: {}, file: { path: /a/b }", "enrich: adds nothing"),
        ("enrich: { user_agent: { field: 'a b' } }, file: { path: /a/b }", "\"a b\" is no field"),
        ("enrich: { geoip: { field: a..b, database: /x } }, file: { path: /a/b }", "\"a..b\" is no field"),
        ("enrich: { geoip: {} }, file: { path: /a/b }", "enrich.geoip.database: missing"),
        ("webhook: { url: 'http://h/{_ip}' }", "expected a field or one of: _id, _key"),
        ("webhook: { url: 'h/x' }", "did you mean \"http://h/x\"?"),
        ("webhook: { url: 'http://u:p@h/x' }", "expected those under auth"),
        (
            "webhook: { url: 'http://h', format: ndjson, batch: 2, body: 'a', content_type: text/plain }",
            "only make JSON",
        ),
        ("webhook: { url: 'http://h', rate: { burst: 2 } }", "requests_per_second: missing"),
        ("webhook: { url: 'http://h', tls: { cert_file: a } }", "cert_file and key_file together"),
        ("file: { path: /a/ }", "names no file"),
        ("file: { path: /a/b, max_bytes: 1KiB }", "out of range, expected 4KiB"),
        ("file: { path: /a/b, compression: lz4 }", "expected one of: none, gzip, zstd"),
        ("file: { path: /a/b } }, { name: b, topics: [t], file: { path: /a/b }", "is written by another sink"),
    ] {
        let text = format!("sinks: [{{ name: a, topics: [t], {outputs} }}]");
        let errors = SinksConfig::parse_with("s", &text, &no_env).unwrap_err().to_string();
        assert!(errors.contains(expected), "{outputs}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn conditions_are_checked_whole() {
    let when = |when: &str| {
        let text = format!("sinks: [{{ name: a, topics: [t], when: {when}, webhook: {{ url: 'http://h' }} }}]");
        SinksConfig::parse_with("s", &text, &no_env).map(|c| c.sinks[0].when.clone()).map_err(|e| e.to_string())
    };
    let equals = |field: &str| sinks::Condition::Equals(sinks::Subject::Field(field.into()), "1".into());
    assert_eq!(when("{ equals: { a.b: 1 } }"), Ok(Some(equals("a.b"))));
    assert_eq!(when("{ equals: { a: 1, b: 1 } }"), Ok(Some(sinks::Condition::And(vec![equals("a"), equals("b")]))));
    for (wrong, expected) in [
        ("{}", "sinks[0].when: says nothing, expected one of: equals"),
        ("error", "expected a section"),
        ("{ equal: { a: 1 } }", "did you mean \"equals\"?"),
        ("{ equals: {} }", "names no field"),
        ("{ equals: { a: [1] } }", "expected text, found a list"),
        ("{ equals: { _ip: 1 } }", "expected a field, _key or _topic"),
        ("{ has_fields: [a..b] }", "\"a..b\" is no field"),
        ("{ regexp: { a: '([' } }", "is not a regular expression: unclosed"),
        ("{ range: { a: {} } }", "has no bound"),
        ("{ range: { a: { gt: x } } }", "\"x\" is not a number"),
        ("{ range: { a: { over: 1 } } }", "unknown key"),
        ("{ or: [] }", "the list is empty"),
        ("{ not: { and: [{ contains: { a: '' } }] } }", "when.not.and[0].contains.a: expected text"),
    ] {
        let errors = when(wrong).unwrap_err();
        assert!(errors.contains(expected), "{wrong}: {errors}");
    }
}

#[test]
fn webhooks_are_read() {
    let text = "sinks: [{ name: a, topics: [t], webhook: { url: 'https://h/{user.id}?t={_topic}', sign: { secret: whsec_AQI= },
        rate: { requests_per_second: 5 }, order: key, idempotency_header: none } }]";
    let config = SinksConfig::parse_with("s", text, &no_env).unwrap();
    let sinks::Output::Webhook(webhook) = &config.sinks[0].output else { panic!() };
    assert_eq!((webhook.batch, webhook.concurrency, webhook.idempotency_header.as_deref()), (1, 4, None));
    assert_eq!(webhook.sign.as_ref().unwrap().secret, [1, 2]);
    assert_eq!(webhook.rate.unwrap().burst.get(), 5);
    assert_eq!(webhook.order, sinks::Order::Key);
    assert_eq!(webhook.url.fields().collect::<Vec<_>>(), ["user.id"]);
    assert!(!format!("{webhook:?}").contains("[1, 2]"), "a secret is not shown");
}

#[test]
fn broker_mistakes() {
    let text = "\
listeners: [ { listen: ':9092' }, { listen: '127.0.0.1:9092', advertise: kafka }, { listen: '127.0.0.1:9092' } ]
durability: fsynk
more_data_dirs: [/var/lib/logmill-broker/more]
topics: { auto_create: yes, partitions: 0, retention: 7 }
";
    let errors = BrokerConfig::parse_with("broker.yaml", text, &no_env).unwrap_err().to_string();
    assert_eq!(
        errors,
        r#"broker.yaml:1:24: listeners[0].listen: ":9092" is not an address to listen on, expected IP:PORT such as 127.0.0.1:9092, did you mean "127.0.0.1:9092" (this machine only) or "0.0.0.0:9092"?
broker.yaml:1:74: listeners[1].advertise: "kafka" is not HOST:PORT, did you mean "kafka:9092"?
broker.yaml:1:93: listeners[2].listen: 127.0.0.1:9092 is used by another listener
broker.yaml:2:13: durability: "fsynk" is not known, did you mean "fsync"?
broker.yaml:3:18: more_data_dirs[0]: "/var/lib/logmill-broker/more" is the same as "/var/lib/logmill-broker" or within it
broker.yaml:4:24: topics.auto_create: expected true or false, found "yes", did you mean "true"?
broker.yaml:4:41: topics.partitions: 0 is out of range, expected 1 to 10000
broker.yaml:4:55: topics.retention: "7" is not a duration, expected a whole number with a unit such as 250ms, 10s, 5m, 1h or 7d, did you mean "7s" or "7ms"?"#
    );
}

#[test]
fn values_are_read() {
    let env = |name: &str| (name == "RATE").then(|| "50".to_owned());
    let text = "
inputs:
  - name: app
    include: [a.log]
    topic: t
    key: field:user.id
    limits: [{ lines_per_second: '${RATE}', bytes_per_second: 5MiB, burst: 7 }]
    fields: { service.name: checkout, tier: 3, canary: true, zip: '01234', ratio: 0.5, tags: [a, b] }
kafka: { brokers: ['kafka-1:9092', '[::1]:9093'], properties: { linger.ms: 5 } }
shutdown_timeout: 250ms
";
    let agent = AgentConfig::parse_with("a", text, &env).unwrap();
    let input = &agent.inputs[0];
    assert_eq!(input.key, agent::Key::Field("user.id".into()));
    assert_eq!(input.limits[0].lines_per_second, Some(50));
    assert_eq!(input.limits[0].bytes_per_second, Some(5 << 20));
    assert_eq!(input.limits[0].burst, Some(7));
    assert_eq!(
        serde_json::to_string(&input.fields).unwrap(),
        r#"{"canary":true,"ratio":0.5,"service.name":"checkout","tags":["a","b"],"tier":3,"zip":"01234"}"#
    );
    assert_eq!(agent.kafka.brokers, ["kafka-1:9092", "[::1]:9093"]);
    assert_eq!(agent.kafka.properties["linger.ms"], "5");
    assert_eq!(agent.shutdown_timeout, Duration::from_millis(250));
}

#[test]
fn operations_follow_the_id_and_contradictions_are_said() {
    let read = |more: &str| {
        let text = format!("sinks: [{{ name: App, topics: [t], elasticsearch: {{ hosts: ['http://h'], {more} }} }}]");
        let checked = SinksConfig::check("s", &text, &no_env).map_err(|e| e.to_string())?;
        let warnings = checked.warnings.len();
        Ok::<_, String>((checked.config.sinks[0].output.elasticsearch().unwrap().clone(), warnings))
    };
    let (usual, _) = read("index: a").unwrap();
    assert_eq!((usual.op, usual.version, usual.tombstones), (Op::Create, Version::None, Tombstones::Reject));
    let template = Template { put: true, name: "logmill-app".into(), priority: 50, retention: None };
    assert_eq!((usual.template, usual.data_stream), (template, false));
    let start = |start: &str| {
        let text = format!("sinks: [{{ name: a, topics: [t], start: {start}, file: {{ path: /a }} }}]");
        SinksConfig::parse_with("s", &text, &no_env).unwrap().sinks[0].start
    };
    assert_eq!((start("latest"), start("earliest")), (Start::Latest, Start::Earliest));
    assert_eq!(start("2026-11-21T07:16:47Z"), Start::Time(1_795_245_407_000));
    let (by_key, _) = read("index: a, id: key").unwrap();
    assert_eq!((by_key.op, by_key.version, by_key.tombstones), (Op::Index, Version::Offset, Tombstones::Delete));
    let (update, warnings) = read("index: 'a-%Y', id: 'field:user.id', op: update").unwrap();
    assert_eq!((update.version, update.tombstones, warnings), (Version::None, Tombstones::Reject, 1));
    let (stream, _) = read("data_stream: logs-app-default, id: key, template: { retention: 30d }").unwrap();
    assert_eq!((stream.index.as_str(), stream.data_stream, stream.op), ("logs-app-default", true, Op::Create));
    assert_eq!((stream.template.priority, stream.template.retention), (150, Some(Duration::from_secs(30 * 86_400))));
    assert!(!read("index: '{service.name}-x'").unwrap().0.template.put);
    let colons = "ab:".repeat(31) + "CD";
    let (tls, _) = read(&format!("index: a, compression: gzip, tls: {{ fingerprint: '{colons}' }}")).unwrap();
    assert_eq!((tls.tls.fingerprint.unwrap()[31], tls.compression), (0xcd, Compression::Gzip));
    for (more, expected) in [
        ("data_stream: a, index: b", "index: stands beside data_stream"),
        ("data_stream: a, op: index", "op: is refused by a data stream, expected create"),
        ("data_stream: 'a-%Y'", "a data stream's name has no date"),
        ("index: a, version: offset", "version: can only be given with op: index or delete"),
        ("index: a, tombstones: delete", "tombstones: needs the id"),
        ("data_stream: a, id: key, tombstones: delete", "tombstones: is refused by a data stream"),
        ("index: a, id: 'field:'", "\"field:\" names no field"),
        ("index: '{a}', template: { put: true }", "template.put: would concern every index"),
        ("index: a, template: { put: false, retention: 3d }", "which is not put"),
        ("index: a, template: { name: A }", "is no template's name"),
        ("index: a, tls: { fingerprint: abc }", "expected SHA-256 as 64 hexadecimal digits"),
        (
            "index: a }, start: soon, retry: { max: 60s",
            "start: \"soon\" is no start, expected earliest, latest or a time",
        ),
        ("index: a, tls: { key_file: a }", "cert_file and key_file together"),
    ] {
        let error = read(more).unwrap_err();
        assert!(error.contains(expected), "{more}: {error}");
    }
    let text = "sinks: [{ name: a, topics: [t], webhook: { url: 'http://h', id: key } }]";
    let error = SinksConfig::parse_with("s", text, &no_env).unwrap_err().to_string();
    assert!(error.contains("webhook.id: is shared by several events"), "{error}");
}

#[test]
fn a_name_elasticsearch_takes_for_a_data_stream_is_a_warning() {
    let text = "sinks: [{ name: a, topics: [t], elasticsearch: { hosts: ['http://h'], index: 'logs-app-%Y' } }]";
    let checked = SinksConfig::check("s", text, &no_env).unwrap();
    assert_eq!(checked.warnings.len(), 1);
    assert!(checked.warnings[0].describe("s").starts_with("s:1:78: sinks[0].elasticsearch.index: matches logs-*-*"));
}

#[test]
fn files_are_told_apart() {
    assert_eq!(kind::detect(AgentConfig::REFERENCE, "x"), Some(kind::Kind::Agent));
    assert_eq!(kind::detect(BrokerConfig::REFERENCE, "x"), Some(kind::Kind::Broker));
    assert_eq!(kind::detect(SinksConfig::REFERENCE, "x"), Some(kind::Kind::Sinks));
    assert_eq!(kind::detect(IndexConfig::REFERENCE, "x"), Some(kind::Kind::Index));
    assert_eq!(kind::detect("", "my-agent"), Some(kind::Kind::Agent));
    assert_eq!(kind::detect("metrics: x", "config"), None);
}

#[test]
fn files_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.yaml");
    let error = AgentConfig::load(&missing).unwrap_err().to_string();
    assert_eq!(error, format!("{}: cannot open: no such file or directory", missing.display()));
    let bad = dir.path().join("bad.yaml");
    std::fs::write(&bad, b"inputs:\n  - \xff\n").unwrap();
    assert!(AgentConfig::load(&bad).unwrap_err().to_string().ends_with("line 2 is not valid UTF-8"));
    std::fs::write(&bad, vec![b' '; 1 << 21]).unwrap();
    assert!(
        AgentConfig::load(&bad).unwrap_err().to_string().ends_with("larger than 1MiB, which no configuration file is")
    );
}

/// Pieces that make YAML, so that random texts get past the first line.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("inputs:"),
        Just("sinks:"),
        Just("kafka:"),
        Just("- "),
        Just("\n"),
        Just("\n  "),
        Just("\n    "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(": "),
        Just("name"),
        Just("topic"),
        Just("include"),
        Just("limits"),
        Just("${"),
        Just("}"),
        Just("${A:-b}"),
        Just("&a "),
        Just("*a"),
        Just("!!str "),
        Just("? "),
        Just("|\n"),
        Just(">-\n"),
        Just("'"),
        Just("\""),
        Just("\\"),
        Just("#"),
        Just("---\n"),
        Just("...\n"),
        Just("\t"),
        Just("%Y"),
        Just("5MiB"),
        Just("-1"),
        Just("99999999999999999999"),
        Just("é"),
        Just("\u{feff}"),
        Just("<<"),
        Just("elasticsearch:"),
        Just("index:"),
        Just("hosts:"),
        Just("listeners:"),
        Just("topics:"),
        Just("~"),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|v| v.concat())
}

proptest! {
    #[test]
    fn no_text_panics_the_loader(text in prop_oneof![pieces(), any::<String>()]) {
        let _ = AgentConfig::parse_with("f", &text, &no_env).map_err(|e| e.to_string());
        let _ = BrokerConfig::parse_with("f", &text, &no_env).map_err(|e| e.to_string());
        let _ = SinksConfig::parse_with("f", &text, &no_env).map_err(|e| e.to_string());
        let _ = IndexConfig::parse_with("f", &text, &no_env).map_err(|e| e.to_string());
        let _ = kind::detect(&text, "f");
    }

    #[test]
    fn no_slip_in_a_reference_file_panics_the_loader(at in 0usize..4000, insert in "[ -~\n]{0,3}", cut in 0usize..40) {
        for reference in [AgentConfig::REFERENCE, SinksConfig::REFERENCE, BrokerConfig::REFERENCE] {
            let chars: Vec<char> = reference.chars().collect();
            let at = at.min(chars.len());
            let text: String = chars[..at].iter().copied().chain(insert.chars()).chain(chars[(at + cut).min(chars.len())..].iter().copied()).collect();
            let _ = AgentConfig::parse_with("f", &text, &no_env).map_err(|e| e.to_string());
            let _ = SinksConfig::parse_with("f", &text, &no_env).map_err(|e| e.to_string());
            let _ = BrokerConfig::parse_with("f", &text, &no_env).map_err(|e| e.to_string());
        }
    }
}

#[test]
fn a_topic_with_fields_has_one_for_the_others() {
    let with = |keys: &str| format!("inputs:\n  - name: app\n    include: [/x/*.log]\n{keys}");
    let both = "    topic: \"logs.{service.name}\"\n    topic_otherwise: logs.other\n    max_topics: 7\n";
    let input = AgentConfig::parse_with("a", &with(both), &no_env).unwrap().inputs.remove(0);
    let by = input.topic_by.unwrap();
    assert_eq!((input.topic.as_str(), by.most), ("logs.other", 7));
    assert_eq!(by.template.fields().collect::<Vec<_>>(), ["service.name"]);
    for (keys, fault) in [
        ("    topic: \"logs.{service.name}\"\n", "expected topic_otherwise beside it"),
        ("    topic: logs.app\n    max_topics: 7\n", "is for a topic with fields"),
        ("    topic: \"logs.{a b}\"\n", "is not a topic name"),
        ("    topic: \"logs.{_id}\"\n    topic_otherwise: x\n", "is not known in a topic"),
        ("    topic: \"lögs.{a}\"\n    topic_otherwise: x\n", "is not a topic name"),
    ] {
        let error = AgentConfig::parse_with("a", &with(keys), &no_env).unwrap_err().to_string();
        assert!(error.contains(fault), "{keys}: {error}");
    }
}
