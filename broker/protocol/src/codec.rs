//! Reading and writing the wire's primitive types, and the [`Field`] trait that messages are put together from.

#[cfg(test)]
pub(crate) mod arbitrary;
mod error;
mod field;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
pub use field::{Field, RecordsOut, Wire};
pub use reader::Reader;
pub use writer::{Hole, Writer};

/// A topic id or other UUID as its 16 bytes, most significant first.
pub type Uuid = [u8; 16];
