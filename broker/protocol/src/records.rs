//! Record batches (magic 2): headers, the checks a broker makes, edits in place, records, and building batches; message sets (magic 0 and 1) are converted.
//!
//! On the wire and on disk alike: base offset@0 (8) · batch length@8 (4) · leader epoch@12 (4) · magic@16 (1) ·
//! crc@17 (4, CRC-32C from byte 21) · attributes@21 (2) · last offset delta@23 (4) · base timestamp@27 (8) · max
//! timestamp@35 (8) · producer id@43 (8) · producer epoch@51 (2) · base sequence@53 (4) · count@57 (4) · records@61,
//! compressed as the attributes say.

mod batch;
mod builder;
mod check;
mod edit;
mod error;
mod keys;
mod legacy;
mod record;
mod retain;
#[cfg(test)]
mod tests;

pub use batch::{Attributes, Batch, BatchHeader, Batches, TimestampType, crc_of};
pub use builder::{BatchBuilder, NewRecord};
pub use check::{ProduceLimits, check_client_batch, check_produce};
pub use edit::{assign_offsets, set_log_append_time};
pub use error::BatchError;
pub use keys::without_key;
pub use legacy::{DownConverter, is_message_set, up_convert};
pub use record::{Header, Headers, Record, Records};

/// Bytes of a batch's header.
pub const HEADER_BYTES: usize = 61;
/// Bytes in front of what the batch length counts: the base offset and the length itself.
pub const LOG_OVERHEAD: usize = 12;
/// First byte that the CRC covers.
pub const CRC_FROM: usize = 21;
/// The magic of record batches.
pub const MAGIC: i8 = 2;

/// Producer id of batches without one.
pub const NO_PRODUCER_ID: i64 = -1;
/// Sequence of batches without one.
pub const NO_SEQUENCE: i32 = -1;
/// Timestamp of records without one.
pub const NO_TIMESTAMP: i64 = -1;
