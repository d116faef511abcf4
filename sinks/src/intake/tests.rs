//! What a record becomes: lines of a bulk request, a dead letter, or nothing.

use logmill_config::sinks::{Elasticsearch, Id, Op};

use super::*;
use crate::{connector::Connector, elastic::Elastic, tests::settings};

const ID: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];

fn preparer(id: Id, op: Op, index: &str) -> Preparer {
    let settings = Elasticsearch { index: index.into(), id, op, ..settings("http://localhost") };
    Preparer::new("mine", Elastic::new("mine", &settings).unwrap().encoder())
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
