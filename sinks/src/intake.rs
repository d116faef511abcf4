//! From a Kafka record to an item of a batch: who it is meant for, decoding, and the head its destination wants.

use rdkafka::{
    Message,
    message::{BorrowedMessage, Timestamp},
};

use crate::{
    batch::{BatchBuilder, Origin, SideWriter},
    connector::{Class, Encode},
    dispatch::Rejected,
    document::Fields,
    event::{Event, Record},
    native,
};

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
    encoder: Box<dyn Encode>,
    fields: Fields,
    head: Vec<u8>,
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
    pub(crate) fn new(sink: &str, encoder: Box<dyn Encode>) -> Self {
        Self {
            sink: sink.to_owned(),
            fields: Fields::new(&encoder.fields()),
            encoder,
            head: Vec::new(),
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
        let origin = |identity| Origin { assignment, offset: record.offset, timestamp: record.timestamp, identity };
        let reject = |class, reason| {
            let mut one = BatchBuilder::default();
            one.push(origin(record.identity()), b"", b"", |side| write_side(side, &record, headers, false));
            Intake::Rejected(Rejected { record: one.finish(), class, reason })
        };
        let Some(value) = record.value else {
            return reject(Class::Decode, "the record has no value".to_owned());
        };
        if let Err(reason) = self.fields.read(value) {
            return reject(Class::Decode, reason);
        }
        // A line end inside would break the request into other lines: there it can only be white space.
        let pretty = value.contains(&b'\n');
        if pretty {
            self.compacted.clear();
            self.compacted.extend(value.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
        }
        let document = if pretty { self.compacted.as_slice() } else { value };
        let id = headers.last(b"logmill-id").and_then(|id| id.try_into().ok());
        self.head.clear();
        let event = Event { record, document, id, fields: &self.fields };
        let identity = match self.encoder.head(&event, &mut self.head) {
            Ok(identity) => identity,
            Err((class, reason)) => return reject(class, reason),
        };
        let cost =
            into.push(origin(identity), &self.head, document, |side| write_side(side, &record, headers, !pretty));
        Intake::Document(cost)
    }
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

#[cfg(test)]
mod tests;
