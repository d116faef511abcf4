//! Tantivy's answer in Elasticsearch's shapes.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::{
    Agg, Kind, Metric, Resolve,
    request::{Bars, Every},
    rewrite::private_name,
};
use crate::{
    date,
    mapping::{Kind as FieldKind, Target},
};

/// Renders the results of `aggs`; `results` is Tantivy's answer as JSON.
pub(crate) fn render(aggs: &[Agg], results: &Value, indices: &dyn Resolve) -> Map<String, Value> {
    let mut out = Map::new();
    for (place, agg) in aggs.iter().enumerate() {
        let result = results.get(private_name(place)).unwrap_or(&Value::Null);
        let mut rendered = one(agg, result, indices);
        if let (Some(meta), Value::Object(rendered)) = (&agg.meta, &mut rendered) {
            rendered.insert("meta".to_owned(), meta.clone());
        }
        out.insert(agg.name.clone(), rendered);
    }
    out
}

fn one(agg: &Agg, result: &Value, indices: &dyn Resolve) -> Value {
    let kind = match indices.resolve(&agg.field) {
        Some(Target::Number(_, kind)) => Some(kind),
        Some(Target::SeqNo) => Some(FieldKind::Long),
        _ => None,
    };
    match &agg.kind {
        Kind::Terms { size, order, .. } => terms(agg, result, *size, order.first(), kind, indices),
        Kind::Histogram { bars, .. } => histogram(agg, result, bars, None, indices),
        Kind::DateHistogram { every, bars, .. } => {
            let months = matches!(every, Every::Months(_));
            histogram(agg, result, bars, Some(months), indices)
        }
        Kind::Range { keyed, .. } => ranges(agg, result, *keyed, kind, indices),
        Kind::Metric { metric, .. } => metric_value(metric, result, kind),
    }
}

fn buckets(result: &Value) -> &[Value] {
    result.get("buckets").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn with_subs(agg: &Agg, mut bucket: Map<String, Value>, result: &Value, indices: &dyn Resolve) -> Value {
    bucket.insert("doc_count".to_owned(), json!(result.get("doc_count").and_then(Value::as_u64).unwrap_or(0)));
    bucket.extend(render(&agg.subs, result, indices));
    Value::Object(bucket)
}

#[allow(clippy::cast_possible_truncation)]
fn whole(value: &Value) -> i64 {
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|value| value as i64))
        .or_else(|| value.as_str()?.parse().ok())
        .unwrap_or(0)
}

fn terms(
    agg: &Agg,
    result: &Value,
    size: usize,
    order: Option<&(String, bool)>,
    kind: Option<FieldKind>,
    indices: &dyn Resolve,
) -> Value {
    let mut list: Vec<&Value> = buckets(result).iter().collect();
    // Elasticsearch breaks ties by key, ascending.
    let count = |bucket: &Value| bucket.get("doc_count").and_then(Value::as_u64).unwrap_or(0);
    match order.map(|(name, descending)| (name.as_str(), *descending)) {
        None | Some(("_count", true)) => list.sort_by(|a, b| count(b).cmp(&count(a)).then_with(|| by_key(a, b))),
        Some(("_count", false)) => list.sort_by(|a, b| count(a).cmp(&count(b)).then_with(|| by_key(a, b))),
        _ => {}
    }
    let mut other = result.get("sum_other_doc_count").and_then(Value::as_u64).unwrap_or(0);
    other += list.iter().skip(size).map(|bucket| count(bucket)).sum::<u64>();
    let list: Vec<Value> = list
        .into_iter()
        .take(size)
        .map(|bucket| {
            let key = bucket.get("key").unwrap_or(&Value::Null);
            let mut out = Map::new();
            match kind {
                Some(FieldKind::Boolean) => {
                    let value = whole(key);
                    out.insert("key".to_owned(), json!(value));
                    out.insert("key_as_string".to_owned(), json!(if value == 0 { "false" } else { "true" }));
                }
                Some(FieldKind::Date) => {
                    let value = whole(key);
                    out.insert("key".to_owned(), json!(value));
                    out.insert("key_as_string".to_owned(), json!(date::render(value)));
                }
                Some(FieldKind::Double) => drop(out.insert("key".to_owned(), json!(key.as_f64().unwrap_or(0.0)))),
                Some(_) => drop(out.insert("key".to_owned(), json!(whole(key)))),
                None => drop(out.insert("key".to_owned(), key.clone())),
            }
            with_subs(agg, out, bucket, indices)
        })
        .collect();
    json!({ "doc_count_error_upper_bound": 0, "sum_other_doc_count": other, "buckets": list })
}

fn by_key(a: &Value, b: &Value) -> Ordering {
    match (a.get("key"), b.get("key")) {
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(a), Some(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        _ => Ordering::Equal,
    }
}

/// `dates`: `None` for numbers, else whether the buckets came as ranges of months.
fn histogram(agg: &Agg, result: &Value, bars: &Bars, dates: Option<bool>, indices: &dyn Resolve) -> Value {
    let count = |bucket: &Value| bucket.get("doc_count").and_then(Value::as_u64).unwrap_or(0);
    let mut list: Vec<&Value> = buckets(result).iter().collect();
    if dates == Some(true) {
        // Tantivy adds ranges for what lies outside; those have no key of ours.
        list.retain(|bucket| bucket.get("key").and_then(Value::as_str).is_some_and(|key| key.parse::<i64>().is_ok()));
        let first = list.iter().position(|bucket| count(bucket) > 0).unwrap_or(list.len());
        let last = list.iter().rposition(|bucket| count(bucket) > 0).map_or(first, |last| last + 1);
        list = list.get(first..last).unwrap_or_default().to_vec();
        list.retain(|bucket| count(bucket) >= bars.min_doc_count);
    }
    match &bars.order {
        Some((name, true)) if name == "_key" => list.reverse(),
        Some((name, descending)) if name == "_count" => {
            list.sort_by(|a, b| if *descending { count(b).cmp(&count(a)) } else { count(a).cmp(&count(b)) });
        }
        _ => {}
    }
    let mut keyed = Map::new();
    let mut plain = Vec::new();
    for bucket in list {
        let key = bucket.get("key").unwrap_or(&Value::Null);
        let mut out = Map::new();
        let label = if dates.is_some() {
            let ms = whole(key);
            let label = if bars.epoch { ms.to_string() } else { date::render(ms) };
            out.insert("key_as_string".to_owned(), json!(label));
            out.insert("key".to_owned(), json!(ms));
            label
        } else {
            let number = key.as_f64().unwrap_or(0.0);
            out.insert("key".to_owned(), json!(number));
            format!("{number:?}")
        };
        let bucket = with_subs(agg, out, bucket, indices);
        if bars.keyed { drop(keyed.insert(label, bucket)) } else { plain.push(bucket) }
    }
    if bars.keyed { json!({ "buckets": keyed }) } else { json!({ "buckets": plain }) }
}

fn ranges(agg: &Agg, result: &Value, keyed: bool, kind: Option<FieldKind>, indices: &dyn Resolve) -> Value {
    let Kind::Range { ranges, date, .. } = &agg.kind else { return Value::Null };
    let dates = *date || kind == Some(FieldKind::Date);
    let text = |number: f64| if dates { date::render(whole(&json!(number))) } else { format!("{number:?}") };
    let mut list: Vec<(f64, String, Value)> = Vec::new();
    for (place, spec) in ranges.iter().enumerate() {
        let own = place.to_string();
        let found = buckets(result)
            .iter()
            .find(|bucket| bucket.get("key").and_then(Value::as_str) == Some(&own))
            .unwrap_or(&Value::Null);
        let (from, to) = (found.get("from").and_then(Value::as_f64), found.get("to").and_then(Value::as_f64));
        let end = |bound: Option<f64>| bound.map_or_else(|| "*".to_owned(), text);
        let key = spec.key.clone().unwrap_or_else(|| format!("{}-{}", end(from), end(to)));
        let mut out = Map::new();
        if !keyed {
            out.insert("key".to_owned(), json!(key));
        }
        for (name, bound) in [("from", from), ("to", to)] {
            if let Some(bound) = bound {
                out.insert(name.to_owned(), json!(bound));
                if dates {
                    out.insert(format!("{name}_as_string"), json!(text(bound)));
                }
            }
        }
        list.push((from.unwrap_or(f64::MIN), key, with_subs(agg, out, found, indices)));
    }
    list.sort_by(|a, b| a.0.total_cmp(&b.0));
    if keyed {
        let buckets: Map<String, Value> = list.into_iter().map(|(_, key, bucket)| (key, bucket)).collect();
        return json!({ "buckets": buckets });
    }
    let buckets: Vec<Value> = list.into_iter().map(|(_, _, bucket)| bucket).collect();
    json!({ "buckets": buckets })
}

fn metric_value(metric: &Metric, result: &Value, kind: Option<FieldKind>) -> Value {
    let number = |key: &str| result.get(key).and_then(Value::as_f64);
    let dates = kind == Some(FieldKind::Date);
    let mut out = Map::new();
    match metric {
        Metric::ValueCount | Metric::Cardinality => {
            out.insert("value".to_owned(), json!(result.get("value").map_or(0, whole)));
        }
        Metric::Avg | Metric::Min | Metric::Max | Metric::Sum => {
            let value = number("value").or((*metric == Metric::Sum).then_some(0.0));
            out.insert("value".to_owned(), json!(value));
            if dates && let Some(value) = value {
                out.insert("value_as_string".to_owned(), json!(date::render(whole(&json!(value)))));
            }
        }
        Metric::Stats | Metric::ExtendedStats => {
            out.insert("count".to_owned(), json!(result.get("count").map_or(0, whole)));
            for key in ["min", "max", "avg"] {
                out.insert(key.to_owned(), json!(number(key)));
            }
            out.insert("sum".to_owned(), json!(number("sum").unwrap_or(0.0)));
            if *metric == Metric::ExtendedStats {
                extended(&mut out, result);
            }
        }
        Metric::Percentiles { percents, keyed } => return percentiles(percents, *keyed, result, dates),
    }
    Value::Object(out)
}

fn extended(out: &mut Map<String, Value>, result: &Value) {
    for (name, theirs) in [
        ("sum_of_squares", "sum_of_squares"),
        ("variance", "variance_population"),
        ("variance_population", "variance_population"),
        ("variance_sampling", "variance_sampling"),
        ("std_deviation", "std_deviation_population"),
        ("std_deviation_population", "std_deviation_population"),
        ("std_deviation_sampling", "std_deviation_sampling"),
    ] {
        let value =
            result.get(theirs).or_else(|| result.get(theirs.trim_end_matches("_population"))).and_then(Value::as_f64);
        out.insert(name.to_owned(), json!(value));
    }
    if let Some(bounds) = result.get("std_deviation_bounds") {
        out.insert("std_deviation_bounds".to_owned(), bounds.clone());
    }
}

fn percentiles(percents: &[f64], keyed: bool, result: &Value, dates: bool) -> Value {
    let values = result.get("values").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut sorted = percents.to_vec();
    sorted.sort_by(f64::total_cmp);
    let value = |percent: f64| {
        values
            .iter()
            .find(|entry| entry.get("key").and_then(Value::as_f64) == Some(percent))
            .and_then(|entry| entry.get("value"))
            .and_then(Value::as_f64)
    };
    let mut object = Map::new();
    let mut list = Vec::new();
    for percent in sorted {
        let value = value(percent);
        let text = value.filter(|_| dates).map(|value| date::render(whole(&json!(value))));
        object.insert(format!("{percent:?}"), json!(value));
        let mut entry = json!({ "key": percent, "value": value });
        if let Some(text) = text {
            object.insert(format!("{percent:?}_as_string"), json!(text));
            entry["value_as_string"] = json!(text);
        }
        list.push(entry);
    }
    if keyed { json!({ "values": object }) } else { json!({ "values": list }) }
}
