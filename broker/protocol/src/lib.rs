//! The Kafka protocol: messages, framing and record batches. Pure: no I/O, no clock, no threads.
//!
//! Everything decoded is checked and bounded: a count or length read from the network reserves no more memory than the
//! bytes that are left could fill, and the nesting of messages is fixed by their types.

#[cfg(test)]
mod allocations;
mod api_key;
pub mod codec;
pub mod compression;
mod error_code;
pub mod framing;
mod header;
#[macro_use]
mod message;
pub mod messages;
pub mod records;

pub use api_key::ApiKey;
pub use codec::{DecodeError, EncodeError, Reader, Uuid, Writer};
pub use error_code::ErrorCode;
pub use header::{RequestHeader, ResponseHeader};
pub use message::{ApiMessage, Message};
