//! Why a partition refuses an operation, and what a client is told.

use std::borrow::Cow;

use logmill_log::{AppendError, MaintenanceError, OpenError, ReadError};
use logmill_protocol::{ErrorCode, records::BatchError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum PartitionError {
    #[error("this server does not host this topic-partition")]
    UnknownTopicOrPartition,
    #[error("this server does not host this topic id")]
    UnknownTopicId,
    #[error("the topic was deleted")]
    Deleted,
    #[error("the records were not on disk within the request's timeout; they may be later")]
    TimedOut,
    #[error("a sync of the disk failed; what is past offset {durable_end} is not acknowledged")]
    Fenced { durable_end: i64 },
    #[error("the topic's compression.type is zstd, which requests of this version do not know")]
    UnsupportedCompression,
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Maintenance(#[from] MaintenanceError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}")]
    Internal(Cow<'static, str>),
}

impl PartitionError {
    /// What Kafka would answer.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopicOrPartition | Self::Deleted => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownTopicId => ErrorCode::UnknownTopicId,
            Self::TimedOut => ErrorCode::RequestTimedOut,
            Self::Fenced { .. } | Self::Open(_) => ErrorCode::KafkaStorageError,
            Self::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
            Self::Batch(error) => error.error_code(),
            Self::Append(error) => append_code(error),
            Self::Read(error) => match error {
                ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
                ReadError::Closed => ErrorCode::NotLeaderOrFollower,
                ReadError::Corrupt { .. } => ErrorCode::CorruptMessage,
                _ => ErrorCode::KafkaStorageError,
            },
            Self::Maintenance(error) => match error {
                MaintenanceError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
                MaintenanceError::Closed => ErrorCode::NotLeaderOrFollower,
                _ => ErrorCode::KafkaStorageError,
            },
            Self::Internal(_) => ErrorCode::UnknownServerError,
        }
    }
}

fn append_code(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::DuplicateSequence { .. } => ErrorCode::DuplicateSequenceNumber,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::MessageTooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::BatchTooLarge { .. } => ErrorCode::RecordListTooLarge,
        AppendError::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
        AppendError::Corrupt(_) => ErrorCode::CorruptMessage,
        AppendError::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
        // Every client retries this one after a pause, and knows that nothing was written.
        AppendError::NoSpace { .. } => ErrorCode::NotEnoughReplicas,
        AppendError::Closed => ErrorCode::NotLeaderOrFollower,
        _ => ErrorCode::KafkaStorageError,
    }
}
