//! `.txnindex`: the transactions whose abort markers are in a segment, in the order of these, an entry of 34 bytes each: version 0 (i16), producer id (i64),
//! first offset (i64), last offset (i64), last stable offset (i64).

use crate::names;
use logmill_disk::{Disk, SyncSite, read_file};
use logmill_protocol::records::Batch;
use std::{io, path::Path};

const ENTRY: usize = 34;
/// A larger file (two million aborted transactions in one segment) is not believed.
const LARGEST: u64 = 64 << 20;
/// No marker of a transaction comes near this.
pub(crate) const LARGEST_MARKER: usize = 4096;

/// An entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
    pub last_offset: i64,
    pub last_stable_offset: i64,
}

pub(crate) fn encode(entries: &[AbortedTransaction]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY);
    for one in entries {
        bytes.extend(0i16.to_be_bytes());
        for value in [one.producer_id, one.first_offset, one.last_offset, one.last_stable_offset] {
            bytes.extend(value.to_be_bytes());
        }
    }
    bytes
}

/// The entries of a file; an entry of another version or a cut one is an error.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<AbortedTransaction>, String> {
    let whole = bytes.chunks_exact(ENTRY);
    if !whole.remainder().is_empty() {
        return Err(format!("{} bytes are not a multiple of {ENTRY}", bytes.len()));
    }
    let long = |entry: &[u8], at: usize| {
        entry.get(at..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |bytes| i64::from_be_bytes(*bytes))
    };
    whole
        .map(|entry| match entry {
            [0, 0, ..] => Ok(AbortedTransaction {
                producer_id: long(entry, 2),
                first_offset: long(entry, 10),
                last_offset: long(entry, 18),
                last_stable_offset: long(entry, 26),
            }),
            _ => Err("expected version 0 of an aborted transaction".to_owned()),
        })
        .collect()
}

/// Of one segment; none without the file. Damage is an error.
pub(crate) fn read(disk: &dyn Disk, dir: &Path, base_offset: i64) -> io::Result<Vec<AbortedTransaction>> {
    let path = names::segment_file(dir, base_offset, names::TXN_INDEX);
    let bytes = match read_file(disk, &path, LARGEST) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    decode(&bytes).map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {reason}", path.display())))
}

/// Leaves the first `kept` entries, puts `added` behind them and syncs the file, which is made if need be.
pub(crate) fn rewrite(
    disk: &dyn Disk,
    dir: &Path,
    base_offset: i64,
    kept: usize,
    added: &[AbortedTransaction],
    site: SyncSite,
) -> io::Result<()> {
    let file = disk.open(&names::segment_file(dir, base_offset, names::TXN_INDEX), true)?;
    let end = (kept * ENTRY) as u64;
    file.set_len(end)?;
    if !added.is_empty() {
        file.write_all_at(&encode(added), end)?;
    }
    file.sync_data(site)
}

/// The type of an end-of-transaction marker, from its record's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Abort,
    Commit,
    /// Another kind of control record: to be kept.
    Other,
    /// The marker itself has been removed before: only the header is left.
    Gone,
}

impl Marker {
    /// Of the key of a control batch's only record.
    pub(crate) fn of(key: Option<&[u8]>) -> Self {
        match key.and_then(|key| key.get(2..4)) {
            Some([0, 0]) => Self::Abort,
            Some([0, 1]) => Self::Commit,
            _ => Self::Other,
        }
    }

    /// Of a control batch; one that cannot be read is none that ends a transaction.
    pub(crate) fn of_batch(batch: &Batch<'_>) -> Self {
        let Ok(data) = batch.decompress(LARGEST_MARKER) else { return Self::Other };
        match batch.records_in(&data).next() {
            Some(Ok(record)) => Self::of(record.key),
            Some(Err(_)) => Self::Other,
            None => Self::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn entries_go_both_ways() {
        let one =
            |producer_id| AbortedTransaction { producer_id, first_offset: 1, last_offset: 5, last_stable_offset: 6 };
        let all = [one(7), one(8)];
        let mut bytes = encode(&all);
        assert_eq!(bytes.len(), 2 * ENTRY);
        assert_eq!(decode(&bytes).unwrap(), all);
        assert!(decode(&bytes[1..]).is_err());
        bytes[1] = 1;
        assert!(decode(&bytes).unwrap_err().contains("version 0"));
    }

    #[test]
    fn markers_are_told_by_their_key() {
        assert_eq!(Marker::of(Some(&[0, 0, 0, 0])), Marker::Abort);
        assert_eq!(Marker::of(Some(&[0, 0, 0, 1])), Marker::Commit);
        assert_eq!(Marker::of(Some(&[0])), Marker::Other);
    }
}
