//! Elasticsearch's query DSL, read from JSON.

use std::ops::Bound;

use serde_json::{Map, Value};

use super::{MAX_CLAUSES, MAX_DEPTH, Query, QueryError, lucene};

/// Reads `{"match": {…}}` and its like.
///
/// # Errors
/// Unknown query types and options of the wrong form, in Elasticsearch's words where it matters.
pub(crate) fn parse(json: &Value) -> Result<Query, QueryError> {
    nested(json, 0)
}

fn nested(json: &Value, depth: usize) -> Result<Query, QueryError> {
    if depth > MAX_DEPTH {
        return Err(QueryError::illegal(format!(
            "The nested depth of the query exceeds the maximum nested depth for queries set in [indices.query.bool.max_nested_depth] [{MAX_DEPTH}]"
        )));
    }
    let object =
        json.as_object().ok_or_else(|| QueryError::parsing("[_na] query malformed, must start with start_object"))?;
    let mut entries = object.iter();
    let (Some((name, body)), None) = (entries.next(), entries.next()) else {
        let reason = match object.keys().nth(1) {
            None => "query malformed, empty clause found".to_owned(),
            Some(second) => format!(
                "[{}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]: [{second}]",
                object.keys().next().map_or("", String::as_str)
            ),
        };
        return Err(if object.is_empty() { QueryError::illegal(reason) } else { QueryError::parsing(reason) });
    };
    let query = match name.as_str() {
        "match_all" => Query::All,
        "match_none" => Query::None,
        "match" => {
            let (field, options, text) = field_query(name, body, "query")?;
            Query::Match { field, text, and: is_and(options, "operator")? }
        }
        "match_phrase" | "match_phrase_prefix" => {
            let (field, options, text) = field_query(name, body, "query")?;
            let slop = options.and_then(|options| options.get("slop")).and_then(Value::as_u64).unwrap_or(0);
            Query::Phrase {
                field,
                text: plain(&text),
                prefix: name == "match_phrase_prefix",
                slop: u32::try_from(slop).unwrap_or(u32::MAX),
            }
        }
        "multi_match" => multi_match(body)?,
        "term" => {
            let (field, options, value) = field_query(name, body, "value")?;
            if value.is_array() || value.is_object() {
                return Err(QueryError::parsing(format!("[term] query does not support [{field}]")));
            }
            Query::Term { field, value, insensitive: insensitive(options) }
        }
        "terms" => terms(body)?,
        "range" => range(body)?,
        "exists" => {
            let field = body.get("field").and_then(Value::as_str);
            Query::Exists {
                field: field.ok_or_else(|| QueryError::parsing("[exists] must be provided with a [field]"))?.to_owned(),
            }
        }
        "ids" => {
            let values = body.get("values").map(strings).transpose()?.unwrap_or_default();
            Query::Ids(values)
        }
        "prefix" => {
            let (field, options, value) = field_query(name, body, "value")?;
            Query::Prefix { field, value: plain(&value), insensitive: insensitive(options) }
        }
        "wildcard" => {
            let key = if body
                .as_object()
                .and_then(|body| body.values().next())
                .is_some_and(|inner| inner.get("wildcard").is_some())
            {
                "wildcard"
            } else {
                "value"
            };
            let (field, options, value) = field_query(name, body, key)?;
            Query::Wildcard { field, pattern: plain(&value), insensitive: insensitive(options) }
        }
        "regexp" => {
            let (field, _, value) = field_query(name, body, "value")?;
            Query::Regexp { field, pattern: plain(&value) }
        }
        "bool" => boolean(body, depth)?,
        "constant_score" => {
            let filter = body
                .get("filter")
                .ok_or_else(|| QueryError::parsing("[constant_score] requires a 'filter' element"))?;
            Query::Constant(Box::new(nested(filter, depth + 1)?))
        }
        "query_string" | "simple_query_string" => query_string(body)?,
        other => return Err(QueryError::parsing(format!("unknown query [{other}]"))),
    };
    let options = body.as_object().map(|body| {
        if body.contains_key("boost") { body } else { body.values().next().and_then(Value::as_object).unwrap_or(body) }
    });
    match options.and_then(|options| options.get("boost")).and_then(Value::as_f64) {
        #[allow(clippy::cast_possible_truncation)]
        Some(boost) if boost >= 0.0 && boost.is_finite() => Ok(Query::Boost(Box::new(query), boost as f32)),
        Some(boost) => Err(QueryError::illegal(format!(
            "negative [boost] are not allowed in [{name}], use a value between 0 and 1 to deboost [{boost}]"
        ))),
        None => Ok(query),
    }
}

/// Field, its options if there are any, its value.
type FieldQuery<'a> = (String, Option<&'a Map<String, Value>>, Value);

/// `{"field": value}` or `{"field": {"query": value, …}}`.
fn field_query<'a>(name: &str, body: &'a Value, key: &str) -> Result<FieldQuery<'a>, QueryError> {
    let body = body
        .as_object()
        .ok_or_else(|| QueryError::parsing(format!("[{name}] query malformed, no start_object after query name")))?;
    let mut fields = body.iter().filter(|(field, _)| !matches!(field.as_str(), "boost" | "_name"));
    let Some((field, inner)) = fields.next() else {
        return Err(QueryError::parsing(format!("No field specified for {name} query")));
    };
    if let Some((second, _)) = fields.next() {
        return Err(QueryError::parsing(format!(
            "[{name}] query doesn't support multiple fields, found [{field}] and [{second}]"
        )));
    }
    match inner {
        Value::Object(options) => match options.get(key) {
            Some(value) => Ok((field.clone(), Some(options), value.clone())),
            None => Err(QueryError::parsing(format!("[{name}] query requires [{key}] for field [{field}]"))),
        },
        Value::Array(_) => Err(QueryError::parsing(format!("[{name}] unknown token [START_ARRAY] after [{field}]"))),
        value => Ok((field.clone(), None, value.clone())),
    }
}

/// A scalar as the text it stands for.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn strings(value: &Value) -> Result<Vec<String>, QueryError> {
    match value {
        Value::Array(values) if values.len() > MAX_CLAUSES => {
            Err(QueryError::illegal(format!("more than [{MAX_CLAUSES}] terms")))
        }
        Value::Array(values) => Ok(values.iter().map(plain).collect()),
        other => Ok(vec![plain(other)]),
    }
}

fn is_and(options: Option<&Map<String, Value>>, key: &str) -> Result<bool, QueryError> {
    match options.and_then(|options| options.get(key)).and_then(Value::as_str) {
        None => Ok(false),
        Some(operator) if operator.eq_ignore_ascii_case("and") => Ok(true),
        Some(operator) if operator.eq_ignore_ascii_case("or") => Ok(false),
        Some(other) => Err(QueryError::illegal(format!(
            "No enum constant org.elasticsearch.index.query.Operator.{}",
            other.to_uppercase()
        ))),
    }
}

fn insensitive(options: Option<&Map<String, Value>>) -> bool {
    options.and_then(|options| options.get("case_insensitive")) == Some(&Value::Bool(true))
}

fn multi_match(body: &Value) -> Result<Query, QueryError> {
    let options = body.as_object();
    let text = body.get("query").ok_or_else(|| QueryError::parsing("No text specified for multi_match query"))?;
    let fields = body.get("fields").map(strings).transpose()?.unwrap_or_else(|| vec!["*".to_owned()]);
    let phrase = body.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("phrase"));
    Ok(Query::MultiMatch { fields, text: plain(text), and: is_and(options, "operator")?, phrase })
}

fn terms(body: &Value) -> Result<Query, QueryError> {
    let body = body.as_object().ok_or_else(|| QueryError::parsing("[terms] query malformed"))?;
    let mut fields = body.iter().filter(|(field, _)| !matches!(field.as_str(), "boost" | "_name"));
    match (fields.next(), fields.next()) {
        (Some((field, Value::Array(values))), None) => {
            if values.len() > MAX_CLAUSES {
                return Err(QueryError::illegal(format!(
                    "The number of terms [{}] used in the Terms Query request has exceeded the allowed maximum of [{MAX_CLAUSES}].",
                    values.len()
                )));
            }
            Ok(Query::Terms { field: field.clone(), values: values.clone() })
        }
        (Some((field, _)), None) => Err(QueryError::parsing(format!("[terms] query does not support [{field}]"))),
        (None, _) => Err(QueryError::parsing(
            "[terms] query requires a field name, followed by array of terms or a document lookup specification",
        )),
        _ => Err(QueryError::parsing("[terms] query does not support multiple fields")),
    }
}

fn range(body: &Value) -> Result<Query, QueryError> {
    let body = body
        .as_object()
        .ok_or_else(|| QueryError::parsing("[range] query malformed, no start_object after query name"))?;
    let mut fields = body.iter().filter(|(field, _)| !matches!(field.as_str(), "boost" | "_name"));
    let (Some((field, Value::Object(options))), None) = (fields.next(), fields.next()) else {
        return Err(QueryError::parsing("[range] query malformed: one field with an object is expected"));
    };
    let (mut from, mut to) = (Bound::Unbounded, Bound::Unbounded);
    let open = |key: &str, default: bool| options.get(key).and_then(Value::as_bool).unwrap_or(default);
    for (key, value) in options {
        let bound = |included: bool| match value {
            Value::Null => Bound::Unbounded,
            value if included => Bound::Included(value.clone()),
            value => Bound::Excluded(value.clone()),
        };
        match key.as_str() {
            "gte" => from = bound(true),
            "gt" => from = bound(false),
            "lte" => to = bound(true),
            "lt" => to = bound(false),
            "from" => from = bound(open("include_lower", true)),
            "to" => to = bound(open("include_upper", true)),
            "format" | "time_zone" | "boost" | "relation" | "_name" | "include_lower" | "include_upper" => {}
            other => return Err(QueryError::parsing(format!("[range] query does not support [{other}]"))),
        }
    }
    if let Some(zone) = options.get("time_zone").and_then(Value::as_str)
        && crate::date::parse_fixed_zone(zone) != Some(0)
    {
        return Err(QueryError::illegal(format!("time_zone [{zone}] is not supported here, only UTC")));
    }
    Ok(Query::Range { field: field.clone(), from, to })
}

fn boolean(body: &Value, depth: usize) -> Result<Query, QueryError> {
    let body = body
        .as_object()
        .ok_or_else(|| QueryError::parsing("[bool] query malformed, no start_object after query name"))?;
    let clauses = |value: &Value| match value {
        Value::Array(clauses) if clauses.len() > MAX_CLAUSES => {
            Err(QueryError::illegal(format!("maxClauseCount is set to {MAX_CLAUSES}")))
        }
        Value::Array(clauses) => clauses.iter().map(|clause| nested(clause, depth + 1)).collect(),
        Value::Null => Ok(Vec::new()),
        clause => Ok(vec![nested(clause, depth + 1)?]),
    };
    let (mut must, mut should, mut filter, mut must_not, mut minimum) = (vec![], vec![], vec![], vec![], None);
    for (key, value) in body {
        match key.as_str() {
            "must" => must = clauses(value)?,
            "should" => should = clauses(value)?,
            "filter" => filter = clauses(value)?,
            "must_not" | "mustNot" => must_not = clauses(value)?,
            "minimum_should_match" => minimum = Some(value.clone()),
            "boost" | "_name" | "adjust_pure_negative" => {}
            other => return Err(QueryError::parsing(format!("[bool] query does not support [{other}]"))),
        }
    }
    let minimum = minimum.map(|value| minimum_should_match(&value, should.len())).transpose()?;
    Ok(Query::Bool { must, should, filter, must_not, minimum })
}

/// A number, a negative number (how many may miss) or a percentage.
fn minimum_should_match(value: &Value, clauses: usize) -> Result<usize, QueryError> {
    let text = plain(value);
    let bad = || QueryError::illegal(format!("cannot read minimum_should_match [{text}]"));
    let clauses = i64::try_from(clauses).map_err(|_| bad())?;
    let number = match text.strip_suffix('%') {
        Some(percent) => {
            let percent: i64 = percent.trim().parse().map_err(|_| bad())?;
            if percent < 0 { -(clauses.saturating_mul(-percent) / 100) } else { clauses.saturating_mul(percent) / 100 }
        }
        None => text.trim().parse().map_err(|_| bad())?,
    };
    let number = if number < 0 { clauses.saturating_add(number) } else { number };
    usize::try_from(number.max(0)).map_err(|_| bad())
}

fn query_string(body: &Value) -> Result<Query, QueryError> {
    let text = body
        .get("query")
        .and_then(Value::as_str)
        .ok_or_else(|| QueryError::parsing("[query_string] must be provided with a [query]"))?;
    let mut fields = body.get("fields").map(strings).transpose()?.unwrap_or_default();
    if let Some(field) = body.get("default_field") {
        fields.push(plain(field));
    }
    let and = is_and(body.as_object(), "default_operator")?;
    lucene::parse(text, &fields, and)
}
