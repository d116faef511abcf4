//! logfmt: `level=info msg="user signed up" user=7`.

use super::{
    super::{timestamp::FIELDS, timestamp::Time, timestamp_of},
    Parsed,
};

/// `None` where no `key=value` is to be found. Values stay text unless `numbers` names their key, so that a field has
/// one type in all lines.
pub(super) fn parse(line: &str, numbers: &[String]) -> Option<Parsed> {
    let mut parsed = Parsed::default();
    let (mut rest, mut pairs) = (line.trim_start(), 0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let key = &rest[..end];
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            (value, rest) = value_of(after)?;
            pairs += 1;
        }
        if key.is_empty() {
            return None;
        }
        parsed.free(key, &value, numbers);
        rest = rest.trim_start();
    }
    if pairs == 0 {
        return None;
    }
    parsed.time = FIELDS.iter().find_map(|field| {
        let value = parsed.fields.get(*field)?;
        match timestamp_of(value)? {
            Time::Of(time) => Some(time),
            Time::Canonical => value.as_str()?.parse().ok(),
        }
    });
    if !parsed.fields.contains_key("message") {
        let message = parsed.fields.remove("msg").unwrap_or_else(|| line.into());
        parsed.fields.insert("message".into(), message);
    }
    Some(parsed)
}

/// A bare or quoted value and what follows it; `None` when its closing quote is missing.
fn value_of(text: &str) -> Option<(String, &str)> {
    if !text.starts_with('"') {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    }
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other @ ('"' | '\\') => value.push(other),
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    None
}
