//! Reads a sink's `enrich:`.

use crate::{
    names::is_field_path,
    sinks::{Enrich, Geoip, UserAgent},
    value::Value,
};

pub(super) fn read(value: &Value) -> Option<Enrich> {
    let mut s = value.section()?;
    let geoip = s.get("geoip").map(|v| geoip(&v));
    let user_agent = s.get("user_agent").map(|v| user_agent(&v));
    s.finish();
    match (geoip, user_agent) {
        (None, None) => value.fail("adds nothing, expected geoip: { database: PATH } or user_agent: {}"),
        (Some(None), _) | (_, Some(None)) => None,
        (geoip, user_agent) => Some(Enrich { geoip: geoip.flatten(), user_agent: user_agent.flatten() }),
    }
}

fn user_agent(value: &Value) -> Option<UserAgent> {
    let mut s = value.section()?;
    let field = s.or("field", "user_agent.original".to_owned(), field);
    s.finish();
    Some(UserAgent { field })
}

fn field(value: &Value) -> Option<String> {
    let field = value.text()?;
    if field.len() > 200 || !is_field_path(&field) {
        return value.fail(format!("\"{field}\" is no field, expected e.g. source.ip"));
    }
    Some(field)
}

fn geoip(value: &Value) -> Option<Geoip> {
    let mut s = value.section()?;
    let field = s.or("field", "source.ip".to_owned(), field);
    let database = s.need("database", "/usr/share/GeoIP/GeoLite2-City.mmdb", Value::path);
    let asn_database = s.get("asn_database").and_then(|v| v.path());
    s.finish();
    Some(Geoip { field, database: database?, asn_database })
}
