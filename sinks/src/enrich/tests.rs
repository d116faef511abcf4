//! Enrichment with databases that the tests make: one network each, in MaxMind's format, version 2.

use std::{net::IpAddr, path::Path};

use logmill_config::{
    ConfigFile,
    sinks::{Sink, SinksConfig},
};
use serde_json::{Value, json};

use super::*;

/// The network 81.2.69.0/24 with what `record` says.
pub(crate) fn write(path: &Path, record: &Value) {
    let network = [81u8, 2, 69];
    let bits: Vec<bool> = network.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let nodes = bits.len() as u32;
    let mut file = Vec::new();
    for (at, bit) in (0u32..).zip(&bits) {
        // Behind the last node comes the data, of which the separator's 16 bytes are counted.
        let next = if at + 1 < nodes { at + 1 } else { nodes + 16 };
        for side in [false, true] {
            let child = if side == *bit { next } else { nodes };
            file.extend_from_slice(&child.to_be_bytes()[1..]);
        }
    }
    file.extend_from_slice(&[0; 16]);
    encode(record, &mut file);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let metadata = json!({"binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1, "database_type": "Test",
        "description": {"en": "a test"}, "ip_version": 4, "languages": ["en"], "node_count": nodes, "record_size": 24});
    encode(&metadata, &mut file);
    std::fs::write(path, file).unwrap();
}

fn control(kind: u8, length: usize, out: &mut Vec<u8>) {
    let (size, more) = if length < 29 { (length as u8, None) } else { (29, Some((length - 29) as u8)) };
    if kind < 8 {
        out.push(kind << 5 | size);
    } else {
        out.extend([size, kind - 7]);
    }
    out.extend(more);
}

/// Numbers of the metadata have each their own type.
fn number(key: &str, number: u64, out: &mut Vec<u8>) {
    match key {
        "build_epoch" => {
            control(9, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        "node_count" | "autonomous_system_number" | "geoname_id" => {
            control(6, 4, out);
            out.extend_from_slice(&(number as u32).to_be_bytes());
        }
        _ => {
            control(5, 2, out);
            out.extend_from_slice(&(number as u16).to_be_bytes());
        }
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            control(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Number(number) if number.is_f64() => {
            control(3, 8, out);
            out.extend_from_slice(&number.as_f64().unwrap().to_be_bytes());
        }
        Value::Object(map) => {
            control(7, map.len(), out);
            for (key, value) in map {
                encode(&Value::from(key.as_str()), out);
                match value.as_u64() {
                    Some(n) => number(key, n, out),
                    None => encode(value, out),
                }
            }
        }
        Value::Array(list) => {
            control(11, list.len(), out);
            list.iter().for_each(|item| encode(item, out));
        }
        other => panic!("{other} has no place in a test"),
    }
}

fn london() -> Value {
    json!({"continent": {"code": "EU", "names": {"en": "Europe", "de": "Europa"}},
        "country": {"iso_code": "GB", "names": {"en": "United Kingdom"}, "geoname_id": 2635167},
        "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}}], "city": {"names": {"en": "London"}},
        "postal": {"code": "SW1"}, "location": {"latitude": 51.5, "longitude": -0.25, "time_zone": "Europe/London", "accuracy_radius": 10}})
}

/// A sink with both databases in `dir`.
fn sink(dir: &Path, more: &str) -> Sink {
    let (city, asn) = (dir.join("city.mmdb"), dir.join("asn.mmdb"));
    let geoip = format!("database: '{}', asn_database: '{}'{more}", city.display(), asn.display());
    let text = format!(
        "sinks: [{{ name: a, topics: [t], enrich: {{ geoip: {{ {geoip} }} }}, webhook: {{ url: 'http://h' }} }}]"
    );
    SinksConfig::parse_with("s", &text, &|_| None).unwrap_or_else(|e| panic!("{e}")).sinks.remove(0)
}

fn metrics() -> Metrics {
    Metrics::register(&prometheus::Registry::new()).unwrap()
}

#[test]
fn an_address_gets_ecs_geo_and_as_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("city.mmdb"), &london());
    write(
        &dir.path().join("asn.mmdb"),
        &json!({"autonomous_system_number": 20712, "autonomous_system_organization": "Andrews"}),
    );
    let metrics = metrics();
    let enrichment = Enrichment::open(&sink(dir.path(), ""), &metrics).unwrap().unwrap();
    let mut enricher = enrichment.enricher();
    let mut add = |value: &str| enricher.add(value.as_bytes()).map(|v| String::from_utf8(v).unwrap());
    let with = add(r#"{"n":1.10,"source":{"ip":"81.2.69.142"}}"#).unwrap();
    assert!(with.starts_with(r#"{"n":1.10,"source":{"ip":"81.2.69.142","geo":{"#), "{with}");
    let event: Value = serde_json::from_str(&with).unwrap();
    let expected = json!({"continent_code": "EU", "continent_name": "Europe", "country_iso_code": "GB", "country_name": "United Kingdom",
        "region_iso_code": "GB-ENG", "region_name": "England", "city_name": "London", "postal_code": "SW1", "timezone": "Europe/London",
        "location": {"lat": 51.5, "lon": -0.25}});
    assert_eq!(event["source"]["geo"], expected);
    assert_eq!(event["source"]["as"], json!({"number": 20712, "organization": {"name": "Andrews"}}));
    // By dotted key, and in the form of IPv6.
    assert!(add(r#"{"source.ip":"::ffff:81.2.69.1"}"#).unwrap().contains(r#""source":{"geo":{"#));
    for nothing in [
        r#"{"source":{"ip":"10.0.0.1"}}"#,
        r#"{"source":{"ip":"2001:db8::1"}}"#,
        r#"{"source":{"ip":"nobody"}}"#,
        r#"{"source":{"ip":["81.2.69.142"]}}"#,
        r#"{"client":{"ip":"81.2.69.142"}}"#,
        r#"{"source":{"ip":"81.2.69.142","geo":{},"as":{}}}"#,
    ] {
        assert_eq!(add(nothing), None, "{nothing}");
    }
    let count = |outcome| metrics.enriched.with_label_values(&["a", "geoip", outcome]).get();
    assert_eq!((count("added"), count("unknown"), count("no_address")), (2, 3, 3));
}

#[test]
fn another_field_and_a_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("city.mmdb"), &london());
    write(&dir.path().join("asn.mmdb"), &json!({}));
    let enrichment = Enrichment::open(&sink(dir.path(), ", field: ip"), &metrics()).unwrap().unwrap();
    let mut enricher = enrichment.enricher();
    let with = enricher.add(br#"{"ip":"81.2.69.7"}"#).unwrap();
    assert!(with.starts_with(br#"{"ip":"81.2.69.7","geo":{"#));
    for n in 0..20_000u32 {
        let address = IpAddr::from(n.to_be_bytes());
        let addresses = enricher.geoip.as_mut().unwrap();
        addresses.of(address);
        assert!(addresses.places.held() <= 8192);
    }
}

#[test]
fn both_add_to_one_event() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("city.mmdb"), &london());
    write(&dir.path().join("asn.mmdb"), &json!({}));
    let mut sink = sink(dir.path(), "");
    let field = "user_agent.original".to_owned();
    sink.enrich.as_mut().unwrap().user_agent = Some(UserAgent { field });
    let metrics = metrics();
    let mut enricher = Enrichment::open(&sink, &metrics).unwrap().unwrap().enricher();
    let agent =
        r#""user_agent":{"original":"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}"#;
    let mut add =
        |value: String| -> Value { serde_json::from_slice(&enricher.add(value.as_bytes()).unwrap()).unwrap() };
    let event = add(format!("{{\"source\":{{\"ip\":\"81.2.69.1\"}},{agent}}}"));
    assert_eq!(
        (&event["source"]["geo"]["city_name"], &event["user_agent"]["name"]),
        (&json!("London"), &json!("Googlebot"))
    );
    assert_eq!(add(format!("{{{agent}}}"))["user_agent"]["device"]["type"], "crawler");
    assert_eq!(add(r#"{"source":{"ip":"81.2.69.1"}}"#.to_owned())["source"]["geo"]["country_iso_code"], "GB");
    let count = |by, outcome| metrics.enriched.with_label_values(&["a", by, outcome]).get();
    assert_eq!((count("geoip", "added"), count("geoip", "no_address")), (2, 1));
    assert_eq!((count("user_agent", "added"), count("user_agent", "no_user_agent")), (2, 1));
}

#[test]
fn a_database_that_is_missing_or_none_is_a_mistake_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Enrichment::open(&sink(dir.path(), ""), &metrics()).err().unwrap().to_string();
    let words = open();
    assert!(words.starts_with("sink a: enrich.geoip: /") && words.contains("city.mmdb: No such file"), "{words}");
    std::fs::write(dir.path().join("city.mmdb"), "no database").unwrap();
    assert!(open().contains("city.mmdb: is no database of MaxMind's format"), "{}", open());
    write(&dir.path().join("city.mmdb"), &london());
    assert!(open().contains("asn.mmdb: No such file"), "{}", open());
}
