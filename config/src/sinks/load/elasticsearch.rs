//! Reads a sink's `elasticsearch:` section.

use std::{collections::BTreeMap, time::Duration};

use super::{
    KIB, MIB, SECOND,
    http::{self, Kind},
};
use crate::{
    names,
    section::Section,
    sinks::{Bulk, Compression, Elasticsearch, Id, Op, Template, Tls, Tombstones, Version},
    value::Value,
};

/// `sink` is the sink's name.
pub(super) fn read(value: &Value, sink: &str) -> Option<Elasticsearch> {
    let mut s = value.section()?;
    let hosts = s.need("hosts", "[\"http://localhost:9200\"]", |v| {
        Some(v.list("hosts")?.iter().filter_map(names::url).collect())
    });
    let (index, data_stream) = target(&mut s);
    let index = index.unwrap_or_default();
    let id = s.or("id", Id::Event, id);
    let op = op(&mut s, &id, data_stream);
    let elasticsearch = Elasticsearch {
        hosts: hosts.unwrap_or_default(),
        auth: s.get("auth").and_then(|v| http::auth(&v, Kind::Elasticsearch)),
        tls: s.or("tls", Tls::default(), |v| http::tls(v, Kind::Elasticsearch)),
        template: template(&mut s, sink, &index, data_stream),
        version: version(&mut s, &id, op),
        tombstones: tombstones(&mut s, &id, op, data_stream),
        bulk: s.or("bulk", BULK, bulk),
        compression: s.or("compression", Compression::None, |v| {
            v.choice(&[("none", Compression::None), ("gzip", Compression::Gzip)], &[])
        }),
        timeout: s.or("timeout", 90 * SECOND, |v| v.duration(SECOND, 3600 * SECOND)),
        headers: s.or("headers", BTreeMap::new(), headers),
        index,
        data_stream,
        id,
        op,
    };
    if matches!(elasticsearch.id, Id::Key | Id::Field(_)) && elasticsearch.index.contains(['%', '{']) {
        value.findings.warning(
            value.key_mark,
            &value.path,
            "the id is the user's own but the index differs from event to event: a document that moves to another index stays in the first as well",
        );
    }
    s.finish();
    Some(elasticsearch)
}

/// The index or the data stream, and which of the two it is.
fn target(s: &mut Section) -> (Option<String>, bool) {
    let stream = s.get("data_stream").map(|v| names::data_stream(&v));
    let index = s.get("index");
    let name = index.as_ref().and_then(names::index);
    match (stream, index) {
        (Some(stream), None) => (stream, true),
        (Some(_), Some(index)) => (index.fail("stands beside data_stream, expected one of them"), true),
        (None, Some(_)) => (name, false),
        (None, None) => (s.need("index", "\"app-logs-%Y.%m.%d\"", names::index), false),
    }
}

/// What a webhook can take as well.
pub(super) fn line_id(value: &Value) -> Option<Id> {
    if value.behind("field:").is_some() || value.behind("key") == Some("") {
        return value
            .fail("is shared by several events, each of which is a request of its own, expected event or record");
    }
    value.choice(&[("event", Id::Event), ("record", Id::Record)], &[])
}

fn id(value: &Value) -> Option<Id> {
    let Some(path) = value.behind("field:") else {
        let named = ("field:NAME", Id::Field("NAME".into()));
        return value.choice(&[("event", Id::Event), ("record", Id::Record), ("key", Id::Key), named], &[]);
    };
    if !names::is_field_path(path) {
        return value.fail(format!("\"field:{path}\" names no field, expected e.g. field:user.id"));
    }
    Some(Id::Field(path.to_owned()))
}

fn op(s: &mut Section, id: &Id, data_stream: bool) -> Op {
    let usual = if matches!(id, Id::Key | Id::Field(_)) && !data_stream { Op::Index } else { Op::Create };
    s.or("op", usual, |v| {
        let ops = [("create", Op::Create), ("index", Op::Index), ("update", Op::Update), ("delete", Op::Delete)];
        let op = v.choice(&ops, &[])?;
        if data_stream && op != Op::Create {
            return v.fail("is refused by a data stream, expected create");
        }
        Some(op)
    })
}

fn version(s: &mut Section, id: &Id, op: Op) -> Version {
    let takes_one = matches!(op, Op::Index | Op::Delete);
    let usual = if matches!(id, Id::Key | Id::Field(_)) && takes_one { Version::Offset } else { Version::None };
    s.or("version", usual, |v| {
        let version = v.choice(&[("offset", Version::Offset), ("none", Version::None)], &[])?;
        if version == Version::Offset && !takes_one {
            return v.fail("can only be given with op: index or delete, expected none");
        }
        Some(version)
    })
}

fn tombstones(s: &mut Section, id: &Id, op: Op, data_stream: bool) -> Tombstones {
    let by_key = *id == Id::Key;
    let usual = if by_key && op != Op::Create { Tombstones::Delete } else { Tombstones::Reject };
    let choices = [("delete", Tombstones::Delete), ("skip", Tombstones::Skip), ("reject", Tombstones::Reject)];
    s.or("tombstones", usual, |v| match v.choice(&choices, &[])? {
        Tombstones::Delete if !by_key => {
            v.fail("needs the id of the document that is to go, which a record without a value has with id: key only")
        }
        Tombstones::Delete if data_stream => v.fail("is refused by a data stream, expected skip or reject"),
        tombstones => Some(tombstones),
    })
}

fn template(s: &mut Section, sink: &str, index: &str, data_stream: bool) -> Template {
    let by_field = index.starts_with(['{', '%']);
    let usual = Template {
        put: !by_field && !index.is_empty(),
        name: format!("logmill-{}", sink.to_lowercase()),
        priority: if data_stream { 150 } else { 50 },
        retention: None,
    };
    s.or("template", usual.clone(), |v| {
        let mut s = v.section()?;
        let put = s.or("put", usual.put, |v| {
            let put = v.boolean()?;
            if put && by_field {
                return v
                    .fail("would concern every index, since the name begins with a field or a date, expected false");
            }
            Some(put)
        });
        let template = Template {
            put,
            name: s.or("name", usual.name.clone(), names::template),
            priority: s.or("priority", usual.priority, |v| v.number(0, 1_000_000)),
            retention: s.get("retention").and_then(|v| {
                let retention = v.duration(3600 * SECOND, 3650 * 86_400 * SECOND)?;
                if put { Some(retention) } else { v.fail("is part of the template, which is not put") }
            }),
        };
        s.finish();
        Some(template)
    })
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
    for (name, v) in section.entries() {
        let own = ["authorization", "content-type", "content-encoding", "content-length", "host"];
        if http::is_header_name(name, &v, &own) {
            http::header_value(&v);
        }
    }
    value.text_map()
}
