//! The notation that messages are declared in, and the traits it implements for them.
//!
//! ```text
//! message! {
//!     HeartbeatRequest<'a>: Heartbeat 0..=4 {          api key, versions; compact and tagged as `ApiKey` says
//!         group_id: &'a str,                           in every version
//!         group_instance_id: Option<&'a str> [3.., nullable 3..],
//!         session: i32 [2..=3, default -1],            the value decoded where a version lacks the field
//!         extra: Vec<Part<'a>> [4.., tag 0],           a tagged field, written unless it is the default
//!     }
//!     Part<'a> { name: &'a str }                       a structure used by the message
//! }
//! ```
//!
//! A field that a version lacks is not written.

use std::ops::RangeInclusive;

use crate::{ApiKey, DecodeError, EncodeError, Reader, Writer};

/// A versioned message: a request, a response, or a record of an internal topic.
pub trait Message<'a>: Sized {
    const NAME: &'static str;
    const VERSIONS: RangeInclusive<i16>;

    /// Whether `version` has compact lengths and tagged fields.
    fn is_flexible(version: i16) -> bool;

    /// Reads one message and leaves what follows it.
    fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError>;

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// A random value of this version.
    #[cfg(test)]
    fn arbitrary_message(g: &mut crate::codec::arbitrary::Source<'a>, version: i16) -> Self;
}

/// A request or a response.
pub trait ApiMessage<'a>: Message<'a> {
    const KEY: ApiKey;
}

/// Declares the messages of one API; see the notation above.
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        $name:ident $(<$lt:lifetime>)? $(: $key:ident $min:literal ..= $max:literal)? { $($fields:tt)* }
    )*) => { $(
        structure! { $(#[$meta])* $name [$(<$lt>)?] { $($fields)* } }
        api_message! { $name [$(<$lt>)?] $($key $min $max)? }
    )* };
}

/// Declares a record of an internal topic: versions and the first flexible version, if any, stand in place of an API
/// key.
macro_rules! stored_message {
    ($(
        $(#[$meta:meta])*
        $name:ident $(<$lt:lifetime>)?
            $(: $min:literal ..= $max:literal $(, flexible $flexible:literal)?)?
        { $($fields:tt)* }
    )*) => { $(
        structure! { $(#[$meta])* $name [$(<$lt>)?] { $($fields)* } }
        versioned! { $name [$(<$lt>)?] $($min $max, |version| flexible_from!(version $(, $flexible)?))? }
    )* };
}

macro_rules! api_message {
    ($name:ident [$($lt:tt)*]) => {};
    ($name:ident [$($lt:tt)*] $key:ident $min:literal $max:literal) => {
        versioned! { $name [$($lt)*] $min $max, |version| crate::ApiKey::$key.is_flexible(version) }

        impl<'a> crate::ApiMessage<'a> for $name $($lt)* {
            const KEY: crate::ApiKey = crate::ApiKey::$key;
        }
    };
}

macro_rules! versioned {
    ($name:ident [$($lt:tt)*]) => {};
    ($name:ident [$($lt:tt)*] $min:literal $max:literal, |$version:ident| $flexible:expr) => {
        impl<'a> crate::Message<'a> for $name $($lt)* {
            const NAME: &'static str = stringify!($name);
            const VERSIONS: std::ops::RangeInclusive<i16> = $min..=$max;

            fn is_flexible($version: i16) -> bool {
                $flexible
            }

            fn decode(r: &mut crate::Reader<'a>, version: i16) -> Result<Self, crate::DecodeError> {
                if !($min..=$max).contains(&version) {
                    let kind = crate::codec::DecodeErrorKind::UnsupportedVersion { version, min: $min, max: $max };
                    return Err(r.error(kind).in_field(stringify!($name)));
                }
                crate::codec::Field::decode(r, crate::codec::Wire::new(version, Self::is_flexible(version)))
            }

            fn encode(&self, w: &mut crate::Writer, version: i16) -> Result<(), crate::EncodeError> {
                if !($min..=$max).contains(&version) {
                    let kind = crate::codec::EncodeErrorKind::UnsupportedVersion { version, min: $min, max: $max };
                    return Err(crate::EncodeError { kind, field: stringify!($name) });
                }
                crate::codec::Field::encode(self, w, crate::codec::Wire::new(version, Self::is_flexible(version)))
            }

            #[cfg(test)]
            fn arbitrary_message(g: &mut crate::codec::arbitrary::Source<'a>, version: i16) -> Self {
                crate::codec::Field::arbitrary(g, crate::codec::Wire::new(version, Self::is_flexible(version)))
            }
        }
    };
}

macro_rules! structure {
    (
        $(#[$meta:meta])*
        $name:ident [$($lt:tt)*] {
            $(
                $(#[$field_meta:meta])*
                $field:ident : $ty:ty
                $([
                    $range:expr
                    $(, nullable $nullable:expr)?
                    $(, tag $tag:literal)?
                    $(, default $default:expr)?
                ])?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name $($lt)* {
            $( $(#[$field_meta])* pub $field: $ty, )*
        }

        impl $($lt)* Default for $name $($lt)* {
            fn default() -> Self {
                Self { $( $field: default_of!($($($default)?)?), )* }
            }
        }

        #[allow(unused_variables, unused_mut, clippy::field_reassign_with_default)]
        impl<'a> crate::codec::Field<'a> for $name $($lt)* {
            fn decode(r: &mut crate::Reader<'a>, wire: crate::codec::Wire) -> Result<Self, crate::DecodeError> {
                use crate::codec::Field;
                let mut out = Self::default();
                $(
                    if !is_tagged!($($($tag)?)?) && in_versions!(wire $(, $range)?) {
                        out.$field = Field::decode(r, wire.nullable(is_nullable!(wire $($(, $nullable)?)?)))
                            .map_err(|error| error.in_field(field_name!($name, $field)))?;
                    }
                )*
                if wire.flexible {
                    for _ in 0..r.uvarint()? {
                        let (tag, mut value) = r.tagged_field()?;
                        $($($(
                            if tag == $tag && in_versions!(wire, $range) {
                                out.$field = Field::decode(&mut value, wire.nullable(true))
                                    .and_then(|field| value.finish().map(|()| field))
                                    .map_err(|error| error.in_field(field_name!($name, $field)))?;
                            }
                        )?)?)*
                    }
                }
                Ok(out)
            }

            fn encode(&self, w: &mut crate::Writer, wire: crate::codec::Wire) -> Result<(), crate::EncodeError> {
                use crate::codec::Field;
                $(
                    if !is_tagged!($($($tag)?)?) && in_versions!(wire $(, $range)?) {
                        Field::encode(&self.$field, w, wire.nullable(is_nullable!(wire $($(, $nullable)?)?)))
                            .map_err(|error| error.in_field(field_name!($name, $field)))?;
                    }
                )*
                if wire.flexible {
                    let mut count = 0;
                    $($($(
                        let _: u32 = $tag;
                        count += u32::from(in_versions!(wire, $range) && self.$field != Self::default().$field);
                    )?)?)*
                    w.put_uvarint(count);
                    $($($(
                        if in_versions!(wire, $range) && self.$field != Self::default().$field {
                            w.put_tagged_field($tag, |w| Field::encode(&self.$field, w, wire.nullable(true)))
                                .map_err(|error| error.in_field(field_name!($name, $field)))?;
                        }
                    )?)?)*
                }
                Ok(())
            }

            fn min_size(wire: crate::codec::Wire) -> usize {
                let mut size = usize::from(wire.flexible);
                $(
                    if !is_tagged!($($($tag)?)?) && in_versions!(wire $(, $range)?) {
                        let wire = wire.nullable(is_nullable!(wire $($(, $nullable)?)?));
                        size += <$ty as crate::codec::Field<'a>>::min_size(wire);
                    }
                )*
                size
            }

            #[cfg(test)]
            fn arbitrary(g: &mut crate::codec::arbitrary::Source<'a>, wire: crate::codec::Wire) -> Self {
                let mut out = Self::default();
                $(
                    if in_versions!(wire $(, $range)?) && (wire.flexible || !is_tagged!($($($tag)?)?)) {
                        let wire = wire.nullable(is_nullable!(wire $($(, $nullable)?)?));
                        out.$field = crate::codec::Field::arbitrary(g, wire);
                    }
                )*
                out
            }
        }
    };
}

macro_rules! flexible_from {
    ($version:ident) => {{
        let _ = $version;
        false
    }};
    ($version:ident, $from:literal) => {
        $version >= $from
    };
}

macro_rules! field_name {
    ($name:ident, $field:ident) => {
        concat!(stringify!($name), ".", stringify!($field))
    };
}

macro_rules! in_versions {
    ($wire:ident) => {
        true
    };
    ($wire:ident, $range:expr) => {
        ($range).contains(&$wire.version)
    };
}

macro_rules! is_nullable {
    ($wire:ident) => {
        false
    };
    ($wire:ident, $range:expr) => {
        ($range).contains(&$wire.version)
    };
}

macro_rules! is_tagged {
    () => {
        false
    };
    ($tag:literal) => {
        true
    };
}

macro_rules! default_of {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}
