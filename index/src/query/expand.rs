//! Queries that stand for many terms of one path: wildcards, prefixes, regular expressions, ranges of words.
//!
//! The path's terms between two bounds are walked in the dictionary and tested; a literal prefix narrows the walk.

use std::{fmt, ops::Bound, sync::Arc};

use tantivy::{
    BitSet, Score, SegmentReader, TantivyError, Term,
    query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight},
    schema::{Field, IndexRecordOption},
};

use super::column::ColumnMatch;
use crate::schema::json_term;

pub(super) type Test = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Documents with a term of a path that lies between two bounds and passes a test.
#[derive(Clone)]
pub(super) struct TermRange {
    field: Field,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    /// Bytes of a term before its value.
    value_at: usize,
    test: Option<Test>,
}

impl fmt::Debug for TermRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TermRange({:?}, {:?}..{:?})", self.field, self.from, self.to)
    }
}

impl TermRange {
    pub(super) fn new(field: Field, path: &str, from: Bound<Term>, to: Bound<Term>) -> Self {
        let base = string_prefix(field, path);
        let bytes = |bound: Bound<Term>| bound.map(|term| term.serialized_value_bytes().to_vec());
        let or =
            |bound: Bound<Vec<u8>>, open: Bound<Vec<u8>>| if matches!(bound, Bound::Unbounded) { open } else { bound };
        Self {
            field,
            from: or(bytes(from), Bound::Included(base.clone())),
            to: or(bytes(to), after(&base)),
            value_at: base.len(),
            test: None,
        }
    }

    fn tested(field: Field, path: &str, literal: &str, test: Test) -> Self {
        let base = string_prefix(field, path);
        let mut low = base.clone();
        low.extend_from_slice(literal.as_bytes());
        Self { field, to: after(&low), from: Bound::Included(low), value_at: base.len(), test: Some(test) }
    }
}

/// What the string terms of a path begin with.
fn string_prefix(field: Field, path: &str) -> Vec<u8> {
    let mut term = json_term(field, path);
    term.append_type_and_str("");
    term.serialized_value_bytes().to_vec()
}

/// The first key behind all that begin with `prefix`.
pub(super) fn after(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

impl Query for TermRange {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for TermRange {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut documents = BitSet::with_max_value(reader.max_doc());
        let inverted = reader.inverted_index(self.field)?;
        let mut range = inverted.terms().range();
        range = match &self.from {
            Bound::Included(key) => range.ge(key),
            Bound::Excluded(key) => range.gt(key),
            Bound::Unbounded => range,
        };
        range = match &self.to {
            Bound::Included(key) => range.le(key),
            Bound::Excluded(key) => range.lt(key),
            Bound::Unbounded => range,
        };
        let mut stream = range.into_stream()?;
        while stream.advance() {
            if let Some(test) = &self.test
                && !stream.key().get(self.value_at..).is_some_and(|value| test(value))
            {
                continue;
            }
            let mut block = inverted.read_block_postings_from_terminfo(stream.value(), IndexRecordOption::Basic)?;
            while !block.docs().is_empty() {
                for document in block.docs() {
                    documents.insert(*document);
                }
                block.advance();
            }
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(documents), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: tantivy::DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("explain is not supported".to_owned()))
    }
}

/// `*` any characters, `?` one, backslash escapes.
pub(super) fn wildcard(text: Option<Field>, path: &str, pattern: &str, insensitive: bool) -> Box<dyn Query> {
    let tokens = tokens(pattern, insensitive);
    let literal: String = if insensitive {
        String::new()
    } else {
        tokens.iter().map_while(|token| if let Token::Char(c) = token { Some(*c) } else { None }).collect()
    };
    let test: Test = Arc::new(move |value: &[u8]| {
        let Ok(text) = std::str::from_utf8(value) else { return false };
        if insensitive { accepts(&tokens, &text.to_lowercase()) } else { accepts(&tokens, text) }
    });
    tested(text, path, literal, test)
}

/// Over the words of a text field, else over the values of a keyword field.
fn tested(text: Option<Field>, path: &str, literal: String, test: Test) -> Box<dyn Query> {
    match text {
        Some(field) => Box::new(TermRange::tested(field, path, &literal, test)),
        None => Box::new(ColumnMatch::new(path, literal, test)),
    }
}

/// A regular expression over whole values; `None` if it is none or too large.
pub(super) fn regexp(text: Option<Field>, path: &str, pattern: &str) -> Option<Box<dyn Query>> {
    let regex = regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(1 << 20)
        .dfa_size_limit(1 << 20)
        .build()
        .ok()?;
    let test: Test = Arc::new(move |value: &[u8]| std::str::from_utf8(value).is_ok_and(|text| regex.is_match(text)));
    Some(tested(text, path, String::new(), test))
}

pub(super) fn escape_wildcards(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
}

fn tokens(pattern: &str, insensitive: bool) -> Vec<Token> {
    let mut out = Vec::new();
    let pattern = if insensitive { pattern.to_lowercase() } else { pattern.to_owned() };
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let token = match c {
            '*' if out.last() == Some(&Token::Many) => continue,
            '*' => Token::Many,
            '?' => Token::One,
            '\\' => Token::Char(chars.next().unwrap_or('\\')),
            c => Token::Char(c),
        };
        out.push(token);
    }
    out
}

/// Greedy with one point to come back to: at most pattern times text steps.
fn accepts(tokens: &[Token], text: &str) -> bool {
    let (mut at, mut rest) = (0, text.chars());
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        if tokens.get(at) == Some(&Token::Many) {
            at += 1;
            retry = Some((at, rest.clone()));
            continue;
        }
        let ahead = rest.next();
        let fits = match (tokens.get(at), ahead) {
            (Some(Token::Char(wanted)), Some(c)) => *wanted == c,
            (Some(Token::One), Some(_)) => true,
            (None, None) => return true,
            _ => false,
        };
        if fits {
            at += 1;
            continue;
        }
        let Some((after, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        at = *after;
        rest = from.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_accept() {
        for (pattern, text, want) in [
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*", "abc", true),
            ("", "", true),
            ("*", "", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("*ab*ab", "abxabab", true),
            ("gr?ß*", "größe", true),
        ] {
            assert_eq!(accepts(&tokens(pattern, false), text), want, "{pattern} {text}");
        }
    }
}
