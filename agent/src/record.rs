//! From a line's bytes to the record's value: one JSON object with nested ECS objects.

mod ecs;
mod encode;
mod escape;
mod merge;
mod parse;
mod scan;
mod shape;
#[cfg(test)]
mod tests;
mod timestamp;

pub(crate) use encode::{Encoder, Line};
pub(crate) use parse::Parser;
pub(crate) use scan::find;
pub(crate) use shape::Shape;
pub(crate) use timestamp::read_time;

/// `log.flags` of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    /// Not the whole line: it was cut at a limit.
    pub(crate) truncated: bool,
    /// A piece of a line.
    pub(crate) split: bool,
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
