//! Checks that a line is one JSON object (RFC 8259, strictly) and finds its members, without building a tree.

use std::ops::Range;

use super::escape::plain_len;

/// Deeper nesting is not taken for JSON: Elasticsearch allows 20 levels of fields.
const MAX_DEPTH: u32 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Number,
    /// true, false or null.
    Word,
    Object,
    /// The kind of its first element decides where it may stand.
    Array {
        of_objects: bool,
    },
}

/// One `"key": value` of the object; ranges into the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Between the quotes.
    pub(crate) key: Range<usize>,
    /// With its quotes or brackets.
    pub(crate) value: Range<usize>,
    pub(crate) kind: Kind,
    /// The key has escapes: what is between the quotes is not its text.
    pub(crate) escaped: bool,
}

/// Fills `members` with the members of the object that `text` is; false when it is not one JSON object.
pub(crate) fn object(text: &str, members: &mut Vec<Member>) -> bool {
    members.clear();
    let bytes = text.as_bytes();
    let start = space(bytes, 0);
    match object_at(bytes, start, 0, &mut |m| members.push(m)) {
        Some(end) => space(bytes, end) == bytes.len(),
        None => false,
    }
}

/// The value at a dotted path of an encoded record.
pub(crate) fn find<'a>(record: &'a str, path: &str) -> Option<(Kind, &'a str)> {
    let mut members = Vec::new();
    let mut text = record;
    let mut segments = path.split('.').peekable();
    while let Some(segment) = segments.next() {
        if !object(text, &mut members) {
            return None;
        }
        let member = members.iter().rev().find(|m| &text[m.key.clone()] == segment)?;
        text = &text[member.value.clone()];
        if segments.peek().is_none() {
            return Some((member.kind, text));
        }
    }
    None
}

fn space(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count()
}

fn object_at(bytes: &[u8], at: usize, depth: u32, found: &mut dyn FnMut(Member)) -> Option<usize> {
    if bytes.get(at) != Some(&b'{') || depth > MAX_DEPTH {
        return None;
    }
    let mut at = space(bytes, at + 1);
    if bytes.get(at) == Some(&b'}') {
        return Some(at + 1);
    }
    loop {
        let (key_end, escaped) = string(bytes, at)?;
        let key = at + 1..key_end - 1;
        at = space(bytes, key_end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        let start = space(bytes, at + 1);
        let (end, kind) = value(bytes, start, depth)?;
        found(Member { key, value: start..end, kind, escaped });
        at = space(bytes, end);
        match bytes.get(at)? {
            b',' => at = space(bytes, at + 1),
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

fn value(bytes: &[u8], at: usize, depth: u32) -> Option<(usize, Kind)> {
    match bytes.get(at)? {
        b'"' => Some((string(bytes, at)?.0, Kind::String)),
        b'{' => Some((object_at(bytes, at, depth + 1, &mut |_| ())?, Kind::Object)),
        b'[' => array(bytes, at, depth + 1),
        b't' => word(bytes, at, b"true"),
        b'f' => word(bytes, at, b"false"),
        b'n' => word(bytes, at, b"null"),
        _ => number(bytes, at),
    }
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Option<(usize, Kind)> {
    bytes[at..].starts_with(word).then_some((at + word.len(), Kind::Word))
}

fn array(bytes: &[u8], at: usize, depth: u32) -> Option<(usize, Kind)> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut at = space(bytes, at + 1);
    if bytes.get(at) == Some(&b']') {
        return Some((at + 1, Kind::Array { of_objects: false }));
    }
    let of_objects = bytes.get(at) == Some(&b'{');
    loop {
        at = space(bytes, value(bytes, at, depth)?.0);
        match bytes.get(at)? {
            b',' => at = space(bytes, at + 1),
            b']' => return Some((at + 1, Kind::Array { of_objects })),
            _ => return None,
        }
    }
}

fn digits(bytes: &[u8], at: usize) -> Option<usize> {
    let count = bytes[at.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
    (count > 0).then_some(at + count)
}

fn number(bytes: &[u8], mut at: usize) -> Option<(usize, Kind)> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits(bytes, at + 1 + sign)?;
    }
    Some((at, Kind::Number))
}

/// The place after the string that begins at `at`, and whether it has escapes.
fn string(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let (mut at, mut escaped) = (at + 1, false);
    loop {
        at += plain_len(&bytes[at..]);
        match bytes.get(at)? {
            b'"' => return Some((at + 1, escaped)),
            b'\\' => {
                escaped = true;
                at = escape(bytes, at)?;
            }
            // A control character.
            _ => return None,
        }
    }
}

fn escape(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => match hex4(bytes, at + 2)? {
            // Half a surrogate pair is no character: no reader of the record could decode it.
            0xD800..=0xDBFF => {
                let paired =
                    bytes.get(at + 6..at + 8) == Some(b"\\u") && matches!(hex4(bytes, at + 8), Some(0xDC00..=0xDFFF));
                paired.then_some(at + 12)
            }
            0xDC00..=0xDFFF => None,
            _ => Some(at + 6),
        },
        _ => None,
    }
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |n, b| Some(n * 16 + char::from(*b).to_digit(16)?))
}
