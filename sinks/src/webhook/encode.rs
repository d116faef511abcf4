//! What of a request differs from event to event, written where records are read: identity, URL, headers, body.

use logmill_config::{
    sinks::{self, Id, Order},
    template::{Meta, Part, Template},
};
use serde::de::IgnoredAny;

use crate::{
    connector::{Class, Encode, Head},
    event::Event,
};

/// Writes heads: identity, URL, each header's value and, where it is not the event itself, the body.
pub(super) struct Heads {
    url: Template,
    headers: Vec<(String, Template)>,
    body: Option<Template>,
    /// How an event's text stands in the body.
    escape: Escape,
    id: Id,
    order: Order,
    paths: Vec<String>,
}

/// How an event's text is written so that it stays one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// All but what RFC 3986 calls unreserved in percent.
    Url,
    /// As inside the quotes of a JSON string.
    Json,
    Plain,
}

impl Heads {
    pub(super) fn new(config: &sinks::Webhook) -> Self {
        let content = config.content_type.to_ascii_lowercase();
        let escape = match () {
            () if content.contains("json") => Escape::Json,
            () if content.contains("x-www-form-urlencoded") => Escape::Url,
            () => Escape::Plain,
        };
        let templates = [&config.url].into_iter().chain(config.headers.values()).chain(&config.body);
        let mut paths: Vec<_> = templates.flat_map(Template::fields).map(str::to_owned).collect();
        paths.sort();
        paths.dedup();
        Self {
            url: config.url.clone(),
            headers: config.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: config.body.clone(),
            escape,
            id: config.id.clone(),
            order: config.order,
            paths,
        }
    }

    fn render(&self, template: &Template, event: &Event<'_>, escape: Escape, out: &mut Vec<u8>) -> Result<(), String> {
        for part in template.parts() {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field(path) => {
                    let at = self.paths.binary_search(path).ok();
                    let value = at.and_then(|at| event.fields.values.get(at)?.as_deref());
                    let value =
                        value.ok_or_else(|| format!("needs {path}: no text, number or boolean in the event"))?;
                    escaped(value, escape, out);
                }
                Part::Meta(Meta::Id) => event.write_id(&self.id, out),
                Part::Meta(Meta::Key) => {
                    escaped(&String::from_utf8_lossy(event.record.key.unwrap_or_default()), escape, out);
                }
                Part::Meta(Meta::Topic) => out.extend_from_slice(event.record.topic.as_bytes()),
                Part::Meta(Meta::Partition) => out.extend_from_slice(event.record.partition.to_string().as_bytes()),
                Part::Meta(Meta::Offset) => out.extend_from_slice(event.record.offset.to_string().as_bytes()),
                Part::Meta(Meta::Timestamp) => out.extend_from_slice(event.record.timestamp.to_string().as_bytes()),
                Part::Meta(Meta::Source) => out.extend_from_slice(event.document),
            }
        }
        Ok(())
    }
}

impl Encode for Heads {
    fn fields(&self) -> Vec<String> {
        self.paths.clone()
    }

    fn head(&mut self, event: &Event<'_>, head: &mut Vec<u8>) -> Result<Head, (Class, String)> {
        let misfit = |reason: String| (Class::Template, reason);
        part(head, |out| {
            event.write_id(&self.id, out);
            Ok::<(), (Class, String)>(())
        })?;
        part(head, |out| {
            self.render(&self.url, event, Escape::Url, out).map_err(|reason| misfit(format!("webhook.url {reason}")))
        })?;
        for (name, value) in &self.headers {
            part(head, |out| {
                let wrong = |reason: String| misfit(format!("webhook.headers.{name} {reason}"));
                let start = out.len();
                self.render(value, event, Escape::Plain, out).map_err(wrong)?;
                if out.iter().skip(start).any(u8::is_ascii_control) {
                    return Err(wrong("would hold a control character".to_owned()));
                }
                Ok(())
            })?;
        }
        if let Some(body) = &self.body {
            part(head, |out| {
                let wrong = |reason: String| misfit(format!("webhook.body {reason}"));
                let start = out.len();
                self.render(body, event, self.escape, out).map_err(wrong)?;
                if self.escape == Escape::Json {
                    let rendered = out.get(start..).unwrap_or_default();
                    serde_json::from_slice::<IgnoredAny>(rendered)
                        .map_err(|e| wrong(format!("would not be JSON: {e}")))?;
                }
                Ok(())
            })?;
        }
        Ok(Head::plain(match self.order {
            Order::None => event.record.identity(),
            Order::Key => event.record.key_identity(),
            Order::Partition => event.record.partition_identity(),
        }))
    }
}

fn escaped(text: &str, escape: Escape, out: &mut Vec<u8>) {
    match escape {
        Escape::Plain => out.extend_from_slice(text.as_bytes()),
        Escape::Url => {
            for byte in text.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    out.push(byte);
                } else {
                    out.extend_from_slice(format!("%{byte:02X}").as_bytes());
                }
            }
        }
        Escape::Json => {
            let quoted = serde_json::Value::from(text).to_string();
            out.extend_from_slice(quoted.as_bytes().get(1..quoted.len() - 1).unwrap_or_default());
        }
    }
}

/// Appends what `write` writes with its length before it.
fn part<E>(head: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let start = head.len();
    head.extend_from_slice(&[0; 4]);
    write(head)?;
    let length = u32::try_from(head.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = head.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// The parts of a head, in the order they were written.
pub(super) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(super) fn of(head: &'a [u8]) -> Self {
        Self(head)
    }

    /// The next one as text.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.next()?).ok()
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        self.0 = rest;
        Some(part)
    }
}
