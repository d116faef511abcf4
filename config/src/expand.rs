//! `${VAR}` and `${VAR:-default}` in values, as a shell would: a default also stands in for an empty variable.
//! `$${` is a literal `${`; a `$` before anything else is itself, so that regular expressions need no escapes.

use std::borrow::Cow;

/// An expanded value is at most this long, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// The text with its variables put in, or what was wrong with one of them.
pub(crate) fn expand<'a>(text: &'a str, env: &dyn Fn(&str) -> Option<String>) -> Result<Cow<'a, str>, String> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        out.push_str(before);
        let inside = from.get(2..).unwrap_or_default();
        let Some((reference, after)) = inside.split_once('}') else {
            return Err("\"${\" without a closing \"}\", expected ${VAR} or ${VAR:-default}".into());
        };
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if !is_name(name) {
            return Err(format!("\"${{{reference}}}\" names no variable, expected ${{VAR}} or ${{VAR:-default}}"));
        }
        match (env(name), default) {
            (Some(value), None) => out.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
            (_, Some(default)) => out.push_str(default),
            (None, None) => {
                return Err(format!(
                    "environment variable {name} is not set and has no default, write ${{{name}:-value}} to give one"
                ));
            }
        }
        if out.len() > MAX_BYTES {
            return Err(format!("the value is longer than {MAX_BYTES} bytes after {name} was put in"));
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn with(text: &str) -> Result<String, String> {
        let env = |name: &str| match name {
            "HOST" => Some("node-1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expand(text, &env).map(Cow::into_owned)
    }

    #[test]
    fn variables_and_defaults() {
        assert_eq!(with("a-${HOST}-b").unwrap(), "a-node-1-b");
        assert_eq!(with("${HOST}${HOST}").unwrap(), "node-1node-1");
        assert_eq!(with("${NONE:-9092}").unwrap(), "9092");
        assert_eq!(with("${EMPTY:-x}${EMPTY}").unwrap(), "x");
        assert_eq!(with("${NONE:-}").unwrap(), "");
        assert_eq!(with("cost: $5 ^a$").unwrap(), "cost: $5 ^a$");
        assert_eq!(with("$${HOST} ${HOST}").unwrap(), "${HOST} node-1");
    }

    #[test]
    fn mistakes() {
        assert!(with("${NONE}").unwrap_err().contains("NONE is not set"));
        assert!(with("${HOST").unwrap_err().contains("without a closing"));
        assert!(with("${1A}").unwrap_err().contains("names no variable"));
        assert!(with("${}").unwrap_err().contains("names no variable"));
    }
}
