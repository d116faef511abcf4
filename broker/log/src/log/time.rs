//! Finding records by their timestamps: segment, then index entry, then batch, then record.

use super::Log;
use crate::{
    ReadError, TimestampOffset,
    batch_scan::{Found, walk_headers},
    segment::Segment,
    sparse_index::TimeEntry,
};
use logmill_protocol::records::{Batch, TimestampType};
use std::{io, ops::ControlFlow, sync::Arc};

/// A batch that decompresses to more than this is looked at as a whole only.
const LARGEST_DECOMPRESSED: usize = 64 << 20;

impl Log {
    /// The first record (below the high watermark) whose timestamp is ≥ `timestamp`.
    pub fn offset_for_time(&self, timestamp: i64) -> Result<Option<TimestampOffset>, ReadError> {
        self.find_time(timestamp).map_err(|e| self.read_error(self.log_start_offset(), e))
    }

    /// The record (below the high watermark) with the largest timestamp, the first of them.
    pub fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        self.find_max().map_err(|e| self.read_error(self.log_start_offset(), e))
    }

    /// Where segments begin that have nothing newer than `timestamp`, newest first, with the high watermark in front if nothing at all is newer.
    pub fn starts_before(&self, timestamp: i64) -> Result<Vec<i64>, ReadError> {
        self.find_starts(timestamp).map_err(|e| self.read_error(self.log_start_offset(), e))
    }

    fn find_starts(&self, timestamp: i64) -> io::Result<Vec<i64>> {
        let (limit, start) = (self.high_watermark(), self.log_start_offset());
        let mut starts = Vec::new();
        let mut newer = false;
        for (segment, _) in self.snapshot_of_segments().into_iter().filter(|(segment, _)| segment.base_offset < limit) {
            newer = self.newest_in(&segment)? > timestamp;
            if !newer {
                starts.push(segment.base_offset.max(start));
            }
        }
        if !newer {
            starts.push(limit);
        }
        starts.reverse();
        starts.dedup();
        Ok(starts)
    }

    fn find_time(&self, timestamp: i64) -> io::Result<Option<TimestampOffset>> {
        let (limit, start) = (self.high_watermark(), self.log_start_offset());
        for (segment, next) in self.snapshot_of_segments() {
            if segment.base_offset >= limit || self.newest_in(&segment)? < timestamp {
                continue;
            }
            let end = self.end_position(&segment, next, limit)?;
            let look = || {
                segment.with_indexes(self.disk(), &self.dir, |indexes| {
                    let before = |entry: &TimeEntry| entry.timestamp < timestamp;
                    indexes.times.find_last(self.disk(), &self.dir, segment.base_offset, before)
                })
            };
            let mut entry = look()?;
            if let Some(one) = entry
                && !segment.agrees(self.disk(), &self.dir, one)?
            {
                segment.rebuild_indexes(self.disk(), &self.dir)?;
                entry = look()?;
            }
            let from = entry.map_or(start, |entry| start.max(segment.base_offset + i64::from(entry.relative)));
            let found = self.first_record(
                &segment,
                from,
                end,
                |found| found.header.max_timestamp >= timestamp,
                timestamp,
                start,
            )?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn find_max(&self) -> io::Result<Option<TimestampOffset>> {
        let (limit, start) = (self.high_watermark(), self.log_start_offset());
        let mut largest: Option<(i64, Arc<Segment>, Option<i64>)> = None;
        for (segment, next) in self.snapshot_of_segments() {
            if segment.base_offset < limit && segment.size(self.disk(), &self.dir)? > 0 {
                let newest = self.newest_in(&segment)?;
                if largest.as_ref().is_none_or(|(max, _, _)| newest > *max) {
                    largest = Some((newest, segment, next));
                }
            }
        }
        let Some((_, segment, next)) = largest else { return Ok(None) };
        // The index may count what is past the high watermark: the headers say.
        let end = self.end_position(&segment, next, limit)?;
        let file = segment.file(self.disk(), &self.dir)?;
        let mut max = i64::MIN;
        walk_headers(&*file, 0, end, |found| {
            if found.header.last_offset() >= start && found.header.record_count > 0 {
                max = max.max(found.header.max_timestamp);
            }
            ControlFlow::<()>::Continue(())
        })?;
        self.first_record(&segment, start, end, |found| found.header.max_timestamp == max, max, start)
    }

    fn snapshot_of_segments(&self) -> Vec<(Arc<Segment>, Option<i64>)> {
        let segments = self.segments.read();
        let next = segments.iter().skip(1).map(|segment| Some(segment.base_offset)).chain([None]);
        segments.iter().cloned().zip(next).collect()
    }

    /// The largest timestamp in a segment; -1 if it is empty.
    pub(super) fn newest_in(&self, segment: &Segment) -> io::Result<i64> {
        segment.check_times(self.disk(), &self.dir)?;
        let known = segment.with_indexes(self.disk(), &self.dir, |indexes| Ok(indexes.max_timestamp))?;
        if let Some((timestamp, _)) = known {
            return Ok(timestamp);
        }
        let size = segment.size(self.disk(), &self.dir)?;
        if size == 0 {
            return Ok(-1);
        }
        // No time index (a data directory from elsewhere): once, by headers.
        let file = segment.file(self.disk(), &self.dir)?;
        let mut newest: Option<(i64, i64)> = None;
        walk_headers(&*file, 0, size, |found| {
            if newest.is_none_or(|(max, _)| found.header.max_timestamp > max) {
                newest = Some((found.header.max_timestamp, found.header.last_offset()));
            }
            ControlFlow::<()>::Continue(())
        })?;
        segment.with_indexes(self.disk(), &self.dir, |indexes| {
            indexes.max_timestamp = newest;
            Ok(())
        })?;
        Ok(newest.map_or(-1, |(timestamp, _)| timestamp))
    }

    /// In the first batch from offset `from` on that is `wanted`, the first record at or past `not_before` with at least `timestamp`.
    fn first_record(
        &self,
        segment: &Segment,
        from: i64,
        end: u64,
        wanted: impl Fn(&Found) -> bool,
        timestamp: i64,
        not_before: i64,
    ) -> io::Result<Option<TimestampOffset>> {
        let mut position = match segment.find(self.disk(), &self.dir, from, end)? {
            Some(found) => found.position,
            None => return Ok(None),
        };
        let file = segment.file(self.disk(), &self.dir)?;
        loop {
            let batch = walk_headers(&*file, position, end, |found| {
                if wanted(&found) { ControlFlow::Break(found) } else { ControlFlow::Continue(()) }
            })?;
            let Some(batch) = batch else { return Ok(None) };
            let mut bytes = vec![0; batch.header.total_len()];
            file.read_exact_at(&mut bytes, batch.position)?;
            if let Some(found) = record_in(&batch, &bytes, timestamp, not_before)? {
                return Ok(Some(found));
            }
            position = batch.end();
        }
    }
}

fn record_in(found: &Found, bytes: &[u8], timestamp: i64, not_before: i64) -> io::Result<Option<TimestampOffset>> {
    let header = found.header;
    let leader_epoch = header.partition_leader_epoch;
    let dense = i64::from(header.record_count) == i64::from(header.last_offset_delta) + 1;
    if dense && header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        let offset = header.base_offset.max(not_before);
        return Ok(Some(TimestampOffset { timestamp: header.max_timestamp, offset, leader_epoch }));
    }
    let batch = Batch { header, bytes };
    batch.check_crc().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
    let data = batch.decompress(LARGEST_DECOMPRESSED).map_err(io::Error::other)?;
    for record in batch.records_in(&data) {
        let record = record.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
        let (time, offset) = (header.timestamp_of(&record), header.offset_of(&record));
        if time >= timestamp && offset >= not_before {
            return Ok(Some(TimestampOffset { timestamp: time, offset, leader_epoch }));
        }
    }
    Ok(None)
}
