//! A line becomes a record and is handed to the producer.

use logmill_config::agent::Key;

use super::{Engine, InputState};
use crate::{
    line_id::{LineId, line_id},
    produce::{Outgoing, Producer, Sent, Tag},
    record::{self, Flags, Line},
    tracked::Tracked,
};

/// What a queued record takes beside its bytes, in librdkafka and here, roughly.
const OVERHEAD: usize = 400;
/// Names and lengths of the header and the record in a batch.
const FRAMING: usize = 80;

/// A line or a piece of one, as it is to be sent.
pub(super) struct Kept<'a> {
    /// The line's bytes; its id is over all of them, unless `id` is given.
    pub(super) raw: &'a [u8],
    /// How many of them the record gets.
    pub(super) keep: usize,
    pub(super) start: u64,
    /// Where the file goes on after it.
    pub(super) end: u64,
    pub(super) flags: Flags,
    pub(super) ends_line: bool,
    pub(super) id: Option<LineId>,
}

impl<P: Producer> Engine<P> {
    pub(super) fn emit(&mut self, tracked: &mut Tracked, slot: usize, kept: &Kept) -> Sent {
        let Some(generation) = tracked.generation else { return Sent::Full };
        let InputState { config: input, parser, .. } = &self.inputs[tracked.input];
        let time_ms = tracked.time_of(kept.end);
        if self.read_time.0 != time_ms {
            self.read_time = (time_ms, record::read_time(time_ms));
        }
        let id = match kept.id {
            Some(id) => id,
            None => line_id(&generation, kept.start, kept.raw, &mut self.scratch),
        };
        let line =
            Line { bytes: &kept.raw[..kept.keep], offset: kept.start, flags: kept.flags, read_time: &self.read_time.1 };
        let path = tracked.path.as_os_str().as_encoded_bytes();
        let own_key = if input.key == Key::File { path.len() } else { 0 };
        let limit = self.producer.max_record_bytes().saturating_sub(FRAMING + own_key);
        let mut value = self.encoder.encode(&line, &tracked.shape, parser, limit);
        let host = self.around.host_name.as_bytes();
        let key = match &input.key {
            Key::None => None,
            Key::Host => Some(host),
            Key::File => Some(path),
            Key::Field(field) => {
                self.key.clear();
                if !field_key(value, field, &mut self.key) {
                    None
                } else {
                    if value.len() + self.key.len() > limit {
                        // The key comes from the record: what it takes, the record must leave.
                        value =
                            self.encoder.encode(&line, &tracked.shape, parser, limit.saturating_sub(self.key.len()));
                    }
                    Some(self.key.as_slice())
                }
            }
        };
        let cost = value.len() + key.map_or(0, <[u8]>::len) + OVERHEAD;
        if self.in_flight_bytes > 0 && self.in_flight_bytes + cost as u64 > self.config.buffer_bytes {
            return Sent::Full;
        }
        let tag = Tag::new(slot, tracked.in_flight.next_sequence());
        let sent = self.producer.send(&Outgoing { topic: &input.topic, key, value, id: &id, time_ms, tag });
        if sent == Sent::Taken {
            let cost = u32::try_from(cost).unwrap_or(u32::MAX);
            self.in_flight_bytes += u64::from(cost);
            tracked.in_flight.sent(kept.end, cost, kept.ends_line);
            if kept.ends_line {
                self.count_read(tracked, kept.end);
            }
        }
        sent
    }
}

/// The key that a field of the record gives; false when it has none.
fn field_key(value: &[u8], field: &str, key: &mut Vec<u8>) -> bool {
    let Some((_, text)) = std::str::from_utf8(value).ok().and_then(|v| record::find(v, field)) else { return false };
    if text == "null" {
        return false;
    }
    match serde_json::from_str::<String>(text) {
        Ok(string) => key.extend_from_slice(string.as_bytes()),
        Err(_) => key.extend_from_slice(text.as_bytes()),
    }
    true
}
