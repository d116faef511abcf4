//! From a Kafka record to an item of a batch: who it is meant for, decoding, and the head its destination wants.

use logmill_config::sinks::{Condition, Decode, Tombstones};
use rdkafka::message::BorrowedMessage;

use crate::{
    batch::{BatchBuilder, Origin, SideWriter},
    condition,
    connector::{Class, Encode},
    decode::Decoder,
    dispatch::Rejected,
    document::Fields,
    enrich::Enricher,
    event::{Event, Record},
    native,
    transform::{Made, Transformer},
};

/// What a record became.
pub(crate) enum Intake {
    /// In the batch, at this cost.
    Document(usize),
    /// Meant for another sink, not what this one's condition holds for, or without a value where that means nothing.
    Filtered,
    Rejected(Rejected),
}

/// Turns records into items for one sink.
pub(crate) struct Preparer {
    sink: String,
    decoder: Decoder,
    when: Option<Condition>,
    transformer: Option<Transformer>,
    enricher: Option<Enricher>,
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
    pub(crate) fn new(sink: &str, when: Option<Condition>, encoder: Box<dyn Encode>) -> Self {
        Self {
            sink: sink.to_owned(),
            decoder: Decoder::default(),
            when,
            transformer: None,
            enricher: None,
            fields: Fields::new(&encoder.fields()),
            encoder,
            head: Vec::new(),
            compacted: Vec::new(),
            headers: Headers::default(),
        }
    }

    /// What values are.
    pub(crate) fn with_decode(self, decode: Decode) -> Self {
        Self { decoder: Decoder::new(decode), ..self }
    }

    /// Changes what meets the condition.
    pub(crate) fn with_transformer(self, transformer: Option<Transformer>) -> Self {
        Self { transformer, ..self }
    }

    /// Adds to what came of that.
    pub(crate) fn with_enricher(self, enricher: Option<Enricher>) -> Self {
        Self { enricher, ..self }
    }

    /// Takes in a polled message, which `record` is of.
    pub(crate) fn message(
        &mut self,
        message: &BorrowedMessage<'_>,
        record: Record<'_>,
        assignment: u32,
        into: &mut BatchBuilder,
    ) -> Intake {
        self.headers.clear();
        let mut headers = std::mem::take(&mut self.headers);
        native::headers(message, |name, value| headers.add(name, value));
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
            one.push(origin(record.identity()), [b""; 3], |side| write_side(side, &record, headers, false));
            Intake::Rejected(Rejected { record: one.finish(), class, reason })
        };
        let raw = self.decoder.is_raw();
        let value = match record.value {
            Some(value) => {
                let event = if raw { self.decoder.event(&record, value) } else { Ok(value) };
                match event.and_then(|event| self.fields.read(event).map(|()| event)) {
                    Ok(event) => event,
                    Err(reason) => return reject(Class::Decode, reason),
                }
            }
            None => match self.encoder.tombstones() {
                Tombstones::Reject => return reject(Class::Decode, "the record has no value".to_owned()),
                Tombstones::Skip => return Intake::Filtered,
                Tombstones::Delete => {
                    self.fields.clear();
                    b""
                }
            },
        };
        // What a record without a value was about is not known: it goes its way.
        if let (Some(when), Some(_)) = (&self.when, record.value) {
            match condition::holds(when, &record, value) {
                Ok(true) => {}
                Ok(false) => return Intake::Filtered,
                Err(reason) => return reject(Class::Decode, reason),
            }
        }
        let id = headers.last(b"logmill-id").and_then(|id| id.try_into().ok());
        let mut changed = None;
        if let (Some(transformer), Some(_)) = (&mut self.transformer, record.value) {
            match transformer.run(&record, id, value) {
                Made::Event(event) => changed = Some(event),
                Made::Same => {}
                Made::Dropped => return Intake::Filtered,
                Made::Failed(reason) => return reject(Class::Transform, reason),
            }
        }
        if let (Some(enricher), Some(_)) = (&mut self.enricher, record.value)
            && let Some(enriched) = enricher.add(changed.as_deref().unwrap_or(value))
        {
            changed = Some(enriched);
        }
        if let Some(changed) = &changed
            && let Err(reason) = self.fields.read(changed)
        {
            return reject(Class::Decode, reason);
        }
        let (value, own) = changed.as_deref().map_or((value, !raw), |changed| (changed, false));
        // A line end inside would break the request into other lines: there it can only be white space.
        let pretty = value.contains(&b'\n');
        if pretty {
            self.compacted.clear();
            self.compacted.extend(value.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
        }
        let document = if pretty { self.compacted.as_slice() } else { value };
        let first =
            headers.last(b"logmill-replay-offset").and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        self.head.clear();
        let event = Event { record, document, position: first.unwrap_or(record.offset), id, fields: &self.fields };
        let head = match self.encoder.head(&event, &mut self.head) {
            Ok(head) => head,
            Err((class, reason)) => return reject(class, reason),
        };
        let (document, is_value) = if head.document { (document, own && !pretty) } else { (&b""[..], false) };
        let parts = [self.head.as_slice(), document, head.tail];
        let cost = into.push(origin(head.identity), parts, |side| write_side(side, &record, headers, is_value));
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
