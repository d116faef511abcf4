//! Reads a sink's `webhook:` section.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    KIB, MIB, SECOND, elasticsearch,
    http::{self, Kind},
};
use crate::{
    names,
    section::Section,
    sinks::{Format, Id, Method, Order, Rate, Scheme, Sign, Statuses, Tls, Webhook},
    template::{Part, Template},
    value::Value,
};

pub(super) fn read(value: &Value) -> Option<Webhook> {
    let mut s = value.section()?;
    let batch = s.or("batch", 1, |v| v.number(1usize, 10_000));
    let url = s.need("url", "\"http://localhost:8080/events\"", |v| {
        let url = names::url_template(v)?;
        one_for_all(v, &url, batch)
    });
    let format =
        s.or("format", Format::Array, |v| v.choice(&[("array", Format::Array), ("ndjson", Format::Ndjson)], &[]));
    let json = if batch > 1 && format == Format::Ndjson { "application/x-ndjson" } else { "application/json" };
    let methods = [("POST", Method::Post), ("PUT", Method::Put), ("PATCH", Method::Patch)];
    let content_type = s.or("content_type", json.to_owned(), http::header_value);
    let webhook = Webhook {
        method: s.or("method", Method::Post, |v| v.choice(&methods, &[])),
        batch,
        format,
        linger: s.or("linger", Duration::from_millis(200), |v| v.duration(Duration::ZERO, 3600 * SECOND)),
        max_bytes: s.or("max_bytes", MIB, |v| v.size(KIB, 100 * MIB)),
        body: s.get("body").and_then(|v| body(&v, batch, format, &content_type)),
        content_type,
        auth: s.get("auth").and_then(|v| http::auth(&v, Kind::Webhook)),
        sign: s.get("sign").and_then(|v| sign(&v)),
        tls: s.or("tls", Tls::default(), |v| http::tls(v, Kind::Webhook)),
        timeout: s.or("timeout", 30 * SECOND, |v| v.duration(Duration::from_millis(10), 600 * SECOND)),
        concurrency: s.or("concurrency", 4, |v| v.number(1, 256)),
        rate: s.get("rate").and_then(|v| rate(&v)),
        order: s.or("order", Order::None, |v| {
            v.choice(&[("none", Order::None), ("key", Order::Key), ("partition", Order::Partition)], &[])
        }),
        id: s.or("id", Id::Event, elasticsearch::line_id),
        idempotency_header: s.or("idempotency_header", Some("idempotency-key".to_owned()), |v| {
            v.word("none", None).or_else(|| {
                let name = v.text()?;
                Some(http::is_header_name(&name, v, &OWN).then_some(name))
            })
        }),
        headers: s.or("headers", BTreeMap::new(), |v| headers(v, batch)),
        statuses: s.or("statuses", Statuses::default(), statuses),
        url: url.unwrap_or_default(),
    };
    s.finish();
    Some(webhook)
}

/// Headers that have keys of their own or that HTTP needs for itself.
const OWN: [&str; 6] = ["authorization", "content-type", "content-length", "host", "connection", "transfer-encoding"];

fn template(value: &Value) -> Option<Template> {
    Template::parse(&value.any_text()?).map_err(|reason| value.fail::<()>(reason)).ok()
}

/// Several bodies are joined to one, which only JSON can be.
fn body(value: &Value, batch: usize, format: Format, content_type: &str) -> Option<Template> {
    let body = template(value)?;
    if batch > 1 && !content_type.to_ascii_lowercase().contains("json") {
        return value.fail(format!("is one of {batch} in a request, which only make JSON, expected batch: 1"));
    }
    let lines = |part: &Part| matches!(part, Part::Text(text) if text.contains('\n'));
    if batch > 1 && format == Format::Ndjson && body.parts().iter().any(lines) {
        return value.fail("is a line of its request, expected no line end in it");
    }
    Some(body)
}

/// Events of one request share it.
fn one_for_all(value: &Value, template: &Template, batch: usize) -> Option<Template> {
    if batch > 1 && !template.is_constant() {
        return value.fail(format!("differs from event to event, which a batch of {batch} cannot, expected batch: 1"));
    }
    Some(template.clone())
}

fn headers(value: &Value, batch: usize) -> Option<BTreeMap<String, Template>> {
    let section = value.section()?;
    let mut headers = BTreeMap::new();
    for (name, v) in section.entries() {
        if http::is_header_name(name, &v, &OWN)
            && http::header_value(&v).is_some()
            && let Some(template) = template(&v)
            && let Some(template) = one_for_all(&v, &template, batch)
        {
            headers.insert(name.to_owned(), template);
        }
    }
    Some(headers)
}

fn sign(value: &Value) -> Option<Sign> {
    let mut s = value.section()?;
    let schemes = [("standard-webhooks", Scheme::StandardWebhooks), ("hub-sha256", Scheme::HubSha256)];
    let scheme = s.or("scheme", Scheme::StandardWebhooks, |v| v.choice(&schemes, &[]));
    let secret = s.need("secret", "\"${WEBHOOK_SECRET}\"", |v| {
        let text = v.text()?;
        match text.strip_prefix("whsec_") {
            None => Some(text.into_bytes()),
            Some(key) => match STANDARD.decode(key) {
                Ok(key) if !key.is_empty() => Some(key),
                _ => v.fail("begins with whsec_, after which base64 is expected"),
            },
        }
    });
    s.finish();
    Some(Sign { scheme, secret: secret? })
}

fn rate(value: &Value) -> Option<Rate> {
    let mut s = value.section()?;
    let number = |v: &Value| v.number(1u32, 1_000_000).and_then(NonZeroU32::new);
    let requests_per_second = s.need("requests_per_second", "50", number);
    let burst = s.get("burst").and_then(|v| number(&v));
    s.finish();
    let requests_per_second = requests_per_second?;
    Some(Rate { requests_per_second, burst: burst.unwrap_or(requests_per_second) })
}

fn statuses(value: &Value) -> Option<Statuses> {
    let mut s = value.section()?;
    let mut taken = Vec::new();
    let mut list = |s: &mut Section, key| {
        s.or(key, Vec::new(), |v| {
            let list: Vec<u16> = v.any_list("statuses")?.iter().filter_map(|v| v.number(200u16, 599)).collect();
            if let Some(twice) = list.iter().find(|status| taken.contains(*status)) {
                return v.fail(format!("{twice} is also in another list, expected it in one"));
            }
            taken.extend(&list);
            Some(list)
        })
    };
    let statuses = Statuses {
        done: list(&mut s, "done"),
        retry: list(&mut s, "retry"),
        reject: list(&mut s, "reject"),
        pause: list(&mut s, "pause"),
    };
    s.finish();
    Some(statuses)
}
