//! What can be wrong with a record batch, and what the client is told.

use crate::ErrorCode;
use crate::codec::DecodeError;
use crate::compression::CompressionError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("expected at least one record batch")]
    Empty,
    #[error("record batch is cut off: expected {needed} bytes but {left} are there")]
    Truncated { needed: usize, left: usize },
    #[error("record batch length {0} is below that of its header")]
    InvalidLength(i32),
    #[error("unknown magic {0}")]
    UnknownMagic(i8),
    /// A message set of before Kafka 0.11, which a broker converts or refuses.
    #[error("message set of magic {0}, expected record batches of magic 2")]
    OldMagic(i8),
    #[error("crc is {computed:#010x} but the header says {stored:#010x}")]
    CorruptCrc { stored: u32, computed: u32 },
    #[error("record batch of {len} bytes is over the limit of {max}")]
    TooLarge { len: usize, max: usize },
    #[error("unknown compression type {0}")]
    UnknownCompression(u8),
    #[error("zstd needs produce version 7 or later")]
    ZstdTooEarly,
    #[error("expected exactly one record batch but more follow")]
    MoreThanOne,
    #[error("base offset from a client is {0}, expected 0")]
    BaseOffsetNotZero(i64),
    #[error("record count {count} does not match last offset delta {last_offset_delta}")]
    CountMismatch { count: i32, last_offset_delta: i32 },
    #[error("record count {0} is not positive")]
    NoRecords(i32),
    #[error("control batches cannot come from clients")]
    ControlFromClient,
    #[error("timestamp type log append time cannot come from clients")]
    LogAppendTimeFromClient,
    #[error("base sequence {sequence} with producer id {producer_id}")]
    InvalidSequence { producer_id: i64, sequence: i32 },
    #[error("transactional batch without a producer id")]
    TransactionWithoutProducer,
    #[error("invalid record {index}: {source}")]
    InvalidRecord { index: usize, source: DecodeError },
    #[error("invalid message: {0}")]
    InvalidMessage(&'static str),
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

impl BatchError {
    /// Whether it would decompress to more than it may.
    pub fn is_decompressed_too_large(&self) -> bool {
        matches!(self, BatchError::Compression(CompressionError::TooLarge { .. }))
    }

    /// What Kafka answers a producer.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            BatchError::Truncated { .. }
            | BatchError::InvalidLength(_)
            | BatchError::InvalidMessage(_)
            | BatchError::UnknownMagic(_)
            | BatchError::CorruptCrc { .. } => ErrorCode::CorruptMessage,
            BatchError::TooLarge { .. } => ErrorCode::MessageTooLarge,
            BatchError::UnknownCompression(_) | BatchError::ZstdTooEarly => ErrorCode::UnsupportedCompressionType,
            BatchError::LogAppendTimeFromClient => ErrorCode::InvalidTimestamp,
            BatchError::Compression(CompressionError::Corrupt { .. }) => ErrorCode::CorruptMessage,
            BatchError::Compression(CompressionError::TooLarge { .. }) => ErrorCode::MessageTooLarge,
            BatchError::Empty
            | BatchError::OldMagic(_)
            | BatchError::MoreThanOne
            | BatchError::BaseOffsetNotZero(_)
            | BatchError::CountMismatch { .. }
            | BatchError::NoRecords(_)
            | BatchError::ControlFromClient
            | BatchError::InvalidSequence { .. }
            | BatchError::TransactionWithoutProducer
            | BatchError::InvalidRecord { .. } => ErrorCode::InvalidRecord,
        }
    }
}
