//! One JSON scalar into one field: coercions, dynamic types and Elasticsearch's words for what does not fit.

use std::{borrow::Cow, sync::Arc};

use super::{DYNAMIC_IGNORE_ABOVE, Field, Kind, Leaf, LeafValue};
use crate::date::{self, Round};

/// A scalar as the document has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Str(Cow<'a, str>),
    Int(i64),
    /// Above `i64::MAX`.
    Big(u64),
    Float(f64),
    Bool(bool),
}

/// Why a value does not fit its field: `type` and `reason` of Elasticsearch's `caused_by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
}

impl Cause {
    fn illegal(reason: String) -> Self {
        Self { kind: "illegal_argument_exception", reason }
    }
}

impl Scalar<'_> {
    /// As Elasticsearch shows it in "Preview of field's value".
    pub(crate) fn preview(&self) -> String {
        match self {
            Self::Str(text) => text.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Big(value) => value.to_string(),
            Self::Float(value) => float_text(*value),
            Self::Bool(value) => value.to_string(),
        }
    }

    /// The field that dynamic mapping makes of a first value.
    pub(crate) fn dynamic_field(&self, path: &str, date_detection: bool) -> Field {
        let (kind, type_name) = match self {
            Self::Str(text) if date_detection && date::detect(text) => (Kind::Date, "date"),
            Self::Str(_) => (Kind::Text, "text"),
            Self::Int(_) | Self::Big(_) => (Kind::Long, "long"),
            Self::Float(_) => (Kind::Double, "float"),
            Self::Bool(_) => (Kind::Boolean, "boolean"),
        };
        let text = kind == Kind::Text;
        Field {
            path: Arc::from(path),
            kind,
            type_name,
            keyword: text,
            ignore_above: text.then_some(DYNAMIC_IGNORE_ABOVE),
        }
    }
}

/// The value as `field` indexes it; `None` for an empty string in a date or boolean where Elasticsearch takes it for nothing.
pub(crate) fn convert<'a>(field: &Field, ordinal: u32, scalar: Scalar<'a>) -> Result<Leaf<'a>, Cause> {
    let value = match field.kind {
        Kind::Text | Kind::Keyword => match scalar {
            Scalar::Str(text) => LeafValue::Str(text),
            other => LeafValue::Str(Cow::Owned(other.preview())),
        },
        Kind::Long => LeafValue::I64(long(field, scalar)?),
        Kind::Double => LeafValue::F64(double(scalar)?),
        Kind::Boolean => LeafValue::I64(i64::from(boolean(&scalar)?)),
        Kind::Date => LeafValue::I64(date(&scalar)?),
    };
    Ok(Leaf { field: ordinal, value })
}

fn long(field: &Field, scalar: Scalar<'_>) -> Result<i64, Cause> {
    let out_of_range = |text: String| {
        Cause::illegal(match field.type_name {
            "long" | "unsigned_long" => {
                format!("Numeric value ({text}) out of range of long (-9223372036854775808 - 9223372036854775807)")
            }
            other => {
                format!("Value [{text}] is out of range for {}", if other == "integer" { "an integer" } else { other })
            }
        })
    };
    let value = match scalar {
        Scalar::Int(value) => value,
        Scalar::Big(value) => return Err(out_of_range(value.to_string())),
        Scalar::Float(value) => truncate(value).ok_or_else(|| out_of_range(float_text(value)))?,
        Scalar::Str(text) => match text.parse::<i64>() {
            Ok(value) => value,
            Err(_) => {
                let float = text.parse::<f64>().ok().filter(|value| value.is_finite());
                let float = float.ok_or_else(|| Cause::illegal(format!("For input string: \"{text}\"")))?;
                truncate(float).ok_or_else(|| out_of_range(text.to_string()))?
            }
        },
        Scalar::Bool(value) => return Err(not_numeric(value)),
    };
    let (min, max) = match field.type_name {
        "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        "short" => (i64::from(i16::MIN), i64::from(i16::MAX)),
        "byte" => (i64::from(i8::MIN), i64::from(i8::MAX)),
        _ => return Ok(value),
    };
    if (min..=max).contains(&value) { Ok(value) } else { Err(out_of_range(value.to_string())) }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn truncate(value: f64) -> Option<i64> {
    let whole = value.trunc();
    (whole >= i64::MIN as f64 && whole < i64::MAX as f64).then_some(whole as i64)
}

#[allow(clippy::cast_precision_loss)]
fn double(scalar: Scalar<'_>) -> Result<f64, Cause> {
    match scalar {
        Scalar::Int(value) => Ok(value as f64),
        Scalar::Big(value) => Ok(value as f64),
        Scalar::Float(value) => Ok(value),
        Scalar::Str(text) => {
            text.trim().parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| Cause {
                kind: "number_format_exception",
                reason: format!("For input string: \"{text}\""),
            })
        }
        Scalar::Bool(value) => Err(not_numeric(value)),
    }
}

fn not_numeric(value: bool) -> Cause {
    Cause::illegal(format!(
        "Current token (VALUE_{}) not numeric, can not use numeric value accessors",
        if value { "TRUE" } else { "FALSE" }
    ))
}

fn boolean(scalar: &Scalar<'_>) -> Result<bool, Cause> {
    match scalar {
        Scalar::Bool(value) => Ok(*value),
        Scalar::Str(text) if matches!(text.as_ref(), "true") => Ok(true),
        Scalar::Str(text) if matches!(text.as_ref(), "false" | "") => Ok(false),
        other => Err(Cause::illegal(format!(
            "Failed to parse value [{}] as only [true] or [false] are allowed.",
            other.preview()
        ))),
    }
}

fn date(scalar: &Scalar<'_>) -> Result<i64, Cause> {
    let bad = || {
        Cause::illegal(format!(
            "failed to parse date field [{}] with format [strict_date_optional_time||epoch_millis]",
            scalar.preview()
        ))
    };
    match scalar {
        Scalar::Int(value) => Ok(*value),
        Scalar::Str(text) => date::parse(text, Round::Down).or_else(|| date::parse_slashes(text)).ok_or_else(bad),
        Scalar::Float(value) => truncate(*value).ok_or_else(bad),
        Scalar::Big(_) | Scalar::Bool(_) => Err(bad()),
    }
}

/// A double as Java writes it: `1.0`, `1.0E10`.
pub(crate) fn float_text(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => text,
    }
}
