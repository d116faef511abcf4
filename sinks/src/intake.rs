//! From a Kafka record to an item of a bulk request: decoding, `_id`, index name, and who it is meant for.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::BytesMut;
use logmill_config::sinks::{Id, Op};
use rdkafka::{
    Message,
    message::{BorrowedMessage, Timestamp},
};

use crate::{
    batch::{BatchBuilder, Origin, SideWriter},
    connector::Class,
    dispatch::Rejected,
    document::Fields,
    event_time::Hour,
    index_name::{IndexNames, IndexTemplate},
    native,
};

/// A record as Kafka hands it over, without librdkafka's types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Kafka timestamp in ms, -1 for none.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

/// What a record became.
pub(crate) enum Intake {
    /// In the batch, at this cost.
    Document(usize),
    /// Meant for another sink.
    Filtered,
    Rejected(Rejected),
}

/// Turns records into items for one sink.
pub(crate) struct Preparer {
    sink: String,
    id: Id,
    action: &'static str,
    fields: Fields,
    names: IndexNames,
    compacted: Vec<u8>,
    headers: Headers,
}

/// Headers of the record at hand, in one buffer that is used again.
#[derive(Default)]
pub(crate) struct Headers {
    bytes: Vec<u8>,
    ranges: Vec<(usize, usize, Option<usize>)>,
}

impl Headers {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ranges.clear();
    }

    pub(crate) fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.ranges.push((start, middle, value.map(|_| self.bytes.len())));
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.ranges.iter().map(|(start, middle, end)| {
            let value = end.and_then(|end| self.bytes.get(*middle..end));
            (self.bytes.get(*start..*middle).unwrap_or_default(), value)
        })
    }

    fn last(&self, wanted: &[u8]) -> Option<&[u8]> {
        self.iter().filter(|(name, _)| *name == wanted).last().and_then(|(_, value)| value)
    }
}

impl Preparer {
    pub(crate) fn new(sink: &str, template: IndexTemplate, id: Id, op: Op) -> Self {
        Self {
            sink: sink.to_owned(),
            id,
            action: match op {
                Op::Create => "{\"create\":{\"_index\":\"",
                Op::Index => "{\"index\":{\"_index\":\"",
            },
            fields: Fields::new(template.fields()),
            names: IndexNames::new(template),
            compacted: Vec::new(),
            headers: Headers::default(),
        }
    }

    /// Takes in a polled message.
    pub(crate) fn message(
        &mut self,
        message: &BorrowedMessage<'_>,
        assignment: u32,
        into: &mut BatchBuilder,
    ) -> Intake {
        self.headers.clear();
        let mut headers = std::mem::take(&mut self.headers);
        native::headers(message, |name, value| headers.add(name, value));
        let timestamp = match message.timestamp() {
            Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) => millis,
            Timestamp::NotAvailable => -1,
        };
        let record = Record {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp,
            key: message.key(),
            value: message.payload(),
        };
        let intake = self.record(record, &headers, assignment, into);
        self.headers = headers;
        intake
    }

    pub(crate) fn record(
        &mut self,
        record: Record<'_>,
        headers: &Headers,
        assignment: u32,
        into: &mut BatchBuilder,
    ) -> Intake {
        if headers.last(b"logmill-replay-sink").is_some_and(|sink| sink != self.sink.as_bytes()) {
            return Intake::Filtered;
        }
        let event: Option<[u8; 16]> = match self.id {
            Id::Event => headers.last(b"logmill-id").and_then(|id| id.try_into().ok()),
            Id::Record => None,
        };
        let origin = |identity| Origin { assignment, offset: record.offset, timestamp: record.timestamp, identity };
        let by_record = record_identity(&record);
        let reject = |class, reason| {
            let mut one = BatchBuilder::default();
            one.push(origin(by_record), |_| {}, b"", |side| write_side(side, &record, headers, false));
            Intake::Rejected(Rejected { record: one.finish(), class, reason })
        };
        let Some(value) = record.value else {
            return reject(Class::Decode, "the record has no value".to_owned());
        };
        if let Err(reason) = self.fields.read(value) {
            return reject(Class::Decode, reason);
        }
        let hour = self.fields.time.unwrap_or_else(|| Hour::from_millis(record.timestamp.max(0)));
        let index = match self.names.name(hour, &self.fields.values) {
            Ok(index) => index,
            Err(reason) => return reject(Class::IndexName, reason),
        };
        // A line end inside would break the request into other lines: there it can only be white space.
        let pretty = memchr(value);
        if pretty {
            self.compacted.clear();
            self.compacted.extend(value.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
        }
        let document = if pretty { self.compacted.as_slice() } else { value };
        let identity = event.map_or(by_record, u128::from_be_bytes);
        let action = self.action;
        let cost = into.push(
            origin(identity),
            |line| {
                line.extend_from_slice(action.as_bytes());
                line.extend_from_slice(index.as_bytes());
                line.extend_from_slice(b"\",\"_id\":\"");
                write_id(line, event, &record);
                line.extend_from_slice(b"\"}}");
            },
            document,
            |side| write_side(side, &record, headers, !pretty),
        );
        Intake::Document(cost)
    }
}

fn memchr(value: &[u8]) -> bool {
    value.contains(&b'\n')
}

fn write_side(side: &mut SideWriter<'_>, record: &Record<'_>, headers: &Headers, as_document: bool) {
    side.key(record.key);
    if as_document {
        side.value_as_document();
    } else {
        side.value(record.value);
    }
    for (name, value) in headers.iter() {
        side.header(name, value);
    }
}

/// 22 characters of base64url, or topic-partition-offset-timestamp (a topic's name needs no escape in JSON).
fn write_id(line: &mut BytesMut, event: Option<[u8; 16]>, record: &Record<'_>) {
    match event {
        Some(id) => {
            let mut text = [0u8; 22];
            if URL_SAFE_NO_PAD.encode_slice(id, &mut text).is_ok() {
                line.extend_from_slice(&text);
            }
        }
        None => {
            let id = format!("{}-{}-{}-{}", record.topic, record.partition, record.offset, record.timestamp);
            line.extend_from_slice(id.as_bytes());
        }
    }
}

/// Equal for the same record of the same topic, whatever assignment read it.
fn record_identity(record: &Record<'_>) -> u128 {
    let mut hasher = DefaultHasher::new();
    (record.topic, record.partition).hash(&mut hasher);
    (u128::from(hasher.finish()) << 64) | u128::from(record.offset.unsigned_abs())
}

#[cfg(test)]
mod tests;
