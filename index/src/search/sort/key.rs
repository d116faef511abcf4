//! A sort value outside its segment: comparable between indices, and as JSON.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::{Missing, Sort};
use crate::mapping::Kind;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Key {
    Missing,
    Int(i64),
    Float(f64),
    Text(String),
}

impl Key {
    /// The order under `sort`: `Less` comes first.
    pub(crate) fn compare(&self, other: &Self, sort: &Sort) -> Ordering {
        let natural = match (self, other) {
            (Self::Missing, Self::Missing) => return Ordering::Equal,
            (Self::Missing, _) => {
                return if sort.missing == Missing::First { Ordering::Less } else { Ordering::Greater };
            }
            (_, Self::Missing) => {
                return if sort.missing == Missing::First { Ordering::Greater } else { Ordering::Less };
            }
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            // Indices that disagree about a field's type: numbers by value, before text.
            (a, b) => match (a.number(), b.number()) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            },
        };
        if sort.descending { natural.reverse() } else { natural }
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Missing | Self::Text(_) => None,
        }
    }

    /// As hits tell it; a missing number is the type's extreme, as in Elasticsearch.
    pub(crate) fn to_json(&self, sort: &Sort, kind: Option<Kind>) -> Value {
        match self {
            Self::Int(value) => json!(value),
            Self::Float(value) => json!(value),
            Self::Text(text) => json!(text),
            Self::Missing => {
                let high = (sort.missing == Missing::Last) != sort.descending;
                match kind {
                    Some(Kind::Double) => json!(if high { "Infinity" } else { "-Infinity" }),
                    Some(Kind::Long | Kind::Date | Kind::Boolean) => json!(if high { i64::MAX } else { i64::MIN }),
                    _ => Value::Null,
                }
            }
        }
    }

    /// Reads a value of `search_after`; extremes that stand for a missing value become one.
    pub(crate) fn from_json(value: &Value, kind: Option<Kind>, now: i64) -> Option<Self> {
        let extreme = |value: i64| value == i64::MAX || value == i64::MIN;
        Some(match (value, kind) {
            (Value::Null, _) => Self::Missing,
            (Value::Number(number), Some(Kind::Double)) => Self::Float(number.as_f64()?),
            (Value::Number(number), Some(Kind::Long | Kind::Date | Kind::Boolean)) => match number.as_i64() {
                Some(value) if extreme(value) => Self::Missing,
                Some(value) => Self::Int(value),
                None => Self::Float(number.as_f64()?),
            },
            (Value::String(text), Some(Kind::Double)) if matches!(text.as_str(), "Infinity" | "-Infinity") => {
                Self::Missing
            }
            (Value::String(text), Some(Kind::Date)) => {
                Self::Int(crate::date::math::parse_math(text, now, crate::date::Round::Down)?)
            }
            (Value::String(text), Some(Kind::Double)) => Self::Float(text.parse().ok()?),
            (Value::String(text), Some(Kind::Long | Kind::Boolean)) => Self::Int(text.parse().ok()?),
            (Value::Bool(value), Some(Kind::Boolean)) => Self::Int(i64::from(*value)),
            (Value::String(text), _) => Self::Text(text.clone()),
            (Value::Number(number), None) => {
                number.as_i64().map(Self::Int).or_else(|| number.as_f64().map(Self::Float))?
            }
            (other, _) => Self::Text(other.to_string()),
        })
    }
}
