//! What a record becomes: lines of a bulk request, a dead letter, or nothing.

use logmill_config::{
    ConfigFile,
    sinks::{Elasticsearch, Id, Op, SinksConfig, Tombstones, Version},
};

use super::*;
use crate::{
    connector::Connector,
    destination,
    tests::{elastic, settings},
};

const ID: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];

fn preparer(id: Id, op: Op, index: &str) -> Preparer {
    let settings = Elasticsearch { index: index.into(), id, op, ..settings("http://localhost") };
    Preparer::new("mine", None, elastic(&settings).unwrap().encoder())
}

fn headers(list: &[(&[u8], Option<&[u8]>)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in list {
        headers.add(name, *value);
    }
    headers
}

fn record(value: Option<&[u8]>) -> Record<'_> {
    Record { topic: "logs.app", partition: 3, offset: 42, timestamp: 1_795_245_407_000, key: Some(b"k"), value }
}

fn lines(preparer: &mut Preparer, record: Record<'_>, headers: &Headers) -> Result<String, (Class, String)> {
    let mut builder = BatchBuilder::default();
    match preparer.record(record, headers, 1, &mut builder) {
        Intake::Document(cost) => {
            let batch = builder.finish();
            assert_eq!(batch.items[0].cost, cost);
            assert_eq!(batch.original(&batch.items[0]).value.as_deref(), record.value);
            Ok(String::from_utf8(batch.body.to_vec()).unwrap())
        }
        Intake::Filtered => Ok("filtered".into()),
        Intake::Rejected(rejected) => {
            assert!(builder.is_empty());
            let original = rejected.record.original(&rejected.record.items[0]);
            assert_eq!((original.value.as_deref(), original.key.as_deref()), (record.value, record.key));
            Err((rejected.class, rejected.reason))
        }
    }
}

#[test]
fn the_event_s_identity_and_time_make_id_and_index() {
    let mut preparer = preparer(Id::Event, Op::Create, "app-%Y.%m.%d");
    let value = br#"{"@timestamp":"1971-02-03T04:05:06Z","message":"m"}"#;
    let with_id = headers(&[(b"logmill-id", Some(&ID))]);
    assert_eq!(
        lines(&mut preparer, record(Some(value)), &with_id).unwrap(),
        "{\"create\":{\"_index\":\"app-1971.02.03\",\"_id\":\"AAECAwQFBgcICQoLDA0O_w\"}}\n{\"@timestamp\":\"1971-02-03T04:05:06Z\",\"message\":\"m\"}\n"
    );
    for other in [headers(&[]), headers(&[(b"logmill-id", Some(b"short"))]), headers(&[(b"logmill-id", None)])] {
        let lines = lines(&mut preparer, record(Some(b"{}")), &other).unwrap();
        assert_eq!(lines, "{\"create\":{\"_index\":\"app-2026.11.21\",\"_id\":\"logs.app-3-42-1795245407000\"}}\n{}\n");
    }
}

#[test]
fn by_record_ignores_the_header_and_index_replaces() {
    let mut preparer = preparer(Id::Record, Op::Index, "{service.name}");
    let with_id = headers(&[(b"logmill-id", Some(&ID))]);
    assert_eq!(
        lines(&mut preparer, record(Some(br#"{"service":{"name":"shop"}}"#)), &with_id).unwrap(),
        "{\"index\":{\"_index\":\"shop\",\"_id\":\"logs.app-3-42-1795245407000\"}}\n{\"service\":{\"name\":\"shop\"}}\n"
    );
}

#[test]
fn a_pretty_document_stays_one_line_and_its_original_whole() {
    let mut preparer = preparer(Id::Event, Op::Create, "a");
    let lines = lines(&mut preparer, record(Some(b"{\n \"a\": \"b\\nc\"\r\n}")), &headers(&[])).unwrap();
    assert!(lines.ends_with("\n{  \"a\": \"b\\nc\"\r }\n"), "{lines}");
    assert_eq!(lines.matches('\n').count(), 2);
}

#[test]
fn what_is_no_document_is_a_dead_letter() {
    let mut preparer = preparer(Id::Event, Op::Create, "{service.name}");
    let cases: [(Option<&[u8]>, Class); 6] = [
        (None, Class::Decode),
        (Some(b""), Class::Decode),
        (Some(b"plain text"), Class::Decode),
        (Some(b"{\"a\":\"\xff\"}"), Class::Decode),
        (Some(b"{}"), Class::IndexName),
        (Some(br#"{"service":{"name":"Not Lower"}}"#), Class::IndexName),
    ];
    for (value, class) in cases {
        let (found, reason) = lines(&mut preparer, record(value), &headers(&[])).unwrap_err();
        assert_eq!(found, class, "{reason}");
        assert!(!reason.is_empty());
    }
}

#[test]
fn a_replay_is_only_for_the_sink_it_names() {
    let mut preparer = preparer(Id::Event, Op::Create, "a");
    let other = headers(&[(b"logmill-replay-sink", Some(b"other"))]);
    assert_eq!(lines(&mut preparer, record(Some(b"not json")), &other).unwrap(), "filtered");
    let mine = headers(&[(b"logmill-replay-sink", Some(b"mine"))]);
    assert!(lines(&mut preparer, record(Some(b"{}")), &mine).unwrap().starts_with("{\"create\""));
}

fn own_ids(id: Id, op: Op, version: Version, tombstones: Tombstones) -> Preparer {
    let settings = Elasticsearch { index: "a".into(), id, op, version, tombstones, ..settings("http://localhost") };
    Preparer::new("mine", None, elastic(&settings).unwrap().encoder())
}

#[test]
fn ids_of_the_user_s_own_with_the_offset_as_version() {
    let mut by_key = own_ids(Id::Key, Op::Index, Version::Offset, Tombstones::Delete);
    let keyed = |value, key| Record { key, ..record(value) };
    assert_eq!(
        lines(&mut by_key, keyed(Some(b"{}"), Some("a\"\u{e9}\n".as_bytes())), &headers(&[])).unwrap(),
        "{\"index\":{\"_index\":\"a\",\"_id\":\"a\\\"\u{e9}\\n\",\"version\":42,\"version_type\":\"external\"}}\n{}\n"
    );
    // A dead letter that comes again is no newer than it was.
    let replayed = headers(&[(b"logmill-replay-sink", Some(b"mine")), (b"logmill-replay-offset", Some(b"7"))]);
    assert!(lines(&mut by_key, record(Some(b"{}")), &replayed).unwrap().contains("\"version\":7,"));
    assert_eq!(
        lines(&mut by_key, record(None), &headers(&[])).unwrap(),
        "{\"delete\":{\"_index\":\"a\",\"_id\":\"k\",\"version\":42,\"version_type\":\"external\"}}\n"
    );
    for key in [None, Some(&b""[..]), Some(b"\xff"), Some(&[b'x'; 513])] {
        let (class, reason) = lines(&mut by_key, keyed(Some(b"{}"), key), &headers(&[])).unwrap_err();
        assert_eq!(class, Class::Id, "{reason}");
    }

    let mut by_field = own_ids(Id::Field("user.id".into()), Op::Update, Version::None, Tombstones::Skip);
    assert_eq!(
        lines(&mut by_field, record(Some(b"{\"user\":{\"id\":5}}")), &headers(&[])).unwrap(),
        "{\"update\":{\"_index\":\"a\",\"_id\":\"5\",\"retry_on_conflict\":3}}\n{\"doc_as_upsert\":true,\"doc\":{\"user\":{\"id\":5}}}\n"
    );
    assert_eq!(lines(&mut by_field, record(None), &headers(&[])).unwrap(), "filtered");
    assert_eq!(lines(&mut by_field, record(Some(b"{}")), &headers(&[])).unwrap_err().0, Class::Id);

    let mut gone = own_ids(Id::Key, Op::Delete, Version::None, Tombstones::Delete);
    let expected = "{\"delete\":{\"_index\":\"a\",\"_id\":\"k\"}}\n";
    assert_eq!(lines(&mut gone, record(Some(b"{\n}")), &headers(&[])).unwrap(), expected);
}

#[test]
fn equal_ids_have_equal_identities() {
    let mut by_field = own_ids(Id::Field("n".into()), Op::Index, Version::Offset, Tombstones::Reject);
    let mut identity = |value: &[u8], offset| {
        let mut builder = BatchBuilder::default();
        let record = Record { offset, ..record(Some(value)) };
        assert!(matches!(by_field.record(record, &headers(&[]), 1, &mut builder), Intake::Document(_)));
        builder.finish().items[0].identity
    };
    let first = identity(b"{\"n\":1}", 1);
    assert_eq!(first, identity(b"{\"n\":\"1\",\"x\":2}", 9));
    assert_ne!(first, identity(b"{\"n\":2}", 1));
}

#[test]
fn a_condition_filters_what_is_one_object() {
    let text = "sinks: [{ name: mine, topics: [t], when: { equals: { a: 1 } }, elasticsearch: { hosts: ['http://h'], index: a, id: key } }]";
    let config = SinksConfig::parse_with("s", text, &|_| None).unwrap();
    let sink = &config.sinks[0];
    let mut preparer = Preparer::new("mine", sink.when.clone(), destination::encoder(sink).unwrap());
    let mut of = |value: Option<&[u8]>| lines(&mut preparer, record(value), &headers(&[]));
    assert!(of(Some(b"{\"a\":1}")).unwrap().ends_with("\n{\"a\":1}\n"));
    assert_eq!(of(Some(b"{\"a\":2}")).unwrap(), "filtered");
    assert_eq!(of(Some(b"{\"a\":2")).unwrap_err().0, Class::Decode);
    assert!(of(None).unwrap().starts_with("{\"delete\""), "whose it was is not known");
}

#[test]
fn what_is_added_names_the_index_and_the_original_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("country.mmdb");
    crate::enrich::tests::write(&path, &serde_json::json!({"country": {"iso_code": "gb"}}));
    let text = format!(
        "sinks: [{{ name: mine, topics: [t], enrich: {{ geoip: {{ field: client.ip, database: '{}' }} }},
            elasticsearch: {{ hosts: ['http://h'], index: 'visits-{{client.geo.country_iso_code}}' }} }}]",
        path.display()
    );
    let config = SinksConfig::parse_with("s", &text, &|_| None).unwrap();
    let sink = &config.sinks[0];
    let metrics = crate::metrics::Metrics::register(&prometheus::Registry::new()).unwrap();
    let enrichment = crate::enrich::Enrichment::open(sink, &metrics).unwrap().unwrap();
    let encoder = destination::encoder(sink).unwrap();
    let mut preparer = Preparer::new("mine", None, encoder).with_enricher(Some(enrichment.enricher()));
    // The dead letter's value is looked at by `lines`.
    let known = record(Some(b"{\"client\":{\"ip\":\"81.2.69.1\"},\n\"n\":1.0}"));
    let text = lines(&mut preparer, known, &headers(&[])).unwrap();
    assert!(text.contains("\"_index\":\"visits-gb\""), "{text}");
    assert!(
        text.ends_with("\n{\"client\":{\"ip\":\"81.2.69.1\",\"geo\":{\"country_iso_code\":\"gb\"}}, \"n\":1.0}\n"),
        "{text}"
    );
    let unknown = record(Some(b"{\"client\":{\"ip\":\"10.0.0.1\"}}"));
    assert_eq!(lines(&mut preparer, unknown, &headers(&[])).unwrap_err().0, Class::IndexName);
}

fn configured(keys: &str) -> Preparer {
    let text = format!(
        "sinks: [{{ name: mine, topics: [t], {keys}, elasticsearch: {{ hosts: ['http://h'], index: 'a-%Y.%m.%d' }} }}]"
    );
    let config = SinksConfig::parse_with("s", &text, &|_| None).unwrap_or_else(|e| panic!("{e}"));
    let sink = &config.sinks[0];
    let metrics = crate::metrics::Metrics::register(&prometheus::Registry::new()).unwrap();
    let processors = crate::processors::Processors::open(sink, &metrics).unwrap();
    processors.preparer(destination::encoder(sink).unwrap())
}

#[test]
fn a_value_that_is_text_becomes_an_event_and_the_original_stays() {
    let mut raw = configured("decode: raw");
    // The dead letter's value is looked at by `lines`.
    let event = lines(&mut raw, record(Some(b"plain \"text\"\n")), &headers(&[])).unwrap();
    let id = "logs.app-3-42-1795245407000";
    assert_eq!(
        event,
        format!(
            "{{\"create\":{{\"_index\":\"a-2026.11.21\",\"_id\":\"{id}\"}}}}\n{{\"@timestamp\":\"2026-11-21T07:16:47.000Z\",\"message\":\"plain \\\"text\\\"\\n\"}}\n"
        )
    );
    for value in [&b""[..], b"{\"a\":1}", b"[1]", b"\xff\xfe"] {
        assert!(lines(&mut raw, record(Some(value)), &headers(&[])).unwrap().contains("\"message\":\""));
    }
    assert_eq!(lines(&mut raw, record(None), &headers(&[])).unwrap_err().0, Class::Decode, "nothing is no text");
    let replayed = |sink: &'static [u8]| headers(&[(b"logmill-replay-sink", Some(sink))]);
    assert!(lines(&mut raw, record(Some(b"x")), &replayed(b"mine")).unwrap().contains("\"message\":\"x\""));
    assert_eq!(lines(&mut raw, record(Some(b"x")), &replayed(b"other")).unwrap(), "filtered");
}

#[test]
fn conditions_and_programs_see_the_event_of_a_text() {
    let mut raw = configured(
        "decode: raw, when: { regexp: { message: '^level' } }, transform: '. = merge(., parse_key_value!(.message)); .n = to_int!(.n); .k = %key'",
    );
    let event = lines(&mut raw, record(Some(b"level=warn n=5")), &headers(&[])).unwrap();
    let (_, event) = event.split_once('\n').unwrap();
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    assert_eq!((&event["level"], &event["n"], &event["k"]), (&"warn".into(), &5.into(), &"k".into()));
    assert_eq!(event["message"], "level=warn n=5");
    assert_eq!(lines(&mut raw, record(Some(b"other")), &headers(&[])).unwrap(), "filtered");
    assert_eq!(lines(&mut raw, record(Some(b"level=warn n=x")), &headers(&[])).unwrap_err().0, Class::Transform);
    let mut passes = configured("decode: raw, transform: { program: '. = parse_json!(.message)', on_error: pass }");
    assert!(lines(&mut passes, record(Some(b"{\"a\":1}")), &headers(&[])).unwrap().ends_with("\n{\"a\":1}\n"));
    let text = lines(&mut passes, record(Some(b"a=1")), &headers(&[])).unwrap();
    assert!(text.ends_with("Z\",\"message\":\"a=1\"}\n"), "{text}");
}
