//! How each Rust type of a message field goes onto the wire.

use std::borrow::Cow;

use super::error::{DecodeError, DecodeErrorKind as Kind, EncodeError};
use super::{Reader, Uuid, Writer};

/// What the wire form of a field depends on besides its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    pub version: i16,
    /// Compact lengths and tagged fields (KIP-482).
    pub flexible: bool,
    /// Whether this field may be null in this version.
    pub nullable: bool,
}

impl Wire {
    pub fn new(version: i16, flexible: bool) -> Self {
        Self { version, flexible, nullable: false }
    }

    #[inline]
    pub(crate) fn nullable(self, nullable: bool) -> Self {
        Self { nullable, ..self }
    }
}

/// A type that a message field can have.
///
/// `None` where the version knows no null is written as the type's default (an empty string, no elements).
pub trait Field<'a>: Sized {
    fn decode(r: &mut Reader<'a>, wire: Wire) -> Result<Self, DecodeError>;

    fn encode(&self, w: &mut Writer, wire: Wire) -> Result<(), EncodeError>;

    /// The fewest bytes a value takes; bounds array counts.
    fn min_size(wire: Wire) -> usize;

    /// Null or a value. Unless a type says otherwise: a byte -1 for null or 1, then the value.
    fn decode_nullable(r: &mut Reader<'a>, wire: Wire) -> Result<Option<Self>, DecodeError> {
        if r.i8()? < 0 { Ok(None) } else { Self::decode(r, wire).map(Some) }
    }

    fn encode_nullable(value: Option<&Self>, w: &mut Writer, wire: Wire) -> Result<(), EncodeError> {
        match value {
            None => w.put_i8(-1),
            Some(value) => {
                w.put_i8(1);
                value.encode(w, wire)?;
            }
        }
        Ok(())
    }

    #[cfg(test)]
    fn arbitrary(g: &mut super::arbitrary::Source<'a>, wire: Wire) -> Self;
}

macro_rules! fixed {
    ($($ty:ty, $get:ident, $put:ident;)*) => { $(
        impl<'a> Field<'a> for $ty {
            #[inline]
            fn decode(r: &mut Reader<'a>, _: Wire) -> Result<Self, DecodeError> {
                r.$get()
            }

            #[inline]
            fn encode(&self, w: &mut Writer, _: Wire) -> Result<(), EncodeError> {
                w.$put(*self);
                Ok(())
            }

            fn min_size(_: Wire) -> usize {
                size_of::<$ty>()
            }

            #[cfg(test)]
            fn arbitrary(g: &mut super::arbitrary::Source<'a>, _: Wire) -> Self {
                g.bits() as $ty
            }
        }
    )* };
}

fixed! {
    i8, i8, put_i8;
    i16, i16, put_i16;
    u16, u16, put_u16;
    i32, i32, put_i32;
    u32, u32, put_u32;
    i64, i64, put_i64;
    f64, f64, put_f64;
}

impl<'a> Field<'a> for bool {
    #[inline]
    fn decode(r: &mut Reader<'a>, _: Wire) -> Result<Self, DecodeError> {
        Ok(r.u8()? != 0)
    }

    #[inline]
    fn encode(&self, w: &mut Writer, _: Wire) -> Result<(), EncodeError> {
        w.put_u8(u8::from(*self));
        Ok(())
    }

    fn min_size(_: Wire) -> usize {
        1
    }

    #[cfg(test)]
    fn arbitrary(g: &mut super::arbitrary::Source<'a>, _: Wire) -> Self {
        g.bits() & 1 == 1
    }
}

impl<'a> Field<'a> for Uuid {
    #[inline]
    fn decode(r: &mut Reader<'a>, _: Wire) -> Result<Self, DecodeError> {
        r.array()
    }

    #[inline]
    fn encode(&self, w: &mut Writer, _: Wire) -> Result<(), EncodeError> {
        w.put_slice(self);
        Ok(())
    }

    fn min_size(_: Wire) -> usize {
        16
    }

    #[cfg(test)]
    fn arbitrary(g: &mut super::arbitrary::Source<'a>, _: Wire) -> Self {
        ((u128::from(g.bits()) << 64) | u128::from(g.bits())).to_be_bytes()
    }
}

/// Types with a length in front, -1 (compact: 0) standing for null.
macro_rules! sized {
    ($ty:ty, short: $short:literal, |$r:ident, $len:ident| $read:expr, |$g:ident| $arbitrary:expr) => {
        impl<'a> Field<'a> for $ty {
            #[inline]
            fn decode(r: &mut Reader<'a>, wire: Wire) -> Result<Self, DecodeError> {
                match Self::decode_nullable(r, wire)? {
                    Some(value) => Ok(value),
                    None => Err(r.error(Kind::UnexpectedNull)),
                }
            }

            #[inline]
            fn encode(&self, w: &mut Writer, wire: Wire) -> Result<(), EncodeError> {
                Self::encode_nullable(Some(self), w, wire)
            }

            fn min_size(wire: Wire) -> usize {
                length_size(wire, $short)
            }

            #[inline]
            fn decode_nullable($r: &mut Reader<'a>, wire: Wire) -> Result<Option<Self>, DecodeError> {
                match $r.length(wire.flexible, $short)? {
                    Some($len) => Ok(Some($read)),
                    None => Ok(None),
                }
            }

            #[inline]
            fn encode_nullable(value: Option<&Self>, w: &mut Writer, wire: Wire) -> Result<(), EncodeError> {
                w.put_length(value.map(|value| value.len()), wire.flexible, $short)?;
                if let Some(value) = value {
                    w.put_slice(AsRef::<[u8]>::as_ref(&**value));
                }
                Ok(())
            }

            #[cfg(test)]
            fn arbitrary($g: &mut super::arbitrary::Source<'a>, _: Wire) -> Self {
                $arbitrary
            }
        }
    };
}

#[inline]
fn length_size(wire: Wire, short: bool) -> usize {
    match (wire.flexible, short) {
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => 4,
    }
}

sized!(&'a str, short: true, |r, len| r.str(len)?, |g| g.text());
sized!(&'a [u8], short: false, |r, len| r.bytes(len)?, |g| g.bytes());
sized!(Cow<'a, str>, short: true, |r, len| Cow::Borrowed(r.str(len)?), |g| Cow::Borrowed(g.text()));
sized!(Cow<'a, [u8]>, short: false, |r, len| Cow::Borrowed(r.bytes(len)?), |g| Cow::Borrowed(g.bytes()));

impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    fn decode(r: &mut Reader<'a>, wire: Wire) -> Result<Self, DecodeError> {
        match Self::decode_nullable(r, wire)? {
            Some(value) => Ok(value),
            None => Err(r.error(Kind::UnexpectedNull)),
        }
    }

    fn encode(&self, w: &mut Writer, wire: Wire) -> Result<(), EncodeError> {
        Self::encode_nullable(Some(self), w, wire)
    }

    fn min_size(wire: Wire) -> usize {
        length_size(wire, false)
    }

    fn decode_nullable(r: &mut Reader<'a>, wire: Wire) -> Result<Option<Self>, DecodeError> {
        let Some(count) = r.length(wire.flexible, false)? else { return Ok(None) };
        let wire = wire.nullable(false);
        r.check_count(count, T::min_size(wire))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::decode(r, wire)?);
        }
        Ok(Some(elements))
    }

    fn encode_nullable(value: Option<&Self>, w: &mut Writer, wire: Wire) -> Result<(), EncodeError> {
        w.put_length(value.map(Vec::len), wire.flexible, false)?;
        for element in value.into_iter().flatten() {
            element.encode(w, wire.nullable(false))?;
        }
        Ok(())
    }

    #[cfg(test)]
    fn arbitrary(g: &mut super::arbitrary::Source<'a>, wire: Wire) -> Self {
        (0..g.count()).map(|_| T::arbitrary(g, wire.nullable(false))).collect()
    }
}

impl<'a, T: Field<'a> + Default> Field<'a> for Option<T> {
    #[inline]
    fn decode(r: &mut Reader<'a>, wire: Wire) -> Result<Self, DecodeError> {
        if wire.nullable { T::decode_nullable(r, wire) } else { T::decode(r, wire).map(Some) }
    }

    #[inline]
    fn encode(&self, w: &mut Writer, wire: Wire) -> Result<(), EncodeError> {
        match self {
            value if wire.nullable => T::encode_nullable(value.as_ref(), w, wire),
            Some(value) => value.encode(w, wire),
            None => T::default().encode(w, wire),
        }
    }

    fn min_size(wire: Wire) -> usize {
        if wire.nullable { 1 } else { T::min_size(wire) }
    }

    #[cfg(test)]
    fn arbitrary(g: &mut super::arbitrary::Source<'a>, wire: Wire) -> Self {
        if wire.nullable && g.bits().is_multiple_of(4) { None } else { Some(T::arbitrary(g, wire)) }
    }
}

/// The record batches of one partition in a Fetch response.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum RecordsOut<'a> {
    /// No bytes; also what a null is decoded as.
    #[default]
    Empty,
    Bytes(Cow<'a, [u8]>),
    /// Bytes sent straight from a file: only their length is written, see [`Writer::holes`].
    Hole {
        len: u32,
    },
}

impl<'a> Field<'a> for RecordsOut<'a> {
    fn decode(r: &mut Reader<'a>, wire: Wire) -> Result<Self, DecodeError> {
        Ok(match <&'a [u8]>::decode_nullable(r, wire)? {
            None | Some([]) => RecordsOut::Empty,
            Some(bytes) => RecordsOut::Bytes(Cow::Borrowed(bytes)),
        })
    }

    fn encode(&self, w: &mut Writer, wire: Wire) -> Result<(), EncodeError> {
        match self {
            RecordsOut::Empty => w.put_length(Some(0), wire.flexible, false),
            RecordsOut::Bytes(bytes) => bytes.encode(w, wire),
            RecordsOut::Hole { len } => {
                w.put_length(Some(*len as usize), wire.flexible, false)?;
                w.put_hole(*len);
                Ok(())
            }
        }
    }

    fn min_size(wire: Wire) -> usize {
        length_size(wire, false)
    }

    #[cfg(test)]
    fn arbitrary(g: &mut super::arbitrary::Source<'a>, _: Wire) -> Self {
        match g.bytes() {
            [] => RecordsOut::Empty,
            bytes => RecordsOut::Bytes(Cow::Borrowed(bytes)),
        }
    }
}
