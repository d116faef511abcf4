//! A query for one index: names resolved by its mapping, values brought into the field's form, Tantivy's queries made.

use std::ops::Bound;

use serde_json::Value;
use tantivy::{
    Term,
    query::{
        AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, ExistsQuery,
        FastFieldRangeQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query as Compiled, TermQuery, TermSetQuery,
    },
    schema::IndexRecordOption,
};

use super::{Query, QueryError, dsl::plain, expand};
use crate::{
    analysis::analyze,
    date::{self, Round},
    mapping::{Kind, Mapping, Target},
    schema::{self, Fields, json_term},
};

type Made = Result<Box<dyn Compiled>, QueryError>;

/// Words a query on all fields may be spread over.
const MAX_FIELDS: usize = 1024;

/// What an index brings to a query.
pub(crate) struct Compiler<'a> {
    pub(crate) index: &'a str,
    pub(crate) mapping: &'a Mapping,
    /// `now` of date math, milliseconds.
    pub(crate) now: i64,
}

fn empty() -> Box<dyn Compiled> {
    Box::new(EmptyQuery)
}

fn constant(query: impl Compiled) -> Box<dyn Compiled> {
    Box::new(ConstScoreQuery::new(Box::new(query), 1.0))
}

impl Compiler<'_> {
    /// # Errors
    /// A value that is none of its field's type.
    pub(crate) fn compile(&self, query: &Query) -> Made {
        Ok(match query {
            Query::All => Box::new(AllQuery),
            Query::None => empty(),
            Query::Match { field, text, and } => self.match_field(field, text, *and)?,
            Query::Phrase { field, text, prefix, slop } => self.phrase(field, text, *prefix, *slop)?,
            Query::MultiMatch { fields, text, and, phrase } => self.multi_match(fields, text, *and, *phrase)?,
            Query::Term { field, value, insensitive: false } => self.term(field, value)?,
            Query::Term { field, value, insensitive: true } => {
                self.wild(field, &expand::escape_wildcards(&plain(value)), true)
            }
            Query::Terms { field, values } => self.terms(field, values)?,
            Query::Range { field, from, to } => self.range(field, from, to)?,
            Query::Exists { field } => self.exists(field),
            Query::Ids(ids) => constant(TermSetQuery::new(ids.iter().map(|id| schema::id_term(id)))),
            Query::Prefix { field, value, insensitive } => {
                self.wild(field, &format!("{}*", expand::escape_wildcards(value)), *insensitive)
            }
            Query::Wildcard { field, pattern, insensitive } => self.wild(field, pattern, *insensitive),
            Query::Regexp { field, pattern } => self.regexp(field, pattern)?,
            Query::Bool { must, should, filter, must_not, minimum } => {
                self.boolean(must, should, filter, must_not, *minimum)?
            }
            Query::Constant(inner) => Box::new(ConstScoreQuery::new(self.compile(inner)?, 1.0)),
            Query::Boost(inner, boost) => Box::new(BoostQuery::new(self.compile(inner)?, *boost)),
        })
    }

    fn fields() -> Fields {
        schema::fields()
    }

    fn boolean(
        &self,
        must: &[Query],
        should: &[Query],
        filter: &[Query],
        must_not: &[Query],
        minimum: Option<usize>,
    ) -> Made {
        let mut clauses = Vec::with_capacity(must.len() + should.len() + filter.len() + must_not.len() + 1);
        for query in must {
            clauses.push((Occur::Must, self.compile(query)?));
        }
        for query in filter {
            clauses.push((Occur::Must, Box::new(ConstScoreQuery::new(self.compile(query)?, 0.0)) as Box<dyn Compiled>));
        }
        // A bool without anything to match matches all, less what it must not, and scores nothing.
        if must.is_empty() && filter.is_empty() && (should.is_empty() || minimum == Some(0)) {
            clauses.push((Occur::Must, Box::new(ConstScoreQuery::new(Box::new(AllQuery), 0.0))));
        }
        for query in must_not {
            clauses.push((Occur::MustNot, self.compile(query)?));
        }
        let optional = should.is_empty() || !must.is_empty() || !filter.is_empty();
        let required = minimum.unwrap_or(usize::from(!optional));
        for query in should {
            clauses.push((Occur::Should, self.compile(query)?));
        }
        if required > should.len() {
            return Ok(empty());
        }
        Ok(Box::new(BooleanQuery::with_minimum_required_clauses(clauses, if should.is_empty() { 0 } else { required })))
    }

    fn match_field(&self, field: &str, text: &Value, and: bool) -> Made {
        match self.mapping.resolve(field) {
            Some(Target::Text(path)) => {
                let mut terms: Vec<Term> =
                    analyze(&plain(text)).into_iter().map(|(_, word)| text_term(&path, &word)).collect();
                if terms.len() == 1 {
                    return Ok(terms.pop().map_or_else(empty, |term| scored(term)));
                }
                let occur = if and { Occur::Must } else { Occur::Should };
                Ok(Box::new(BooleanQuery::new(terms.into_iter().map(|term| (occur, scored(term))).collect())))
            }
            _ => self.term(field, text),
        }
    }

    fn phrase(&self, field: &str, text: &str, prefix: bool, slop: u32) -> Made {
        let Some(Target::Text(path)) = self.mapping.resolve(field) else {
            return if prefix {
                Ok(self.wild(field, &format!("{}*", expand::escape_wildcards(text)), false))
            } else {
                self.term(field, &Value::String(text.to_owned()))
            };
        };
        let words: Vec<(usize, Term)> =
            analyze(text).into_iter().map(|(position, word)| (position, text_term(&path, &word))).collect();
        Ok(match (words.as_slice(), prefix) {
            ([], _) => empty(),
            ([(_, term)], false) => scored(term.clone()),
            (_, true) => Box::new(PhrasePrefixQuery::new_with_offset(words)),
            _ => Box::new(PhraseQuery::new_with_offset_and_slop(words, slop)),
        })
    }

    /// The fields that names and patterns stand for; for `*` those that text can be looked for in.
    fn expand(&self, names: &[String]) -> Vec<String> {
        let mut out = Vec::new();
        for name in names {
            let name = name.split('^').next().unwrap_or(name);
            if !name.contains('*') {
                out.push(name.to_owned());
                continue;
            }
            for field in self.mapping.fields() {
                if crate::engine::matches(name, &field.path) {
                    out.push(field.path.to_string());
                }
            }
        }
        out.truncate(MAX_FIELDS);
        out
    }

    fn multi_match(&self, names: &[String], text: &str, and: bool, phrase: bool) -> Made {
        let all = names.iter().any(|name| name.contains('*'));
        let mut queries = Vec::new();
        for field in self.expand(names) {
            let made = if phrase {
                self.phrase(&field, text, false, 0)
            } else {
                self.match_field(&field, &Value::String(text.to_owned()), and)
            };
            match made {
                Ok(query) => queries.push(query),
                // Over all fields a value that cannot be of a field's type is just not there.
                Err(_) if all => {}
                Err(error) => return Err(error),
            }
        }
        Ok(if queries.is_empty() { empty() } else { Box::new(DisjunctionMaxQuery::new(queries)) })
    }

    fn term(&self, field: &str, value: &Value) -> Made {
        Ok(match self.mapping.resolve(field) {
            None => empty(),
            Some(Target::Id) => constant(TermQuery::new(schema::id_term(&plain(value)), IndexRecordOption::Basic)),
            Some(Target::Index) => {
                if crate::engine::matches(&plain(value), self.index) {
                    constant(AllQuery)
                } else {
                    empty()
                }
            }
            Some(Target::Text(path)) => scored(text_term(&path, &plain(value))),
            Some(Target::Keyword(path)) => exact(&path, &plain(value)),

            Some(target @ (Target::Number(..) | Target::SeqNo)) => {
                let bound = Bound::Included(value.clone());
                self.number_range(field, &target, &bound, &bound)?
            }
        })
    }

    fn terms(&self, field: &str, values: &[Value]) -> Made {
        Ok(match self.mapping.resolve(field) {
            Some(Target::Id) => constant(TermSetQuery::new(values.iter().map(|value| schema::id_term(&plain(value))))),
            Some(Target::Keyword(path)) => {
                let (short, long): (Vec<String>, Vec<String>) =
                    values.iter().map(plain).partition(|value| value.len() <= schema::MAX_INDEXED);
                let mut any: Vec<Box<dyn Compiled>> = long.iter().map(|value| exact(&path, value)).collect();
                any.push(Box::new(TermSetQuery::new(short.iter().map(|value| exact_term(&path, value)))));
                constant(BooleanQuery::union(any))
            }
            Some(Target::Text(path)) => {
                constant(TermSetQuery::new(values.iter().map(|value| text_term(&path, &plain(value)))))
            }
            _ => {
                let clauses: Result<Vec<_>, QueryError> =
                    values.iter().map(|value| Ok((Occur::Should, self.term(field, value)?))).collect();
                constant(BooleanQuery::new(clauses?))
            }
        })
    }

    fn range(&self, field: &str, from: &Bound<Value>, to: &Bound<Value>) -> Made {
        let target = self.mapping.resolve(field);
        if matches!((from, to), (Bound::Unbounded, Bound::Unbounded)) {
            return Ok(self.exists(field));
        }
        let strings = |path: &str, make: fn(&str, &str) -> Term| {
            let bound = |bound: &Bound<Value>| map(bound, |value| make(path, &plain(value)));
            (bound(from), bound(to))
        };
        Ok(match target {
            Some(target @ (Target::Number(..) | Target::SeqNo)) => self.number_range(field, &target, from, to)?,
            Some(Target::Keyword(path)) => {
                let (from, to) = strings(&path, keyword_term);
                constant(FastFieldRangeQuery::new(from, to))
            }
            Some(Target::Text(path)) => {
                let (from, to) = strings(&path, text_term);
                constant(expand::TermRange::new(Self::fields().text, &path, from, to))
            }
            _ => empty(),
        })
    }

    fn number_range(&self, field: &str, target: &Target, from: &Bound<Value>, to: &Bound<Value>) -> Made {
        let (path, kind) = match target {
            Target::Number(path, kind) => (path.as_ref(), *kind),
            _ => ("", Kind::Long),
        };
        if kind == Kind::Double {
            let bound = |bound: &Bound<Value>| try_map(bound, |value| self.double(field, value));
            let number = |value: f64| typed(path, |term| term.append_type_and_fast_value(value));
            let (from, to) = (bound(from)?, bound(to)?);
            return Ok(constant(FastFieldRangeQuery::new(
                map(&from, |value| number(*value)),
                map(&to, |value| number(*value)),
            )));
        }
        // Whole numbers: closed bounds, so that fractions and incomplete dates round the right way.
        let low = match from {
            Bound::Unbounded => i64::MIN,
            Bound::Included(value) => self.whole(field, kind, value, Round::Down)?.0,
            Bound::Excluded(value) => self.whole(field, kind, value, Round::Up)?.1.saturating_add(1),
        };
        let high = match to {
            Bound::Unbounded => i64::MAX,
            Bound::Included(value) => self.whole(field, kind, value, Round::Up)?.1,
            Bound::Excluded(value) => self.whole(field, kind, value, Round::Down)?.0.saturating_sub(1),
        };
        if low > high {
            return Ok(empty());
        }
        if matches!(target, Target::SeqNo) {
            let number = |value: i64| Term::from_field_u64(Self::fields().seq_no, u64::try_from(value).unwrap_or(0));
            return Ok(constant(FastFieldRangeQuery::new(Bound::Included(number(low)), Bound::Included(number(high)))));
        }
        let number = |value: i64| typed(path, |term| term.append_type_and_fast_value(value));
        Ok(constant(FastFieldRangeQuery::new(Bound::Included(number(low)), Bound::Included(number(high)))))
    }

    fn double(&self, field: &str, value: &Value) -> Result<f64, QueryError> {
        let number = match value {
            Value::Number(number) => number.as_f64(),
            other => plain(other).trim().parse().ok(),
        };
        number.ok_or_else(|| self.unreadable(field, &format!("For input string: \"{}\"", plain(value))))
    }

    /// The least whole number at or above the value, and the greatest at or below it (swapped ends of a coarse date).
    #[allow(clippy::cast_possible_truncation)]
    fn whole(&self, field: &str, kind: Kind, value: &Value, round: Round) -> Result<(i64, i64), QueryError> {
        let same = |value: i64| (value, value);
        match (kind, value) {
            (Kind::Boolean, value) => match plain(value).as_str() {
                "true" => Ok(same(1)),
                "false" | "" => Ok(same(0)),
                other => {
                    Err(self
                        .unreadable(field, &format!("Can't parse boolean value [{other}], expected [true] or [false]")))
                }
            },
            (Kind::Date, Value::String(text)) => match date::math::parse_math(text, self.now, round) {
                Some(ms) => Ok(same(ms)),
                None => Err(QueryError {
                    kind: "parse_exception",
                    reason: format!(
                        "failed to parse date field [{text}] with format [strict_date_optional_time||epoch_millis]"
                    ),
                }),
            },
            (_, value) => {
                let text = plain(value);
                if let Ok(number) = text.trim().parse::<i64>() {
                    return Ok(same(number));
                }
                match text.trim().parse::<f64>() {
                    Ok(number) if number.is_finite() => Ok((number.ceil() as i64, number.floor() as i64)),
                    _ => Err(self.unreadable(field, &format!("For input string: \"{text}\""))),
                }
            }
        }
    }

    fn unreadable(&self, field: &str, cause: &str) -> QueryError {
        QueryError::shard(format!("failed to create query: {cause}: field [{field}] of index [{}]", self.index))
    }

    fn exists(&self, field: &str) -> Box<dyn Compiled> {
        let columns = |path: &str, kind: Kind, keyword: bool| -> Vec<Box<dyn Compiled>> {
            let mut any: Vec<Box<dyn Compiled>> = Vec::new();
            match kind {
                Kind::Text => {
                    if keyword {
                        any.push(Box::new(ExistsQuery::new(schema::keyword_column(path), false)));
                    }
                    any.push(Box::new(TermQuery::new(
                        Term::from_field_text(Self::fields().long, path),
                        IndexRecordOption::Basic,
                    )));
                }
                Kind::Keyword => any.push(Box::new(ExistsQuery::new(schema::keyword_column(path), false))),
                _ => any.push(Box::new(ExistsQuery::new(schema::number_column(path), false))),
            }
            any
        };
        let mut any = Vec::new();
        if matches!(field, "_id" | "_index" | "_seq_no" | "_source") {
            return constant(AllQuery);
        }
        for name in self.expand(&[field.to_owned()]) {
            if let Some(field) = self.mapping.field(&name) {
                any.extend(columns(&field.path, field.kind, field.keyword));
            } else if let Some(Target::Keyword(path)) = self.mapping.resolve(&name) {
                any.extend(columns(&path, Kind::Keyword, true));
            } else {
                any.extend(self.mapping.under(&name).flat_map(|field| columns(&field.path, field.kind, field.keyword)));
            }
        }
        if any.is_empty() { empty() } else { constant(BooleanQuery::union(any)) }
    }

    fn wild(&self, field: &str, pattern: &str, insensitive: bool) -> Box<dyn Compiled> {
        if field.contains('*') {
            let fields = self.expand(&[field.to_owned()]);
            let any = fields.iter().map(|field| self.wild(field, pattern, insensitive)).collect();
            return constant(BooleanQuery::union(any));
        }
        match self.mapping.resolve(field) {
            // Text is in lower case; query_string lower-cases its patterns there.
            Some(Target::Text(path)) => {
                expand::wildcard(Some(Self::fields().text), &path, &pattern.to_lowercase(), insensitive)
            }
            Some(Target::Keyword(path)) => expand::wildcard(None, &path, pattern, insensitive),
            Some(Target::Number(path, _)) if pattern == "*" => self.exists(&path),
            _ => empty(),
        }
    }

    fn regexp(&self, field: &str, pattern: &str) -> Made {
        let (tantivy_field, path) = match self.mapping.resolve(field) {
            Some(Target::Text(path)) => (Some(Self::fields().text), path),
            Some(Target::Keyword(path)) => (None, path),
            _ => return Ok(empty()),
        };
        expand::regexp(tantivy_field, &path, pattern).ok_or_else(|| {
            QueryError::shard(format!("failed to create query: cannot read regular expression [{pattern}]"))
        })
    }
}

fn scored(term: Term) -> Box<dyn Compiled> {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

fn text_term(path: &str, word: &str) -> Term {
    let mut term = json_term(schema::fields().text, path);
    term.append_type_and_str(word);
    term
}

/// An exact string: by the inverted index, or by the column where it is too long for that.
fn exact(path: &str, value: &str) -> Box<dyn Compiled> {
    if value.len() <= schema::MAX_INDEXED {
        return Box::new(TermQuery::new(exact_term(path, value), IndexRecordOption::Basic));
    }
    let bound = || Bound::Included(keyword_term(path, value));
    constant(FastFieldRangeQuery::new(bound(), bound()))
}

fn exact_term(path: &str, value: &str) -> Term {
    let mut term = json_term(schema::fields().exact, path);
    term.append_type_and_str(value);
    term
}

fn keyword_term(path: &str, value: &str) -> Term {
    let mut term = json_term(schema::fields().keyword, path);
    term.append_type_and_str(value);
    term
}

fn typed(path: &str, append: impl FnOnce(&mut Term)) -> Term {
    let mut term = json_term(schema::fields().number, path);
    append(&mut term);
    term
}

fn map<T, U>(bound: &Bound<T>, make: impl FnOnce(&T) -> U) -> Bound<U> {
    match bound {
        Bound::Included(value) => Bound::Included(make(value)),
        Bound::Excluded(value) => Bound::Excluded(make(value)),
        Bound::Unbounded => Bound::Unbounded,
    }
}

fn try_map<T, U, E>(bound: &Bound<T>, make: impl FnOnce(&T) -> Result<U, E>) -> Result<Bound<U>, E> {
    Ok(match bound {
        Bound::Included(value) => Bound::Included(make(value)?),
        Bound::Excluded(value) => Bound::Excluded(make(value)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}
