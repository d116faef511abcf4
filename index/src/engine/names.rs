//! Names of indices: what is allowed and what a pattern matches.

/// Why a name is refused, in Elasticsearch's words (`invalid_index_name_exception`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameError(pub(crate) String);

/// Elasticsearch's rules for the name of an index.
///
/// # Errors
/// Which rule is broken.
pub(crate) fn check_name(name: &str) -> Result<(), NameError> {
    let refuse = |why: &str| Err(NameError(format!("Invalid index name [{name}], {why}")));
    if name.is_empty() || name == "." || name == ".." {
        return refuse("must not be empty, '.' or '..'");
    }
    if name.starts_with(['_', '-', '+']) {
        return refuse("must not start with '_', '-', or '+'");
    }
    if let Some(bad) = name
        .chars()
        .find(|c| matches!(c, '\\' | '/' | '*' | '?' | '"' | '<' | '>' | '|' | ' ' | ',' | '#' | ':') || c.is_control())
    {
        return refuse(&format!("must not contain the character [{}]", bad.escape_default()));
    }
    if name.to_lowercase() != name {
        return refuse("must be lowercase");
    }
    if name.len() > 255 {
        return refuse(&format!("index name is too long, ({} > 255)", name.len()));
    }
    Ok(())
}

/// Whether `name` matches `pattern`, where `*` stands for anything; linear in time.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_patterns() {
        for (pattern, name, want) in [
            ("*", "a", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("ab", "ab", true),
            ("ab", "abc", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn refuses_bad_names() {
        for bad in ["", ".", "..", "_a", "-a", "A", "a b", "a/b", "a*", "a,b", &"x".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        for good in ["a", "app-logs-2026.11.21", ".internal", "größe"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
    }
}
