//! Reading the request.

use serde_json::{Map, Value};

use super::{MAX_AGGS, MAX_DEPTH};
use crate::query::QueryError;

/// One aggregation with those below it, in the request's order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Agg {
    pub(crate) name: String,
    pub(crate) field: String,
    pub(crate) kind: Kind,
    pub(crate) subs: Vec<Agg>,
    pub(crate) meta: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Terms {
        size: usize,
        order: Vec<(String, bool)>,
        min_doc_count: u64,
        missing: Option<Value>,
        include: Option<Value>,
        exclude: Option<Value>,
    },
    DateHistogram {
        every: Every,
        offset: i64,
        bars: Bars,
    },
    Histogram {
        interval: f64,
        offset: f64,
        bars: Bars,
    },
    Range {
        ranges: Vec<RangeSpec>,
        keyed: bool,
        date: bool,
    },
    Metric {
        metric: Metric,
        missing: Option<Value>,
    },
}

/// What both histograms have.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Bars {
    pub(crate) min_doc_count: u64,
    pub(crate) extended: Option<(Value, Value)>,
    pub(crate) hard: Option<(Value, Value)>,
    pub(crate) keyed: bool,
    /// `_key` or `_count`, descending or not.
    pub(crate) order: Option<(String, bool)>,
    /// `format: epoch_millis`, as Grafana asks.
    pub(crate) epoch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Every {
    /// Milliseconds, and whether it was asked as a week (which starts on Monday).
    Fixed(i64),
    Week,
    /// Months: 1, 3 or 12.
    Months(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RangeSpec {
    pub(crate) key: Option<String>,
    pub(crate) from: Option<Value>,
    pub(crate) to: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Metric {
    Avg,
    Min,
    Max,
    Sum,
    ValueCount,
    Stats,
    ExtendedStats,
    Cardinality,
    Percentiles { percents: Vec<f64>, keyed: bool },
}

impl Agg {
    /// Has buckets of whole months, for which the data's bounds must be known.
    pub(crate) fn by_months(&self) -> bool {
        matches!(self.kind, Kind::DateHistogram { every: Every::Months(_), .. })
    }
}

/// Reads the object under `aggs`.
///
/// # Errors
/// Unknown types and options, in Elasticsearch's words where clients look at them.
pub(crate) fn parse(json: &Value) -> Result<Vec<Agg>, QueryError> {
    let mut count = 0;
    all(json, 0, &mut count)
}

fn all(json: &Value, depth: usize, count: &mut usize) -> Result<Vec<Agg>, QueryError> {
    let object = json
        .as_object()
        .ok_or_else(|| QueryError::parsing("Found [VALUE] under [aggregations]. Expected an object."))?;
    *count += object.len();
    if depth > MAX_DEPTH || *count > MAX_AGGS {
        return Err(QueryError::illegal(format!(
            "too many aggregations: at most {MAX_AGGS}, nested at most {MAX_DEPTH} deep"
        )));
    }
    object.iter().map(|(name, body)| one(name, body, depth, count)).collect()
}

fn one(name: &str, body: &Value, depth: usize, count: &mut usize) -> Result<Agg, QueryError> {
    let object = body
        .as_object()
        .ok_or_else(|| QueryError::parsing(format!("Aggregation definition for [{name}] must be an object")))?;
    if name.is_empty() || name.contains(['[', ']', '>']) {
        return Err(QueryError::parsing(format!(
            "Invalid aggregation name [{name}]. Aggregation names can contain any character except '[', ']', and '>'"
        )));
    }
    let (mut subs, mut meta, mut found) = (Vec::new(), None, None);
    for (key, value) in object {
        match key.as_str() {
            "aggs" | "aggregations" => subs = all(value, depth + 1, count)?,
            "meta" => meta = Some(value.clone()),
            kind => {
                if let Some((first, _)) = found {
                    return Err(QueryError::parsing(format!(
                        "Found two aggregation type definitions in [{name}]: [{first}] and [{kind}]"
                    )));
                }
                found = Some((kind, value));
            }
        }
    }
    let (kind, options) =
        found.ok_or_else(|| QueryError::parsing(format!("Missing definition for aggregation [{name}]")))?;
    let options = options
        .as_object()
        .ok_or_else(|| QueryError::parsing(format!("Expected [START_OBJECT] under [{kind}] in [{name}]")))?;
    let parsed = read_kind(kind, options)?;
    if matches!(parsed, Kind::Metric { .. }) && !subs.is_empty() {
        return Err(QueryError::illegal(format!(
            "Aggregator [{name}] of type [{kind}] cannot accept sub-aggregations"
        )));
    }
    let field = options.get("field").and_then(Value::as_str);
    let field = field.ok_or_else(|| {
        QueryError::illegal(format!("Required one of fields [field, script], but none were specified for [{name}]"))
    })?;
    Ok(Agg { name: name.to_owned(), field: field.to_owned(), kind: parsed, subs, meta })
}

fn read_kind(kind: &str, options: &Map<String, Value>) -> Result<Kind, QueryError> {
    let missing = options.get("missing").cloned();
    let metric = |metric| Ok(Kind::Metric { metric, missing: missing.clone() });
    match kind {
        "terms" => terms(options),
        "date_histogram" => date_histogram(options),
        "histogram" => {
            let interval = number(options, "interval")?.filter(|interval| *interval > 0.0);
            let interval =
                interval.ok_or_else(|| QueryError::illegal("[interval] must be >0 for histogram aggregation"))?;
            Ok(Kind::Histogram { interval, offset: number(options, "offset")?.unwrap_or(0.0), bars: bars(options)? })
        }
        "range" | "date_range" => ranges(options, kind == "date_range"),
        "avg" => metric(Metric::Avg),
        "min" => metric(Metric::Min),
        "max" => metric(Metric::Max),
        "sum" => metric(Metric::Sum),
        "value_count" => metric(Metric::ValueCount),
        "stats" => metric(Metric::Stats),
        "extended_stats" => metric(Metric::ExtendedStats),
        "cardinality" => metric(Metric::Cardinality),
        "percentiles" => {
            let percents = match options.get("percents") {
                None => vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0],
                Some(percents) => percents
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(as_f64)
                    .collect::<Option<Vec<f64>>>()
                    .unwrap_or_default(),
            };
            if percents.is_empty()
                || percents.len() > 1000
                || percents.iter().any(|percent| !(0.0..=100.0).contains(percent))
            {
                return Err(QueryError::illegal("percent must be in [0,100] for [percentiles]"));
            }
            metric(Metric::Percentiles { percents, keyed: options.get("keyed") != Some(&Value::Bool(false)) })
        }
        other => Err(QueryError::parsing(format!("Unknown aggregation type [{other}]"))),
    }
}

fn as_f64(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}

fn number(options: &Map<String, Value>, key: &str) -> Result<Option<f64>, QueryError> {
    match options.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => as_f64(value)
            .filter(|number| number.is_finite())
            .map(Some)
            .ok_or_else(|| QueryError::illegal(format!("cannot read [{key}] [{value}] as a number"))),
    }
}

fn unsigned(options: &Map<String, Value>, key: &str, default: u64) -> Result<u64, QueryError> {
    match options.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => {
            let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            number.ok_or_else(|| {
                QueryError::illegal(format!("[{key}] must be a whole number of at least 0, found [{value}]"))
            })
        }
    }
}

/// `{"_count": "desc"}` or a list of such.
fn order(options: &Map<String, Value>) -> Result<Vec<(String, bool)>, QueryError> {
    let list: Vec<&Value> = match options.get("order") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
    };
    let bad = || QueryError::parsing("[order] must be an object of one name and a direction");
    list.into_iter()
        .map(|entry| {
            let (name, direction) = entry.as_object().and_then(|entry| entry.iter().next()).ok_or_else(bad)?;
            let name = if name == "_term" || name == "_time" { "_key" } else { name };
            match direction.as_str().map(str::to_lowercase).as_deref() {
                Some("asc") => Ok((name.to_owned(), false)),
                Some("desc") => Ok((name.to_owned(), true)),
                _ => Err(bad()),
            }
        })
        .collect()
}

fn terms(options: &Map<String, Value>) -> Result<Kind, QueryError> {
    let size = unsigned(options, "size", 10)?;
    if size == 0 {
        return Err(QueryError::illegal("[size] must be greater than 0. Found [0]"));
    }
    Ok(Kind::Terms {
        size: usize::try_from(size.min(u64::from(super::MAX_BUCKETS))).unwrap_or(usize::MAX),
        order: order(options)?,
        min_doc_count: unsigned(options, "min_doc_count", 1)?,
        missing: options.get("missing").cloned(),
        include: options.get("include").cloned(),
        exclude: options.get("exclude").cloned(),
    })
}

fn bars(options: &Map<String, Value>) -> Result<Bars, QueryError> {
    let bounds = |key: &str| match options.get(key) {
        None | Some(Value::Null) => None,
        Some(bounds) => {
            Some((bounds.get("min").cloned().unwrap_or(Value::Null), bounds.get("max").cloned().unwrap_or(Value::Null)))
        }
    };
    Ok(Bars {
        min_doc_count: unsigned(options, "min_doc_count", 0)?,
        extended: bounds("extended_bounds"),
        hard: bounds("hard_bounds"),
        keyed: options.get("keyed") == Some(&Value::Bool(true)),
        order: order(options)?.into_iter().next(),
        epoch: options.get("format").and_then(Value::as_str) == Some("epoch_millis"),
    })
}

fn date_histogram(options: &Map<String, Value>) -> Result<Kind, QueryError> {
    if let Some(zone) = options.get("time_zone").and_then(Value::as_str)
        && crate::date::parse_fixed_zone(zone) != Some(0)
    {
        return Err(QueryError::illegal(format!("time_zone [{zone}] is not supported here, only UTC")));
    }
    let text = |key: &str| options.get(key).and_then(Value::as_str);
    let every = match (text("calendar_interval"), text("fixed_interval"), text("interval")) {
        (Some(_), Some(_), _) => {
            return Err(QueryError::illegal(
                "Cannot use [fixed_interval] with [calendar_interval] configuration option.",
            ));
        }
        (Some(calendar), None, _) => calendar_interval(calendar)?,
        (None, Some(fixed), _) => fixed_interval(fixed)?,
        (None, None, Some(either)) => calendar_interval(either).or_else(|_| fixed_interval(either))?,
        (None, None, None) => {
            return Err(QueryError::illegal("Invalid interval specified, must be non-null and non-empty"));
        }
    };
    let offset = text("offset").map(|offset| match offset.strip_prefix('-') {
        Some(rest) => duration(rest).map(|offset| -offset),
        None => duration(offset.trim_start_matches('+')),
    });
    let offset = offset.transpose()?.unwrap_or(0);
    Ok(Kind::DateHistogram { every, offset, bars: bars(options)? })
}

fn calendar_interval(text: &str) -> Result<Every, QueryError> {
    use crate::date::{DAY, HOUR, MINUTE, SECOND};
    Ok(match text {
        "second" | "1s" => Every::Fixed(SECOND),
        "minute" | "1m" => Every::Fixed(MINUTE),
        "hour" | "1h" => Every::Fixed(HOUR),
        "day" | "1d" => Every::Fixed(DAY),
        "week" | "1w" => Every::Week,
        "month" | "1M" => Every::Months(1),
        "quarter" | "1q" => Every::Months(3),
        "year" | "1y" => Every::Months(12),
        other => {
            return Err(QueryError::illegal(format!(
                "The supplied interval [{other}] could not be parsed as a calendar interval."
            )));
        }
    })
}

fn fixed_interval(text: &str) -> Result<Every, QueryError> {
    match duration(text) {
        Ok(ms) if ms > 0 => Ok(Every::Fixed(ms)),
        Ok(_) => Err(QueryError::illegal("Zero or negative time interval not supported")),
        Err(_) => Err(QueryError::illegal(format!(
            "failed to parse setting [date_histogram.fixedInterval] with value [{text}] as a time value: unit is missing or unrecognized"
        ))),
    }
}

/// Elasticsearch's time values: `100ms`, `30s`, `5m`, `2h`, `1d`.
fn duration(text: &str) -> Result<i64, QueryError> {
    use crate::date::{DAY, HOUR, MINUTE, SECOND};
    let bad = || QueryError::illegal(format!("failed to parse [{text}] as a time value"));
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let number: i64 = text.get(..split).and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
    let unit = match text.get(split..).unwrap_or_default() {
        "ms" => 1,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return Err(bad()),
    };
    number.checked_mul(unit).ok_or_else(bad)
}

fn ranges(options: &Map<String, Value>, date: bool) -> Result<Kind, QueryError> {
    let list = options.get("ranges").and_then(Value::as_array).filter(|list| !list.is_empty() && list.len() <= 10_000);
    let list = list.ok_or_else(|| QueryError::illegal("No [ranges] specified for the range aggregation"))?;
    let present = |value: Option<&Value>| value.filter(|value| !value.is_null()).cloned();
    let ranges = list
        .iter()
        .map(|range| RangeSpec {
            key: range.get("key").and_then(Value::as_str).map(str::to_owned),
            from: present(range.get("from")),
            to: present(range.get("to")),
        })
        .collect();
    Ok(Kind::Range { ranges, keyed: options.get("keyed") == Some(&Value::Bool(true)), date })
}
