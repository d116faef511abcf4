//! Lucene's query syntax, the part people type: `field:value`, phrases, AND OR NOT + -, groups, ranges, wildcards,
//! `_exists_:field`.

use std::ops::Bound;

use serde_json::Value;

use super::{MAX_DEPTH, Query, QueryError};

/// Reads a query string; terms without field go to `fields` (all when empty).
///
/// # Errors
/// What does not parse, as Elasticsearch's `query_shard_exception` "Failed to parse query".
pub(crate) fn parse(text: &str, fields: &[String], and: bool) -> Result<Query, QueryError> {
    let mut parser = Parser { text, at: 0, fields, and, depth: 0 };
    let query = parser.clauses()?;
    parser.space();
    if parser.at < text.len() {
        return Err(parser.bad());
    }
    Ok(query.unwrap_or(Query::None))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    fields: &'a [String],
    and: bool,
    depth: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Occur {
    Must,
    Should,
    MustNot,
}

impl Parser<'_> {
    fn bad(&self) -> QueryError {
        QueryError::shard(format!("Failed to parse query [{}]", self.text))
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(text));
        if found {
            self.at += text.len();
        }
        found
    }

    fn space(&mut self) {
        while let Some(c) = self.peek().filter(|c| c.is_whitespace()) {
            self.at += c.len_utf8();
        }
    }

    /// An operator word, followed by what ends a word.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = rest
            .strip_prefix(word)
            .is_some_and(|after| after.chars().next().is_none_or(|c| c.is_whitespace() || c == '('));
        if found {
            self.at += word.len();
        }
        found
    }

    fn clauses(&mut self) -> Result<Option<Query>, QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.bad());
        }
        let mut clauses: Vec<(Occur, Query)> = Vec::new();
        loop {
            self.space();
            if self.peek().is_none_or(|c| c == ')') {
                break;
            }
            let mut occur = if self.and { Occur::Must } else { Occur::Should };
            if !clauses.is_empty() {
                if self.word("AND") || self.take("&&") {
                    // Lucene: AND makes both sides required.
                    if let Some((before, _)) = clauses.last_mut()
                        && *before == Occur::Should
                    {
                        *before = Occur::Must;
                    }
                    occur = Occur::Must;
                } else if self.word("OR") || self.take("||") {
                    if self.and
                        && let Some((before, _)) = clauses.last_mut()
                        && *before == Occur::Must
                    {
                        *before = Occur::Should;
                    }
                    occur = Occur::Should;
                }
                self.space();
            }
            if self.take("+") {
                occur = Occur::Must;
            } else if self.take("-") || self.take("!") {
                occur = Occur::MustNot;
            } else if self.word("NOT") {
                occur = Occur::MustNot;
                self.space();
            }
            if self.peek().is_none() {
                return Err(self.bad());
            }
            let clause = self.clause()?;
            clauses.push((occur, clause));
        }
        self.depth -= 1;
        Ok(combine(clauses))
    }

    fn clause(&mut self) -> Result<Query, QueryError> {
        if self.take("(") {
            return self.group(None);
        }
        let start = self.at;
        if let Some(field) = self.field_name() {
            return self.value(Some(field));
        }
        self.at = start;
        self.value(None)
    }

    /// `name:`, with `\:` and such unescaped.
    fn field_name(&mut self) -> Option<String> {
        let (name, _) = self.term(true)?;
        (self.take(":") && !name.is_empty()).then_some(name)
    }

    fn group(&mut self, field: Option<String>) -> Result<Query, QueryError> {
        let inner = match field {
            None => self.clauses()?,
            Some(field) => {
                let fields = [field];
                let mut inner =
                    Parser { text: self.text, at: self.at, fields: &fields, and: self.and, depth: self.depth };
                let query = inner.clauses()?;
                self.at = inner.at;
                query
            }
        };
        if !self.take(")") {
            return Err(self.bad());
        }
        let query = inner.unwrap_or(Query::None);
        Ok(self.boost(query))
    }

    fn value(&mut self, field: Option<String>) -> Result<Query, QueryError> {
        match self.peek() {
            Some('"') => {
                let text = self.quoted()?;
                let slop = if self.take("~") { self.number().unwrap_or(0.0) } else { 0.0 };
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let query = match field {
                    Some(field) => Query::Phrase { field, text, prefix: false, slop: slop as u32 },
                    None => self.everywhere(text, true),
                };
                Ok(self.boost(query))
            }
            Some('(') if field.is_some() => {
                self.at += 1;
                self.group(field)
            }
            Some('[' | '{') => self.range(field),
            Some('>' | '<') if field.is_some() => self.comparison(field.unwrap_or_default()),
            _ => {
                let (text, wild) = self.term(false).ok_or_else(|| self.bad())?;
                if self.take("~") {
                    // Fuzziness is not offered: the term itself.
                    let _ = self.number();
                }
                let query = self.term_query(field, text, wild);
                Ok(self.boost(query))
            }
        }
    }

    fn term_query(&self, field: Option<String>, text: String, wild: bool) -> Query {
        match field {
            Some(field) if field == "_exists_" => Query::Exists { field: text },
            Some(field) if field == "*" && text == "*" => Query::All,
            Some(field) if text == "*" => Query::Exists { field },
            Some(field) if wild => Query::Wildcard { field, pattern: text, insensitive: false },
            Some(field) if field.contains('*') => {
                Query::MultiMatch { fields: vec![field], text, and: true, phrase: false }
            }
            Some(field) => Query::Match { field, text: Value::String(text), and: self.and },
            None if text == "*" => Query::All,
            None if wild => {
                let fields = if self.fields.is_empty() { vec!["*".to_owned()] } else { self.fields.to_vec() };
                let should = fields
                    .into_iter()
                    .map(|field| Query::Wildcard { field, pattern: text.clone(), insensitive: false })
                    .collect();
                Query::Bool { must: vec![], should, filter: vec![], must_not: vec![], minimum: None }
            }
            None => self.everywhere(text, false),
        }
    }

    fn everywhere(&self, text: String, phrase: bool) -> Query {
        let fields = if self.fields.is_empty() { vec!["*".to_owned()] } else { self.fields.to_vec() };
        Query::MultiMatch { fields, text, and: self.and, phrase }
    }

    fn boost(&mut self, query: Query) -> Query {
        if self.take("^") {
            #[allow(clippy::cast_possible_truncation)]
            if let Some(boost) = self.number() {
                return Query::Boost(Box::new(query), boost as f32);
            }
        }
        query
    }

    fn number(&mut self) -> Option<f64> {
        let rest = self.text.get(self.at..)?;
        let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let number = rest.get(..length)?.parse().ok()?;
        self.at += length;
        Some(number)
    }

    fn quoted(&mut self) -> Result<String, QueryError> {
        self.at += 1;
        let mut out = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => {
                    let escaped = self.peek().ok_or_else(|| self.bad())?;
                    self.at += escaped.len_utf8();
                    out.push(escaped);
                }
                c => out.push(c),
            }
        }
        Err(self.bad())
    }

    /// A bare word, and whether it has an unescaped `*` or `?`. A wildcard pattern keeps its escapes.
    fn term(&mut self, name: bool) -> Option<(String, bool)> {
        let (mut out, mut raw, mut wild) = (String::new(), String::new(), false);
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.at += 1;
                    let escaped = self.peek()?;
                    self.at += escaped.len_utf8();
                    out.push(escaped);
                    raw.push('\\');
                    raw.push(escaped);
                    continue;
                }
                c if c.is_whitespace() => break,
                '(' | ')' | '[' | ']' | '{' | '}' | '"' | '^' | '~' => break,
                ':' if name => break,
                ':' => return None,
                '*' | '?' => wild = true,
                _ => {}
            }
            out.push(c);
            raw.push(c);
            self.at += c.len_utf8();
        }
        if out.is_empty() { None } else { Some((if wild && !name { raw } else { out }, wild)) }
    }

    fn range(&mut self, field: Option<String>) -> Result<Query, QueryError> {
        let Some(field) = field.or_else(|| self.fields.first().cloned()) else { return Err(self.bad()) };
        let open = self.peek();
        self.at += 1;
        self.space();
        let from = self.bound()?;
        self.space();
        if !self.take("TO") {
            return Err(self.bad());
        }
        self.space();
        let to = self.bound()?;
        self.space();
        let close = self.peek();
        if !matches!(close, Some(']' | '}')) {
            return Err(self.bad());
        }
        self.at += 1;
        let bound = |value: String, included: bool| match value.as_str() {
            "*" => Bound::Unbounded,
            _ if included => Bound::Included(Value::String(value)),
            _ => Bound::Excluded(Value::String(value)),
        };
        let query = Query::Range { field, from: bound(from, open == Some('[')), to: bound(to, close == Some(']')) };
        Ok(self.boost(query))
    }

    fn bound(&mut self) -> Result<String, QueryError> {
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.find(|c: char| c.is_whitespace() || matches!(c, ']' | '}')).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.bad());
        }
        self.at += length;
        Ok(rest[..length].to_owned())
    }

    fn comparison(&mut self, field: String) -> Result<Query, QueryError> {
        let greater = self.peek() == Some('>');
        self.at += 1;
        let included = self.take("=");
        let value = Value::String(self.bound_word()?);
        let bound = if included { Bound::Included(value) } else { Bound::Excluded(value) };
        let (from, to) = if greater { (bound, Bound::Unbounded) } else { (Bound::Unbounded, bound) };
        Ok(Query::Range { field, from, to })
    }

    fn bound_word(&mut self) -> Result<String, QueryError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.find(|c: char| c.is_whitespace() || c == ')').unwrap_or(rest.len());
        if length == 0 {
            return Err(self.bad());
        }
        self.at += length;
        Ok(rest[..length].trim_matches('"').to_owned())
    }
}

fn combine(mut clauses: Vec<(Occur, Query)>) -> Option<Query> {
    if clauses.is_empty() {
        return None;
    }
    if clauses.len() == 1 && clauses[0].0 != Occur::MustNot {
        return clauses.pop().map(|(_, query)| query);
    }
    let (mut must, mut should, mut must_not) = (vec![], vec![], vec![]);
    for (occur, query) in clauses {
        match occur {
            Occur::Must => must.push(query),
            Occur::Should => should.push(query),
            Occur::MustNot => must_not.push(query),
        }
    }
    Some(Query::Bool { must, should, filter: vec![], must_not, minimum: None })
}
