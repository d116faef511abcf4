//! The request in Tantivy's words.

use serde_json::{Map, Value, json};

use super::{
    Agg, Bounds, Kind, MAX_BUCKETS, Metric, calendar,
    request::{Bars, Every, RangeSpec},
};
use crate::{
    date::{self, Round},
    mapping::{Kind as FieldKind, Target},
    query::QueryError,
    schema,
};

/// Buckets each segment offers, so that counts over segments are exact up to here.
const SEGMENT_TERMS: usize = 10_000;
/// Terms asked for beyond the size, to break ties by key as Elasticsearch does.
const SPARE_TERMS: usize = 100;

/// What the searched indices say about fields.
pub(crate) trait Resolve {
    fn resolve(&self, field: &str) -> Option<Target>;
    /// `now` of date math, milliseconds.
    fn now(&self) -> i64;
}

/// Name of the aggregation at this place among its siblings.
pub(super) fn private_name(place: usize) -> String {
    format!("a{place}")
}

/// # Errors
/// Fields that cannot be aggregated, options that cannot be read.
pub(crate) fn rewrite(aggs: &[Agg], indices: &dyn Resolve, bounds: &Bounds) -> Result<Value, QueryError> {
    let mut out = Map::new();
    for (place, agg) in aggs.iter().enumerate() {
        let (kind, body) = one(agg, indices, bounds)?;
        let subs = rewrite(&agg.subs, indices, bounds)?;
        out.insert(private_name(place), json!({ kind: body, "aggs": subs }));
    }
    Ok(Value::Object(out))
}

fn column(agg: &Agg, indices: &dyn Resolve) -> Result<(String, Option<FieldKind>), QueryError> {
    Ok(match indices.resolve(&agg.field) {
        Some(Target::Keyword(path)) => (schema::keyword_column(&path), None),
        Some(Target::Number(path, kind)) => (schema::number_column(&path), Some(kind)),
        Some(Target::Text(path)) => return Err(text_field(&path)),
        Some(Target::Id | Target::Index) => {
            return Err(QueryError::illegal(format!("aggregations on [{}] are not supported here", agg.field)));
        }
        Some(Target::SeqNo) => ("_seq_no".to_owned(), Some(FieldKind::Long)),
        None => (schema::number_column(&agg.field), None),
    })
}

/// As Elasticsearch refuses a text field.
pub(crate) fn text_field(path: &str) -> QueryError {
    QueryError::illegal(format!(
        "Fielddata is disabled on [{path}] in [_all]. Text fields are not optimised for operations that require per-document field data like \
         aggregations and sorting, so these operations are disabled by default. Please use a keyword field instead. Alternatively, set \
         fielddata=true on [{path}] in order to load field data by uninverting the inverted index. Note that this can use significant memory."
    ))
}

fn one(agg: &Agg, indices: &dyn Resolve, bounds: &Bounds) -> Result<(&'static str, Value), QueryError> {
    let (field, kind) = column(agg, indices)?;
    let value = |value: &Value| scalar(value, kind, indices.now());
    Ok(match &agg.kind {
        Kind::Terms { size, order, min_doc_count, missing, include, exclude } => {
            let mut body = json!({ "field": field, "size": size + SPARE_TERMS, "segment_size": SEGMENT_TERMS.max(size + SPARE_TERMS), "min_doc_count": min_doc_count });
            if let Some((name, descending)) = order.first() {
                body["order"] = json!({ order_name(agg, name)?: if *descending { "desc" } else { "asc" } });
            }
            for (key, option) in [("include", include), ("exclude", exclude)] {
                if let Some(option) = option {
                    body[key] = option.clone();
                }
            }
            if let Some(missing) = missing {
                body["missing"] = if kind.is_some() {
                    json!(value(missing)?)
                } else {
                    json!(missing.as_str().map_or_else(|| missing.to_string(), str::to_owned))
                };
            }
            ("terms", body)
        }
        Kind::Histogram { interval, offset, bars } => {
            ("histogram", histogram(&field, *interval, *offset, bars, &value)?)
        }
        #[allow(clippy::cast_precision_loss)]
        Kind::DateHistogram { every: Every::Fixed(ms), offset, bars } => {
            ("histogram", histogram(&field, *ms as f64, offset.rem_euclid(*ms) as f64, bars, &value)?)
        }
        #[allow(clippy::cast_precision_loss)]
        Kind::DateHistogram { every: Every::Week, offset, bars } => {
            // 1970-01-05 was a Monday.
            let offset = (4 * date::DAY + offset).rem_euclid(7 * date::DAY);
            ("histogram", histogram(&field, (7 * date::DAY) as f64, offset as f64, bars, &value)?)
        }
        Kind::DateHistogram { every: Every::Months(months), .. } => {
            let starts = match bounds.get(&agg.field) {
                Some((from, to)) => {
                    calendar::periods(*months, *from, *to, MAX_BUCKETS as usize).ok_or_else(too_many)?
                }
                None => vec![0, 1],
            };
            let ranges: Vec<Value> = starts
                .windows(2)
                .map(|pair| json!({ "key": pair[0].to_string(), "from": pair[0], "to": pair[1] }))
                .collect();
            ("range", json!({ "field": field, "ranges": ranges }))
        }
        Kind::Range { ranges, .. } => {
            let ranges: Result<Vec<Value>, QueryError> =
                ranges.iter().enumerate().map(|(place, range)| range_body(place, range, &value)).collect();
            ("range", json!({ "field": field, "ranges": ranges? }))
        }
        Kind::Metric { metric, missing } => {
            let name = match metric {
                Metric::Avg => "avg",
                Metric::Min => "min",
                Metric::Max => "max",
                Metric::Sum => "sum",
                Metric::ValueCount => "value_count",
                Metric::Stats => "stats",
                Metric::ExtendedStats => "extended_stats",
                Metric::Cardinality => "cardinality",
                Metric::Percentiles { .. } => "percentiles",
            };
            if kind.is_none()
                && !matches!(metric, Metric::ValueCount | Metric::Cardinality)
                && indices.resolve(&agg.field).is_some()
            {
                return Err(QueryError::illegal(format!(
                    "Field [{}] of type [keyword] is not supported for aggregation [{name}]",
                    agg.field
                )));
            }
            let mut body = json!({ "field": field });
            if let Some(missing) = missing {
                body["missing"] = if kind.is_some() { json!(value(missing)?) } else { missing.clone() };
            }
            if let Metric::Percentiles { percents, .. } = metric {
                body["percents"] = json!(percents);
                body["keyed"] = json!(false);
            }
            (name, body)
        }
    })
}

pub(crate) fn too_many() -> QueryError {
    QueryError {
        kind: "too_many_buckets_exception",
        reason: format!(
            "Trying to create too many buckets. Must be less than or equal to: [{MAX_BUCKETS}] but this number of buckets was exceeded. This limit can be set by changing the [search.max_buckets] cluster level setting."
        ),
    }
}

fn order_name(agg: &Agg, name: &str) -> Result<String, QueryError> {
    if matches!(name, "_count" | "_key") {
        return Ok(name.to_owned());
    }
    let (sub, property) = name.split_once('.').unwrap_or((name, ""));
    let place = agg.subs.iter().position(|candidate| candidate.name == sub).ok_or_else(|| {
        QueryError { kind: "aggregation_execution_exception", reason: format!("Invalid aggregation order path [{name}]. The provided aggregation [{sub}] either does not exist, or is a pipeline aggregation and cannot be used to sort the buckets.") }
    })?;
    Ok(match property {
        "" | "value" => private_name(place),
        property => format!("{}.{property}", private_name(place)),
    })
}

/// A value of a request as the number the column has.
fn scalar(value: &Value, kind: Option<FieldKind>, now: i64) -> Result<f64, QueryError> {
    let bad = || QueryError::illegal(format!("cannot read [{value}] as a number or date"));
    #[allow(clippy::cast_precision_loss)]
    match (value, kind) {
        (Value::Bool(value), _) => Ok(f64::from(u8::from(*value))),
        (Value::String(text), Some(FieldKind::Date)) => {
            date::math::parse_math(text, now, Round::Down).map(|ms| ms as f64).ok_or_else(bad)
        }
        (Value::String(text), Some(FieldKind::Boolean)) => Ok(f64::from(u8::from(text == "true"))),
        (Value::String(text), _) => text.parse().map_err(|_| bad()),
        (value, _) => value.as_f64().ok_or_else(bad),
    }
}

fn histogram(
    field: &str,
    interval: f64,
    offset: f64,
    bars: &Bars,
    value: &dyn Fn(&Value) -> Result<f64, QueryError>,
) -> Result<Value, QueryError> {
    let mut body = json!({ "field": field, "interval": interval, "min_doc_count": bars.min_doc_count });
    if offset != 0.0 {
        body["offset"] = json!(offset);
    }
    for (key, bounds) in [("extended_bounds", &bars.extended), ("hard_bounds", &bars.hard)] {
        // Tantivy wants both ends, and no extension when empty buckets are left out.
        if let Some((min, max)) = bounds
            && !min.is_null()
            && !max.is_null()
            && (key == "hard_bounds" || bars.min_doc_count == 0)
        {
            let (min, max) = (value(min)?, value(max)?);
            if key == "extended_bounds" && (max - min) / interval > f64::from(MAX_BUCKETS) {
                return Err(too_many());
            }
            body[key] = json!({ "min": min, "max": max });
        }
    }
    Ok(body)
}

fn range_body(
    place: usize,
    range: &RangeSpec,
    value: &dyn Fn(&Value) -> Result<f64, QueryError>,
) -> Result<Value, QueryError> {
    let mut body = json!({ "key": place.to_string() });
    for (key, bound) in [("from", &range.from), ("to", &range.to)] {
        if let Some(bound) = bound {
            body[key] = json!(value(bound)?);
        }
    }
    Ok(body)
}
