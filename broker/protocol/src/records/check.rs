//! The checks Apache Kafka makes on what a producer sends, without decompressing anything.

use super::{Batch, BatchError, TimestampType};
use crate::compression::Compression;

/// What bounds the records of one partition in a Produce request.
#[derive(Debug, Clone, Copy)]
pub struct ProduceLimits {
    /// Version of the Produce request: zstd needs 7.
    pub version: i16,
    /// `max.message.bytes` of the topic: bytes of a batch with its header.
    pub max_message_bytes: usize,
}

/// The single batch of a produce payload after all checks; [`BatchError::error_code`] is the answer otherwise.
///
/// Message sets of magic 0 and 1 are `OldMagic`, whatever the version of the request.
pub fn check_produce(payload: &[u8], limits: ProduceLimits) -> Result<Batch<'_>, BatchError> {
    if payload.is_empty() {
        return Err(BatchError::Empty);
    }
    let (batch, rest) = Batch::split(payload)?;
    if !rest.is_empty() {
        return Err(BatchError::MoreThanOne);
    }
    if batch.header.attributes.compression()? == Compression::Zstd && limits.version < 7 {
        return Err(BatchError::ZstdTooEarly);
    }
    check_client_batch(&batch, limits.max_message_bytes)?;
    Ok(batch)
}

/// What must hold for a batch from a client; the CRC, which costs most, last.
pub fn check_client_batch(batch: &Batch<'_>, max_message_bytes: usize) -> Result<(), BatchError> {
    let header = &batch.header;
    if batch.bytes.len() > max_message_bytes {
        return Err(BatchError::TooLarge { len: batch.bytes.len(), max: max_message_bytes });
    }
    header.attributes.compression()?;
    if header.base_offset != 0 {
        return Err(BatchError::BaseOffsetNotZero(header.base_offset));
    }
    if header.record_count <= 0 {
        return Err(BatchError::NoRecords(header.record_count));
    }
    if header.last_offset_delta != header.record_count - 1 {
        let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
        return Err(BatchError::CountMismatch { count, last_offset_delta });
    }
    if header.attributes.is_control() {
        return Err(BatchError::ControlFromClient);
    }
    if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(BatchError::LogAppendTimeFromClient);
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        let (producer_id, sequence) = (header.producer_id, header.base_sequence);
        return Err(BatchError::InvalidSequence { producer_id, sequence });
    }
    if header.attributes.is_transactional() && !header.has_producer_id() {
        return Err(BatchError::TransactionWithoutProducer);
    }
    batch.check_crc()
}
