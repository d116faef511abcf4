//! From a line's bytes to the record's value: one JSON object with nested ECS objects.

mod ecs;
mod encode;
mod escape;
mod merge;
mod parse;
mod path_fields;
mod scan;
mod shape;
mod tag;
#[cfg(test)]
mod tests;
mod timestamp;
mod topic;

use crate::frame::Stream;

pub(crate) use encode::{Encoder, Line};
pub(crate) use parse::{JOURNAL_FIELDS, Parser};
pub(crate) use path_fields::PathFields;
pub(crate) use scan::{find, object as scan_members};
pub(crate) use shape::Shape;
pub(crate) use tag::tagged;
pub(crate) use timestamp::{canonical as canonical_time, read_time};
pub(crate) use topic::Topics;

/// What `log` says of a record beside its place: `log.flags`, `log.iostream`, `log.sample_rate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    /// Not the whole line: it was cut at a limit.
    pub(crate) truncated: bool,
    /// A piece of a line, or the beginning of an event that has more lines than it may.
    pub(crate) split: bool,
    /// It was taken as a sample and stands for this many.
    pub(crate) sample_rate: Option<u32>,
    /// Where a container wrote it.
    pub(crate) stream: Option<Stream>,
}

/// Whether a value of `@timestamp` says a time.
fn timestamp_of(value: &serde_json::Value) -> Option<timestamp::Time> {
    let kind = match value {
        serde_json::Value::String(_) => scan::Kind::String,
        serde_json::Value::Number(_) => scan::Kind::Number,
        _ => return None,
    };
    timestamp::parse(kind, &value.to_string())
}

/// The key that a field of the record gives; false when it has none.
pub(crate) fn field_key(value: &[u8], field: &str, key: &mut Vec<u8>) -> bool {
    let Some((_, text)) = std::str::from_utf8(value).ok().and_then(|v| find(v, field)) else { return false };
    if text == "null" {
        return false;
    }
    match serde_json::from_str::<String>(text) {
        Ok(string) => key.extend_from_slice(string.as_bytes()),
        Err(_) => key.extend_from_slice(text.as_bytes()),
    }
    true
}
