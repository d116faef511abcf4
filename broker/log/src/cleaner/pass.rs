//! One pass over a log: the map from what is dirty, then group after group rewritten and put in place.

use super::{
    choice::{Dirty, group},
    key_map::KeyMap,
    pace::{Closing, Pace},
    retain::{Counts, LARGEST_DECOMPRESSED, Rules},
    rewrite::{Cleaned, rewrite},
    transactions::Transactions,
};
use crate::{
    Clock, Log, LogConfig,
    aborted_index::{self, AbortedTransaction, Marker},
    batch_scan::{BatchReader, damaged},
    log::compaction::{Sealed, Swapped},
    names,
};
use logmill_disk::Disk;
use logmill_protocol::records::Batch;
use std::{io, path::Path};

/// Why a log was not compacted to the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CleanError {
    #[error("the data directory is closing")]
    Interrupted,
    /// Segments were deleted or cut, or the log was: next time.
    #[error("the log changed meanwhile")]
    Changed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a pass works with, and what it counts.
pub(crate) struct Pass<'a> {
    pub log: &'a Log,
    pub disk: &'a dyn Disk,
    pub dir: &'a Path,
    pub config: &'a LogConfig,
    pub clock: &'a dyn Clock,
    pub closing: &'a Closing,
    pub pace: &'a mut Pace,
    /// Bytes for the map of keys.
    pub memory: usize,
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub counts: Counts,
    /// Percent of the fullest map.
    pub utilization: f64,
}

impl Pass<'_> {
    /// Compacts what is dirty as far as one map goes; returns up to where.
    pub(crate) fn run(&mut self, dirty: Dirty) -> Result<i64, CleanError> {
        let view = self.log.sealed()?;
        let aborted = self.aborted(&view.segments)?;
        let map = self.map(&view.segments, dirty, &aborted)?;
        self.utilization = self.utilization.max(map.utilization());
        let end = map.latest() + 1;
        if end <= dirty.from {
            return Err(damaged(0, &"nothing could be read from the dirty part").into());
        }
        let last_batches = self.log.last_batches();
        let rules = Rules {
            map: &map,
            now_ms: self.clock.now_ms(),
            delete_retention_ms: self.config.delete_retention_ms,
            last_batches: &last_batches,
        };
        let touched: Vec<Sealed> = view.segments.into_iter().filter(|sealed| sealed.facts.base_offset < end).collect();
        let mut transactions = Transactions::new(aborted);
        for group in group(touched, |sealed| (sealed.facts, sealed.index_bytes), self.config) {
            let group: Vec<_> = group.into_iter().map(|sealed| sealed.segment).collect();
            let mut counts = Counts::default();
            let cleaned = rewrite(self, &rules, &mut transactions, &group, &mut counts);
            let cleaned: Cleaned = match cleaned {
                Ok(cleaned) => cleaned,
                Err(error) => {
                    self.discard(&group[0]);
                    return Err(error);
                }
            };
            if !cleaned.changed {
                self.discard(&group[0]);
                continue;
            }
            match self.log.swap(&group, &cleaned, view.truncations)? {
                Swapped::Done => {}
                Swapped::Changed => {
                    self.discard(&group[0]);
                    return Err(CleanError::Changed);
                }
            }
            self.counts.records += counts.records;
            self.counts.removed += counts.removed;
            self.counts.keyless += counts.keyless;
            self.counts.tombstones += counts.tombstones;
        }
        Ok(end)
    }

    /// Counts bytes against the pace.
    pub(crate) fn spend(&mut self, bytes: u64) -> Result<(), super::pace::Interrupted> {
        self.bytes_read += bytes;
        self.pace.spend(bytes, self.clock.elapsed(), self.closing)
    }

    fn map(&mut self, segments: &[Sealed], dirty: Dirty, aborted: &[AbortedTransaction]) -> Result<KeyMap, CleanError> {
        let keys = u64::try_from(dirty.to.saturating_sub(dirty.from)).unwrap_or(0);
        let mut map = KeyMap::new(keys, self.memory);
        let mut transactions = Transactions::new(aborted.to_vec());
        for sealed in segments {
            let facts = sealed.facts;
            if facts.end_offset <= dirty.from || facts.base_offset >= dirty.to {
                continue;
            }
            let from = dirty.from.max(facts.base_offset);
            let Some(first) = sealed.segment.find(self.disk, self.dir, from, facts.size)? else { continue };
            let file = sealed.segment.file(self.disk, self.dir)?;
            let mut reader = BatchReader::new(&*file, first.position, facts.size);
            let mut position = first.position;
            while position < facts.size {
                let Some((found, bytes)) = reader.next_with_bytes()? else {
                    return Err(damaged(position, &format!("damaged batch in segment {}", facts.base_offset)).into());
                };
                position = found.end();
                let batch = Batch { header: found.header, bytes };
                let full = note(&mut map, &batch, from, &mut transactions)
                    .map_err(|e| damaged(found.position, &format!("segment {}: {e}", facts.base_offset)))?;
                self.spend(bytes.len() as u64)?;
                if full {
                    return Ok(map);
                }
            }
        }
        // Also where there is nothing.
        map.set_latest(dirty.to.saturating_sub(1));
        Ok(map)
    }

    fn aborted(&self, segments: &[Sealed]) -> io::Result<Vec<AbortedTransaction>> {
        let mut all = Vec::new();
        for sealed in segments {
            all.extend(aborted_index::read(self.disk, self.dir, sealed.facts.base_offset)?);
        }
        Ok(all)
    }

    /// Takes back what was written of a group; what stays behind goes at the next start.
    fn discard(&self, first: &crate::segment::Segment) {
        for extension in names::SEGMENT_FILES {
            let _ = self.disk.remove_file(&names::cleaned_file(self.dir, first.base_offset, extension));
        }
    }
}

/// Puts a batch's keys into the map; `true` when it is full.
fn note(
    map: &mut KeyMap,
    batch: &Batch<'_>,
    from: i64,
    transactions: &mut Transactions,
) -> Result<bool, logmill_protocol::records::BatchError> {
    let header = &batch.header;
    if header.attributes.is_control() {
        let data = batch.decompress(LARGEST_DECOMPRESSED)?;
        let key = batch.records_in(&data).next().transpose()?.map(|record| Marker::of(record.key));
        transactions.is_empty(header, key.unwrap_or(Marker::Gone));
    } else if !transactions.is_aborted(header) {
        let data = batch.decompress(LARGEST_DECOMPRESSED)?;
        for record in batch.records_in(&data) {
            let record = record?;
            let offset = header.offset_of(&record);
            if let Some(key) = record.key
                && offset >= from
                && !map.put(key, offset)
            {
                return Ok(true);
            }
            map.set_latest(offset);
        }
    }
    map.set_latest(header.last_offset());
    Ok(false)
}
