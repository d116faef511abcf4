//! Edits of a batch in place, as the leader makes before appending.

use super::{Attributes, BatchError, BatchHeader, CRC_FROM, HEADER_BYTES, crc_of};

/// Sets base offset and leader epoch, which the CRC does not cover.
pub fn assign_offsets(batch: &mut [u8], base_offset: i64, leader_epoch: i32) -> Result<(), BatchError> {
    put(batch, 0, base_offset.to_be_bytes())?;
    put(batch, 12, leader_epoch.to_be_bytes())
}

/// Sets the timestamp type to log append time and the maximum timestamp to `now_ms`, and computes the CRC anew.
/// `batch` must be exactly one batch.
pub fn set_log_append_time(batch: &mut [u8], now_ms: i64) -> Result<(), BatchError> {
    let header = BatchHeader::parse(batch)?;
    if header.total_len() != batch.len() {
        return Err(BatchError::Truncated { needed: header.total_len(), left: batch.len() });
    }
    put(batch, CRC_FROM, (header.attributes.0 | Attributes::TIMESTAMP_TYPE).to_be_bytes())?;
    put(batch, 35, now_ms.to_be_bytes())?;
    put(batch, CRC_FROM - 4, crc_of(batch).to_be_bytes())
}

fn put<const N: usize>(batch: &mut [u8], at: usize, value: [u8; N]) -> Result<(), BatchError> {
    let left = batch.len();
    match batch.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        Some(slot) => {
            *slot = value;
            Ok(())
        }
        None => Err(BatchError::Truncated { needed: HEADER_BYTES, left }),
    }
}
