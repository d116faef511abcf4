//! Writes a record's JSON straight into a reused buffer.
//!
//! A JSON line is checked and copied whole; only what must change is cut out. Where its members meet the record's own
//! objects it goes the slow way ([`super::merge`]). A record that would be larger than the limit becomes its line's
//! beginning as `message`, flagged.

use jiff::Timestamp;

use super::{
    Flags, ecs, escape, merge,
    parse::{Parsed, Parser},
    scan::{self, Kind, Member},
    shape::Shape,
    timestamp::{self, FIELDS, Time},
};

/// What a shape without a place and without content under `log` ends with.
const EMPTY_LOG: &[u8] = b",\"log\":{";

/// A line as the framer found it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// What is kept of it, without its terminator.
    pub(crate) bytes: &'a [u8],
    pub(crate) offset: u64,
    pub(crate) flags: Flags,
    /// RFC 3339 time of reading, or what the container runtime says, for a line without a time of its own.
    pub(crate) read_time: &'a str,
    /// It is not what its input's files are made of: kept whole, as a parse failure.
    pub(crate) foreign: bool,
}

/// Reused buffers.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    members: Vec<Member>,
    moved: Vec<usize>,
    out: Vec<u8>,
}

impl Encoder {
    /// The record's value, at most `limit` bytes (which must leave room for the file's own content).
    pub(crate) fn encode(&mut self, line: &Line, shape: &Shape, parser: &Parser, limit: usize) -> &[u8] {
        self.out.clear();
        let looks_like_json = || line.bytes.iter().find(|b| !matches!(b, b' ' | b'\t')) == Some(&b'{');
        let whole = !line.flags.truncated && !line.flags.split && !line.foreign;
        let parsed = match parser {
            Parser::Auto | Parser::Json if whole && looks_like_json() => match std::str::from_utf8(line.bytes) {
                Ok(text) => self.json(text, line, shape),
                Err(_) => self.json(&String::from_utf8_lossy(line.bytes), line, shape),
            },
            Parser::Fields(format) if whole || format.stays_whole() => {
                let read = line.read_time.parse().unwrap_or(Timestamp::UNIX_EPOCH);
                let parsed = format.parse(&String::from_utf8_lossy(line.bytes), read);
                parsed.is_some_and(|parsed| self.fields(parsed, line, shape))
            }
            _ => false,
        };
        if !parsed || self.out.len() > limit {
            self.out.clear();
            let fails = line.foreign || !parsed && matches!(parser, Parser::Json | Parser::Fields(_));
            match parser {
                Parser::Fields(format) => {
                    let text = format.text(line.bytes);
                    self.raw(&Line { bytes: &text, ..*line }, shape, fails, limit);
                }
                _ => self.raw(line, shape, fails, limit),
            }
        }
        &self.out
    }

    /// Writes the record of a line whose format gave fields.
    fn fields(&mut self, parsed: Parsed, line: &Line, shape: &Shape) -> bool {
        let mut time = Vec::new();
        match parsed.time {
            Some(stamp) => timestamp::append(&mut time, stamp),
            None => time.extend_from_slice(line.read_time.as_bytes()),
        }
        let record = merge::record(parsed.fields, &String::from_utf8_lossy(&time), shape, line.offset, line.flags);
        serde_json::to_writer(&mut self.out, &record).is_ok()
    }

    fn raw(&mut self, line: &Line, shape: &Shape, parse_failure: bool, limit: usize) {
        let out = &mut self.out;
        out.extend_from_slice(b"{\"@timestamp\":\"");
        out.extend_from_slice(line.read_time.as_bytes());
        out.extend_from_slice(b"\",\"message\":\"");
        const REST: usize = 128; // quotes, offset, flags and tags
        let budget = limit.saturating_sub(out.len() + shape.before_offset.len() + REST);
        let all = escape::append(out, line.bytes, budget);
        out.push(b'"');
        if parse_failure {
            out.extend_from_slice(b",\"tags\":[\"parse_failure\"]");
        }
        finish(out, shape, line.offset, Flags { truncated: line.flags.truncated || !all, ..line.flags });
    }

    /// Writes the record of a JSON line; false (and nothing written) when `text` is not one JSON object.
    fn json(&mut self, text: &str, line: &Line, shape: &Shape) -> bool {
        if !scan::object(text, &mut self.members) {
            return false;
        }
        let stamp = stamp(text, &self.members);
        self.moved.clear();
        let mut taken_out = 0;
        let mut own_labels = shape.has("labels");
        for (at, member) in self.members.iter().enumerate() {
            let key = &text[member.key.clone()];
            let object_name = ecs::is_object(key.as_bytes());
            let nested = matches!(member.kind, Kind::Object | Kind::Array { of_objects: true });
            own_labels |= key == "labels";
            if key == "@timestamp" && !matches!(stamp, Some((i, Time::Canonical)) if i == at) {
                taken_out += 1;
                if timestamp::parse(member.kind, &text[member.value.clone()]).is_none() {
                    self.moved.push(at);
                }
            } else if object_name && !nested {
                self.moved.push(at);
                taken_out += 1;
            } else if member.escaped
                || shape.has(key)
                || key.contains('.') && ecs::is_object(key.split('.').next().unwrap_or_default().as_bytes())
                || key == "message" && !matches!(member.kind, Kind::String | Kind::Number | Kind::Word)
                || self.members[..at].iter().any(|m| m.key.len() == key.len() && &text[m.key.clone()] == key)
            {
                return self.merged(text, line, shape, stamp);
            }
        }
        if !self.moved.is_empty() && own_labels {
            return self.merged(text, line, shape, stamp);
        }
        self.spliced(text, line, shape, stamp, taken_out);
        true
    }

    fn spliced(&mut self, text: &str, line: &Line, shape: &Shape, stamp: Option<(usize, Time)>, taken_out: usize) {
        let out = &mut self.out;
        let keep_own =
            matches!(stamp, Some((at, Time::Canonical)) if &text[self.members[at].key.clone()] == "@timestamp");
        out.push(b'{');
        if !keep_own {
            out.extend_from_slice(b"\"@timestamp\":\"");
            append_stamp(out, text, &self.members, stamp.as_ref(), line.read_time);
            out.push(b'"');
        }
        if taken_out == 0 {
            if let (Some(first), Some(last)) = (self.members.first(), self.members.last()) {
                if !keep_own {
                    out.push(b',');
                }
                out.extend_from_slice(&text.as_bytes()[first.key.start - 1..last.value.end]);
            }
        } else {
            for (at, member) in self.members.iter().enumerate() {
                let dropped = &text[member.key.clone()] == "@timestamp" && !keep_own;
                if dropped || self.moved.contains(&at) {
                    continue;
                }
                if out.len() > 1 {
                    out.push(b',');
                }
                out.extend_from_slice(&text.as_bytes()[member.key.start - 1..member.value.end]);
            }
        }
        if !self.moved.is_empty() {
            out.extend_from_slice(if out.len() > 1 { b",\"labels\":{" } else { b"\"labels\":{" });
            for (n, at) in self.moved.iter().enumerate() {
                let member = &self.members[*at];
                if n > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(&text.as_bytes()[member.key.start - 1..member.value.end]);
            }
            out.push(b'}');
        }
        finish(out, shape, line.offset, line.flags);
    }

    fn merged(&mut self, text: &str, line: &Line, shape: &Shape, stamp: Option<(usize, Time)>) -> bool {
        let Ok(tree) = serde_json::from_str(text) else { return false };
        let mut time = Vec::new();
        append_stamp(&mut time, text, &self.members, stamp.as_ref(), line.read_time);
        let record = merge::record(tree, &String::from_utf8_lossy(&time), shape, line.offset, line.flags);
        serde_json::to_writer(&mut self.out, &record).is_ok()
    }
}

/// The first of the time fields that says a time, and its member.
fn stamp(text: &str, members: &[Member]) -> Option<(usize, Time)> {
    FIELDS.iter().find_map(|field| {
        let at = members.iter().rposition(|m| m.key.len() == field.len() && &text[m.key.clone()] == *field)?;
        Some((at, timestamp::parse(members[at].kind, &text[members[at].value.clone()])?))
    })
}

fn append_stamp(out: &mut Vec<u8>, text: &str, members: &[Member], stamp: Option<&(usize, Time)>, read_time: &str) {
    match stamp {
        None => out.extend_from_slice(read_time.as_bytes()),
        Some((_, Time::Of(time))) => timestamp::append(out, *time),
        Some((at, Time::Canonical)) => {
            let value = &members[*at].value;
            out.extend_from_slice(&text.as_bytes()[value.start + 1..value.end - 1]);
        }
    }
}

/// The file's own content and the end of the object.
fn finish(out: &mut Vec<u8>, shape: &Shape, offset: u64, flags: Flags) {
    // The members before may be none at all ({} without a time cannot be: there is always @timestamp).
    out.extend_from_slice(&shape.before_offset);
    if shape.placed {
        append_number(out, offset);
    } else if flags == Flags::default() && out.ends_with(EMPTY_LOG) {
        out.truncate(out.len() - EMPTY_LOG.len());
        out.push(b'}');
        return;
    }
    // Without a place the flags may be the first there.
    let comma = if out.ends_with(b"{") { 1 } else { 0 };
    match (flags.truncated, flags.split) {
        (false, false) => {}
        (true, false) => out.extend_from_slice(&b",\"flags\":[\"truncated\"]"[comma..]),
        (false, true) => out.extend_from_slice(&b",\"flags\":[\"split\"]"[comma..]),
        (true, true) => out.extend_from_slice(&b",\"flags\":[\"truncated\",\"split\"]"[comma..]),
    }
    let comma = if out.ends_with(b"{") { 1 } else { 0 };
    if let Some(rate) = flags.sample_rate {
        out.extend_from_slice(&b",\"sample_rate\":"[comma..]);
        append_number(out, rate.into());
    }
    let comma = if out.ends_with(b"{") { 1 } else { 0 };
    if let Some(stream) = flags.stream {
        out.extend_from_slice(&b",\"iostream\":\""[comma..]);
        out.extend_from_slice(stream.name().as_bytes());
        out.push(b'"');
    }
    out.extend_from_slice(b"}}");
}

fn append_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
