//! A line becomes a record and is handed to the producer.

use std::{path::Path, time::Duration};

use logmill_config::agent::Key;

use super::{Engine, InputState};
use crate::{
    frame::Framing,
    ledger::Reason,
    limit::Verdict,
    line_id::{LineId, line_id},
    produce::{Outgoing, Producer, Sent, Tag},
    record::{self, Flags, Line},
    tracked::Tracked,
    transform::{self, Made, Place},
};

/// What a queued record takes beside its bytes, in librdkafka and here, roughly.
const OVERHEAD: usize = 400;
/// Names and lengths of the header and the record in a batch.
const FRAMING: usize = 80;

/// A line or a piece of one, as it is to be sent.
#[derive(Clone, Copy)]
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

/// What became of a line that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emitted {
    /// By the producer, or dropped and counted.
    Taken,
    Full,
    /// A limit lets nothing pass for so long.
    Wait(Duration),
}

impl<P: Producer> Engine<P> {
    pub(super) fn emit(&mut self, tracked: &mut Tracked, slot: usize, framing: &Framing, kept: &Kept) -> Emitted {
        let Some(generation) = tracked.generation else { return Emitted::Full };
        let Some(kept) = &self.identified(tracked, &generation, *kept) else { return Emitted::Taken };
        let InputState { config: input, parser, transform, sizes, .. } = &self.inputs[tracked.input];
        let time_ms = tracked.time_of(kept.end);
        if self.read_time.0 != time_ms {
            self.read_time = (time_ms, record::read_time(time_ms));
        }
        let id = match kept.id {
            Some(id) => id,
            None => line_id(&generation, kept.start, kept.raw, &mut self.scratch),
        };
        let bytes = &kept.raw[..kept.keep];
        let line = match framing.content(bytes, kept.start == 0, &mut self.content) {
            None => Line { bytes, offset: kept.start, flags: kept.flags, read_time: &self.read_time.1, foreign: false },
            Some(content) if content.text.is_empty() => {
                tracked.in_flight.dropped(kept.end, Reason::EmptyLine);
                self.count_read(tracked, kept.end);
                return Emitted::Taken;
            }
            Some(content) => Line {
                bytes: &content.text,
                offset: kept.start,
                flags: Flags { stream: content.stream, ..kept.flags },
                read_time: content.time.as_deref().unwrap_or(&self.read_time.1),
                foreign: content.foreign,
            },
        };
        let path = match tracked.shape.placed {
            true => tracked.path.as_os_str().as_encoded_bytes(),
            false => input.name.as_bytes(),
        };
        let own_key = if input.key == Key::File { path.len() } else { 0 };
        let room = if transform.is_some() { transform::ROOM } else { 0 };
        let limit = sizes.most(self.producer.max_record_bytes()).saturating_sub(FRAMING + own_key + room);
        let mut value = self.encoder.encode(&line, &tracked.shape, parser, limit);
        let host = self.around.host_name.as_bytes();
        let mut key = match &input.key {
            Key::None => None,
            Key::Host => Some(host),
            Key::File => Some(path),
            Key::Field(field) => {
                self.key.clear();
                if !record::field_key(value, field, &mut self.key) {
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
            return Emitted::Full;
        }
        // The last piece of a line stands for all of it.
        let gates = if kept.ends_line { tracked.limits.gates.as_slice() } else { &[] };
        let mut sample_rate = None;
        for gate in gates {
            self.gate_key.clear();
            let given = gate.field().map(|field| record::field_key(value, field, &mut self.gate_key));
            if given == Some(false) {
                continue;
            }
            let gate_key = given.map(|_| self.gate_key.as_slice());
            match gate.admit(gate_key, kept.raw.len() as u64, &id) {
                Verdict::Pass => {}
                Verdict::Sample(one_in) => sample_rate = sample_rate.max(Some(one_in)),
                Verdict::Wait(wait) => return Emitted::Wait(wait),
                Verdict::Drop(reason) => {
                    tracked.in_flight.dropped(kept.end, reason);
                    self.count_read(tracked, kept.end);
                    return Emitted::Taken;
                }
            }
        }
        if sample_rate.is_some() {
            let line = Line { flags: Flags { sample_rate, ..line.flags }, ..line };
            let limit = limit.saturating_sub(key.map_or(0, <[u8]>::len));
            value = self.encoder.encode(&line, &tracked.shape, parser, limit);
        }
        let made = transform.as_ref().map(|transform| {
            // A block of lines may take a slow program longer than the watchdog waits.
            self.around.pulse.working();
            let named = if tracked.shape.placed { tracked.path.as_path() } else { Path::new(&input.name) };
            let place = Place { path: named, offset: kept.start, time_ms, id };
            let made = transform.borrow_mut().run(&place, value, limit);
            if let Some(failure) = made.failure() {
                transform.borrow().warn(&place, failure);
            }
            made
        });
        // Counted once, however often the line is read again.
        let counted = made.as_ref().filter(|_| kept.end > tracked.counted_to);
        let counted = counted
            .map(|made| self.around.metrics.transformed.with_label_values(&[input.name.as_str(), made.outcome()]));
        match &made {
            None => {}
            Some(Made::Record { value: made, key: own }) => {
                value = made;
                key = if let Key::Field(_) = &input.key { own.as_deref() } else { key };
            }
            Some(Made::Failed { value: made, .. }) => value = made,
            Some(Made::Dropped { reason, .. }) => {
                counted.inspect(|counter| counter.inc());
                self.leave_out(tracked, kept, *reason);
                return Emitted::Taken;
            }
        }
        let cost = value.len() + key.map_or(0, <[u8]>::len) + OVERHEAD;
        let tag = Tag::new(slot, tracked.in_flight.next_sequence());
        let topic = match &self.inputs[tracked.input].topics {
            None => &input.topic,
            Some(topics) => match topics.borrow_mut().name(value, &mut self.topic) {
                Ok(()) => &self.topic,
                Err(reason) => {
                    self.around.metrics.topic_otherwise.with_label_values(&[reason.name()]).inc();
                    &input.topic
                }
            },
        };
        let sent = self.producer.send(&Outgoing { topic, key, value, id: &id, time_ms, tag });
        if sent == Sent::Taken {
            self.unhurried = true;
            counted.inspect(|counter| counter.inc());
            let cost = u32::try_from(cost).unwrap_or(u32::MAX);
            self.in_flight_bytes += u64::from(cost);
            tracked.in_flight.sent(kept.end, cost, kept.ends_line);
            if kept.ends_line {
                self.count_read(tracked, kept.end);
            }
        }
        match sent {
            Sent::Taken => Emitted::Taken,
            Sent::Full | Sent::Broken => Emitted::Full,
        }
    }

    /// The program left a record out: a line, or a piece of one, which the last piece stands for.
    fn leave_out(&mut self, tracked: &mut Tracked, kept: &Kept, reason: Reason) {
        if kept.ends_line {
            tracked.in_flight.dropped(kept.end, reason);
            self.count_read(tracked, kept.end);
        } else {
            tracked.in_flight.skipped(kept.end, false);
        }
    }
}
