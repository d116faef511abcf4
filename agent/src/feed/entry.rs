//! An entry of the journal as a line of the spool: what journalctl wrote, or what is left of it where that is too long.

use std::borrow::Cow;

use logmill_config::agent::OnLongLine;
use serde_json::{Map, Value};

use crate::{
    line_id::{LineId, cursor_id},
    record,
};

const CURSOR: &str = "__CURSOR";
/// Marks that are no fields of the journal's: those are upper case too, but never begin so.
const TRUNCATED: &str = "__LOGMILL_TRUNCATED";
/// In place of an entry that is to be dropped for its length.
pub(super) const TOO_LONG: &str = "{\"__LOGMILL_TOO_LONG\":\"1\"}";

/// What a line of the spool is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Spooled {
    Entry {
        id: LineId,
        truncated: bool,
    },
    /// Left out for its length.
    TooLong,
    /// No entry: what a kill cut short, to be read again from the journal.
    Torn,
}

pub(crate) fn spooled(line: &[u8]) -> Spooled {
    if line == TOO_LONG.as_bytes() {
        return Spooled::TooLong;
    }
    let Ok(text) = std::str::from_utf8(line) else { return Spooled::Torn };
    match cursor(text) {
        None => Spooled::Torn,
        Some(cursor) => Spooled::Entry {
            id: cursor_id(cursor),
            truncated: text.contains(TRUNCATED) && record::find(text, TRUNCATED).is_some(),
        },
    }
}

/// The cursor of an entry; none where the line is not a whole one.
pub(super) fn cursor(line: &str) -> Option<&str> {
    let (_, quoted) = record::find(line, CURSOR)?;
    quoted.strip_prefix('"')?.strip_suffix('"').filter(|cursor| !cursor.is_empty())
}

/// The text of a field: journalctl writes bytes that are not UTF-8 as an array of numbers, and several values of a field as an
/// array of these. Null stands for what it left out.
pub(crate) fn text(value: &Value) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text.as_bytes())),
        Value::Array(items) => match items.first() {
            Some(Value::Number(_)) => {
                let byte = |item: &Value| item.as_u64().and_then(|n| u8::try_from(n).ok());
                items.iter().map(byte).collect::<Option<Vec<u8>>>().map(Cow::Owned)
            }
            Some(first) => text(first),
            None => Some(Cow::Borrowed(b"")),
        },
        _ => None,
    }
}

/// A line whose message is longer than `most`: cut with a mark, or a stand-in if it is to be dropped. None: it is not.
pub(super) fn shortened(line: &str, most: usize, on_long_line: OnLongLine) -> Option<Vec<u8>> {
    if line.len() <= most {
        return None;
    }
    let mut entry: Map<String, Value> = serde_json::from_str(line).ok()?;
    let message = text(entry.get("MESSAGE")?)?;
    if message.len() <= most {
        return None;
    }
    if on_long_line == OnLongLine::Drop {
        return Some(TOO_LONG.into());
    }
    // Not inside a character.
    let end = (0..=most).rev().find(|end| message.get(*end).is_none_or(|b| b & 0xC0 != 0x80)).unwrap_or(most);
    let kept = String::from_utf8_lossy(&message[..end]).into_owned();
    entry.insert("MESSAGE".into(), kept.into());
    entry.insert(TRUNCATED.into(), "1".into());
    serde_json::to_vec(&entry).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_id_follows_from_the_cursor_alone() {
        let id = |line: &str| match spooled(line.as_bytes()) {
            Spooled::Entry { id, truncated: false } => id,
            other => panic!("{line}: {other:?}"),
        };
        let one = id(r#"{"__CURSOR":"s=1;i=2","MESSAGE":"a"}"#);
        assert_eq!(one, id(r#"{"MESSAGE":"\"__CURSOR\":\"x\"","__CURSOR":"s=1;i=2","_PID":"1"}"#));
        assert_ne!(one, id(r#"{"__CURSOR":"s=1;i=3","MESSAGE":"a"}"#));
        for torn in ["", "{", r#"{"__CURSOR":"s=1;i=2","MES"#, r#"{"MESSAGE":"a"}"#, r#"{"__CURSOR":""}"#, "\u{0}"] {
            assert_eq!(Spooled::Torn, spooled(torn.as_bytes()), "{torn}");
        }
    }

    #[test]
    fn long_messages_are_cut_between_characters_or_left_out() {
        let line = r#"{"__CURSOR":"c","MESSAGE":"aéé"}"#;
        assert_eq!(None, shortened(line, 5, OnLongLine::Drop), "five bytes are not more than five");
        let cut = shortened(line, 4, OnLongLine::Truncate).unwrap();
        let entry: Value = serde_json::from_slice(&cut).unwrap();
        assert_eq!("aé", entry["MESSAGE"]);
        assert_eq!(Spooled::Entry { id: cursor_id("c"), truncated: true }, spooled(&cut));
        assert_eq!(Spooled::TooLong, spooled(&shortened(line, 4, OnLongLine::Drop).unwrap()));
        let bytes = r#"{"__CURSOR":"c","MESSAGE":[97,255,98]}"#;
        assert_eq!(None, shortened(bytes, 3, OnLongLine::Truncate));
        let entry: Value = serde_json::from_slice(&shortened(bytes, 2, OnLongLine::Truncate).unwrap()).unwrap();
        assert_eq!("a\u{fffd}", entry["MESSAGE"]);
    }

    #[test]
    fn values_are_texts_bytes_or_several() {
        let of = |json: &str| {
            let value: Value = serde_json::from_str(json).unwrap();
            text(&value).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        assert_eq!(Some("a".into()), of("\"a\""));
        assert_eq!(Some("ab".into()), of("[97,98]"));
        assert_eq!(Some("x".into()), of(r#"["x","y"]"#));
        assert_eq!(Some(String::new()), of("[]"));
        assert_eq!((None, None), (of("null"), of("[300]")));
    }
}
