//! What a program sees of the record beside its event: names behind `%`, with their kinds for the compiler and their values
//! for a run.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use vrl::value::{self, ObjectMap, Value, kind::Collection};

/// Of which kind a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    /// Text, or null.
    Optional,
}

/// The names, each with its kind.
pub type Names = [(&'static str, Kind)];

/// The value of a name.
#[derive(Debug, Clone)]
pub enum Datum<'a> {
    Text(Cow<'a, str>),
    Number(i64),
    /// A line's identity, which is shown as 22 characters of base64url.
    Id([u8; 16]),
    Null,
}

pub(crate) fn kinds(names: &Names) -> Collection<value::kind::Field> {
    names.iter().fold(Collection::empty(), |all, (name, kind)| {
        let kind = match kind {
            Kind::Text => value::Kind::bytes(),
            Kind::Number => value::Kind::integer(),
            Kind::Optional => value::Kind::bytes().or_null(),
        };
        all.with_known(*name, kind)
    })
}

pub(crate) fn object(metadata: &[(&'static str, Datum<'_>)]) -> Value {
    let value = |datum: &Datum<'_>| match datum {
        Datum::Text(text) => Value::from(text.as_ref()),
        Datum::Number(number) => Value::from(*number),
        Datum::Id(id) => Value::from(URL_SAFE_NO_PAD.encode(id)),
        Datum::Null => Value::Null,
    };
    Value::Object(metadata.iter().map(|(name, datum)| ((*name).into(), value(datum))).collect::<ObjectMap>())
}
