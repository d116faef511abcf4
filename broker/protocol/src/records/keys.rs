//! What a compacted topic asks of its records: a key.

use super::{Batch, BatchError};

/// Which records of a batch have no key, by their place in it; `data` is what [`Batch::decompress`] returned.
pub fn without_key(batch: &Batch<'_>, data: &[u8]) -> Result<Vec<i32>, BatchError> {
    let mut found = Vec::new();
    for (index, record) in (0..).zip(batch.records_in(data)) {
        if record?.key.is_none() {
            found.push(index);
        }
    }
    Ok(found)
}
