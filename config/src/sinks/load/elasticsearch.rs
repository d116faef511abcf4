//! Reads a sink's `elasticsearch:` section.

use std::{collections::BTreeMap, time::Duration};

use super::{
    KIB, MIB, SECOND,
    http::{self, Kind},
};
use crate::{
    names,
    sinks::{Bulk, Elasticsearch, Id, Op, Tls},
    value::Value,
};

pub(super) fn read(value: &Value) -> Option<Elasticsearch> {
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
        auth: s.get("auth").and_then(|v| http::auth(&v, Kind::Elasticsearch)),
        tls: s.or("tls", Tls::default(), |v| {
            let mut s = v.section()?;
            s.not_yet(&[("fingerprint", "use ca_file"), ("cert_file", ""), ("key_file", "")]);
            let tls = Tls { ca_file: s.get("ca_file").and_then(|v| v.path()), client: None };
            s.finish();
            Some(tls)
        }),
        index: index.unwrap_or_default(),
        id: s.or("id", Id::Event, id),
        op: s.or("op", Op::Create, |v| v.choice(&[("create", Op::Create), ("index", Op::Index)], &[])),
        bulk: s.or("bulk", BULK, bulk),
        headers: s.or("headers", BTreeMap::new(), headers),
    };
    s.finish();
    Some(elasticsearch)
}

pub(super) fn id(value: &Value) -> Option<Id> {
    if value.text()?.starts_with("field:") {
        return value.fail("field:NAME is not supported yet, expected one of: event, record");
    }
    value.choice(&[("event", Id::Event), ("record", Id::Record)], &["key", "field"])
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
        if http::is_header_name(name, &v, &["authorization", "content-type", "content-length", "host"]) {
            http::header_value(&v);
        }
    }
    value.text_map()
}
