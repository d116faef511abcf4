//! Records for clients of before Kafka 0.11, which know messages of magic 0 or 1 only.

use logmill_log::{Log, ReadError, ReadLimit, ReadSlice};
use logmill_protocol::records::{Batches, DownConverter};

use crate::partition::error::PartitionError;

/// The magic that a version of Fetch wants; none where batches are sent as they are.
pub(super) fn magic_of(version: i16) -> Option<i8> {
    match version {
        0 | 1 => Some(0),
        2 | 3 => Some(1),
        _ => None,
    }
}

/// The records of `slice` and, while these give nothing (markers, records removed by compaction), of what follows; one message at least if there is any.
/// Waits for the disk.
pub(super) fn messages(
    log: &Log,
    slice: ReadSlice,
    from: i64,
    magic: i8,
    max_bytes: usize,
    max_decompressed: usize,
) -> Result<Vec<u8>, PartitionError> {
    let mut converter = DownConverter::new(magic, from, max_bytes);
    let mut next = Some(slice);
    while let Some(slice) = next.take() {
        let mut end = from;
        for batch in Batches::new(&slice.to_vec().map_err(ReadError::Io)?) {
            let batch = batch?;
            end = batch.header.next_offset();
            if !converter.push(&batch, max_decompressed)? {
                return Ok(converter.finish());
            }
        }
        if converter.is_empty() {
            next = log.read(end, max_bytes as u64, ReadLimit::HighWatermark, true)?;
        }
    }
    Ok(converter.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_get_the_magic_they_know() {
        let all: Vec<_> = (0..6).map(magic_of).collect();
        assert_eq!(all, [Some(0), Some(0), Some(1), Some(1), None, None]);
    }
}
