//! Appending: checks, offsets, one write, indexes and producer state; all under the partition's lock.

use super::{
    Boundary, Log, Phase, State,
    ahead::{Ahead, fill},
};
use crate::{
    AppendAs, AppendError, Appended, Durability, LogConfig, Origin, TimestampType,
    aborted_index::{AbortedTransaction, Marker},
    batch_scan::{Found, walk_headers},
    producers::{Producer, Verdict},
    segment::Segment,
};
use logmill_disk::DiskFile;
use logmill_protocol::records::{Batch, BatchHeader, assign_offsets, set_log_append_time};
use std::{
    io,
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
};

/// What follows from giving batches their offsets.
struct Placed {
    next_offset: i64,
    largest_timestamp: i64,
    /// New state of the producers concerned.
    producers: Vec<(i64, Producer)>,
    /// Transactions that markers among the batches abort; the last stable offset as if no other were open.
    aborted: Vec<AbortedTransaction>,
}

impl Log {
    /// Appends one or more whole batches (v2), whose CRCs the caller has checked: sets offsets, leader epoch and, with LogAppendTime, timestamps
    /// in place and writes them as they are. All or nothing. Not durable yet: see [`Appended`].
    pub fn append(&self, batches: &mut [u8], as_: AppendAs) -> Result<Appended, AppendError> {
        let config = self.config();
        let now = self.shared.options.clock.now_ms();
        check_batches(batches, &config, as_.origin, now)?;
        let append_time = (config.timestamp_type == TimestampType::LogAppendTime).then_some(now);
        if let Some(now) = append_time {
            for_each_batch_mut(batches, |batch, _| set_log_append_time(batch, now).map_err(corrupt))?;
        }
        let (result, broken, to_be_synced) = {
            let mut state = self.state.lock();
            let result = self.append_locked(&mut state, batches, as_, &config, append_time.unwrap_or(-1));
            (result, state.broken, state.flushing)
        };
        match &result {
            Ok(appended) if self.shared.options.durability == Durability::PageCache && !to_be_synced => {
                self.advance_high_watermark(appended.last_offset + 1);
            }
            Err(_) if broken && self.fence() => self.shared.record_fences(),
            _ => {}
        }
        result
    }

    fn append_locked(
        &self,
        state: &mut State,
        batches: &mut [u8],
        as_: AppendAs,
        config: &LogConfig,
        append_time: i64,
    ) -> Result<Appended, AppendError> {
        if state.phase != Phase::Open {
            return Err(AppendError::Closed);
        }
        if let Some(durable_end) = self.fenced_at().or(state.broken.then(|| self.high_watermark())) {
            return Err(AppendError::StorageFenced { log: self.name(), durable_end });
        }
        if let Some(current) = state.epochs.latest().filter(|latest| as_.leader_epoch < *latest) {
            return Err(AppendError::FencedLeaderEpoch { current, found: as_.leader_epoch });
        }
        let base_offset = self.log_end_offset();
        let Placed { next_offset, largest_timestamp, producers, aborted } =
            self.place(state, batches, as_, base_offset, append_time)?;
        let len = batches.len() as u64;
        if !self.shared.space.take(self.disk(), &self.shared.root, len)? {
            return Err(AppendError::NoSpace { reserve: self.shared.options.free_space_reserve });
        }
        let active = self.segment_for(state, config, len, next_offset, largest_timestamp)?;
        let position = active.size(self.disk(), &self.dir)?;
        let (file, created) = active.file_to_append(self.disk(), &self.dir)?;
        state.new_names |= created;
        let zeros = state.ahead.reserve(&*file, config, &self.shared.options, position, position + len);
        let listed = file.write_all_at(batches, position).and_then(|()| {
            if aborted.is_empty() {
                return Ok(());
            }
            let open = state.producers.first_open_with(&producers);
            self.list_aborted(state, &active, &aborted, open)
        });
        if let Err(e) = listed {
            self.undo_write(&*file, state, position);
            return Err(e.into());
        }
        if let Err(e) = self.note_appended(state, &active, batches, config, position) {
            self.undo_write(&*file, state, position);
            // Transactions are listed whose markers are gone.
            state.broken |= !aborted.is_empty();
            return Err(e);
        }
        if let Some(zeros) = zeros {
            fill(&*file, zeros);
        }
        for (id, producer) in producers {
            state.producers.set(id, producer);
        }
        state.epochs.assign(as_.leader_epoch, base_offset);
        if !state.active_dirty {
            state.dirty_files.push(file);
            state.active_dirty = true;
        }
        state.bytes_since_snapshot += len;
        self.log_end.store(next_offset, Ordering::Release);
        self.touched.store(true, Ordering::Release);
        if self.shared.options.durability == Durability::PageCache {
            self.boundaries.lock().push(Boundary {
                offset: next_offset,
                segment: active.base_offset,
                position: position + len,
            });
            if state.unflushed == 0 {
                state.unflushed_since = self.shared.options.clock.now_ms();
            }
            state.unflushed += u64::try_from(next_offset.saturating_sub(base_offset)).unwrap_or(0);
        }
        if self.shared.options.durability == Durability::Fsync || state.unflushed >= config.flush_messages {
            self.ask_for_commit(state);
        }
        self.shared.appended(len);
        let (last_offset, log_start_offset) = (next_offset - 1, self.log_start_offset());
        Ok(Appended { base_offset, last_offset, log_append_time: append_time, log_start_offset })
    }

    fn ask_for_commit(&self, state: &mut State) {
        state.flushing = self.shared.options.durability == Durability::PageCache;
        if self.queue(state) {
            state.unflushed = 0;
        }
    }

    /// With page-cache durability: has what is older than flush.ms synced.
    pub(crate) fn flush_if_due(&self, now_ms: i64) {
        let config = self.config();
        if config.flush_ms == i64::MAX || self.shared.options.durability != Durability::PageCache {
            return;
        }
        let mut state = self.state.lock();
        let due = state.unflushed > 0 && now_ms.saturating_sub(state.unflushed_since) >= config.flush_ms;
        if due && state.phase == Phase::Open && self.fenced_at().is_none() && !state.broken {
            self.ask_for_commit(&mut state);
        }
    }

    /// Checks sequences and sets offsets and epoch in place.
    fn place(
        &self,
        state: &State,
        batches: &mut [u8],
        as_: AppendAs,
        base_offset: i64,
        log_append_time: i64,
    ) -> Result<Placed, AppendError> {
        let mut next = base_offset;
        let mut largest_timestamp = i64::MIN;
        let (mut producers, mut aborted): (Vec<(i64, Producer)>, _) = (Vec::new(), Vec::new());
        let log_start_offset = self.log_start_offset();
        for_each_batch_mut(batches, |batch, header| {
            let placed = BatchHeader { base_offset: next, ..*header };
            largest_timestamp = largest_timestamp.max(header.max_timestamp);
            if header.has_producer_id() {
                let id = header.producer_id;
                let known = producers.iter().position(|(other, _)| *other == id);
                let mut producer = match known.and_then(|at| producers.get(at)) {
                    Some((_, producer)) => *producer,
                    None => state.producers.get(id),
                };
                if as_.origin == Origin::Client
                    && let Verdict::Duplicate(range) = producer.check(header)?
                {
                    let (base_offset, last_offset) = (range.base_offset(), range.last_offset);
                    let log_append_time = if log_append_time < 0 { -1 } else { range.timestamp };
                    return Err(AppendError::DuplicateSequence {
                        base_offset,
                        last_offset,
                        log_append_time,
                        log_start_offset,
                    });
                }
                if let Some(first_offset) = producer.transaction_start
                    && header.attributes.is_control()
                    && Marker::of_batch(&Batch { header: *header, bytes: batch }) == Marker::Abort
                {
                    let (last_offset, last_stable_offset) = (placed.last_offset(), placed.next_offset());
                    aborted.push(AbortedTransaction { producer_id: id, first_offset, last_offset, last_stable_offset });
                }
                producer.appended(&placed);
                match known {
                    Some(at) => producers[at].1 = producer,
                    None => producers.push((id, producer)),
                }
            }
            assign_offsets(batch, next, as_.leader_epoch).map_err(corrupt)?;
            next = next
                .checked_add(i64::from(header.last_offset_delta) + 1)
                .ok_or_else(|| corrupt("offsets are used up"))?;
            Ok(())
        })?;
        Ok(Placed { next_offset: next, largest_timestamp, producers, aborted })
    }

    /// The active segment, or a new one if it is full or old.
    fn segment_for(
        &self,
        state: &mut State,
        config: &LogConfig,
        len: u64,
        next_offset: i64,
        largest_timestamp: i64,
    ) -> Result<Arc<Segment>, AppendError> {
        let active = self.active();
        let size = active.size(self.disk(), &self.dir)?;
        if size == 0 {
            return Ok(active);
        }
        let first_timestamp = match state.first_timestamp {
            Some(first) => first,
            None => {
                let file = active.file(self.disk(), &self.dir)?;
                let first = walk_headers(&*file, 0, size, ControlFlow::Break)?.map_or(0, |f| f.header.max_timestamp);
                *state.first_timestamp.insert(self.or_now(first))
            }
        };
        let indexes_full = active.with_indexes(self.disk(), &self.dir, |indexes| {
            // A time entry is half as large again.
            Ok((indexes.times.bytes() + 12).max(indexes.offsets.bytes() + 8) > u64::from(config.segment_index_bytes))
        })?;
        let relative = next_offset.saturating_sub(active.base_offset);
        if size + len > u64::from(config.segment_bytes)
            || self.or_now(largest_timestamp).saturating_sub(first_timestamp)
                > self.segment_age(config, active.base_offset)
            || indexes_full
            || relative > i64::from(i32::MAX)
        {
            self.roll(state, &active)?;
            return Ok(self.active());
        }
        Ok(active)
    }

    /// `segment.ms` less a part of `segment.jitter.ms` that every segment has for its own.
    fn segment_age(&self, config: &LogConfig, base_offset: i64) -> i64 {
        let jitter = config.segment_jitter_ms.min(config.segment_ms);
        if jitter <= 0 {
            return config.segment_ms;
        }
        let mut name = blake3::Hasher::new();
        name.update(self.topic.as_bytes()).update(&self.partition.to_be_bytes()).update(&base_offset.to_be_bytes());
        let random = name.finalize().as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes) >> 1);
        config.segment_ms.saturating_sub(i64::try_from(random).unwrap_or(0) % jitter)
    }

    /// Seals the active segment and begins one at the log's end.
    pub(super) fn roll(&self, state: &mut State, active: &Segment) -> io::Result<()> {
        let size = active.size(self.disk(), &self.dir)?;
        state.ahead.give_back(&*active.file(self.disk(), &self.dir)?, size)?;
        active.seal(self.disk(), &self.dir)?;
        state.unsynced_segments.push(active.base_offset);
        let base_offset = self.log_end_offset();
        self.snapshot_producers(state, base_offset)?;
        state.active_dirty = false;
        state.ahead = Ahead::default();
        state.first_timestamp = None;
        self.segments.write().push(Arc::new(Segment::new(base_offset)));
        Ok(())
    }

    fn note_appended(
        &self,
        state: &mut State,
        active: &Segment,
        batches: &mut [u8],
        config: &LogConfig,
        position: u64,
    ) -> Result<(), AppendError> {
        let mut at = position;
        let mut count = 0;
        let first_timestamp = &mut state.first_timestamp;
        active.with_indexes(self.disk(), &self.dir, |indexes| {
            let noted = for_each_batch_mut(batches, |_, header| {
                let found = Found { position: at, header: *header };
                if at == 0 {
                    *first_timestamp = Some(self.or_now(header.max_timestamp));
                }
                indexes.add(active.base_offset, &found, config.index_interval_bytes);
                at = found.end();
                count += 1;
                Ok(())
            });
            if indexes.offsets.wants_flush() || indexes.times.wants_flush() {
                // They stay in memory if it fails; the next checkpoint reports it.
                let _ = indexes.flush(self.disk(), &self.dir, active.base_offset);
            }
            noted.map_err(io::Error::other)
        })?;
        active.set_size(at);
        self.shared.stats.appended_batches.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// Records of before Kafka 0.10 have no timestamp: their segment's age counts from now on.
    fn or_now(&self, timestamp: i64) -> i64 {
        if timestamp >= 0 { timestamp } else { self.shared.options.clock.now_ms() }
    }

    /// A write that failed may have left a part, even a whole batch: it must not be found by a recovery behind what is appended next.
    fn undo_write(&self, file: &dyn DiskFile, state: &mut State, size: u64) {
        state.ahead = Ahead::none(size);
        if let Err(error) = file.set_len(size) {
            tracing::error!(log = self.name(), %error, "cannot take back a failed write");
            state.broken = true;
        }
    }
}

/// What is checked without the log's state.
fn check_batches(batches: &mut [u8], config: &LogConfig, origin: Origin, now: i64) -> Result<(), AppendError> {
    if batches.is_empty() {
        return Err(corrupt("no batch"));
    }
    if batches.len() as u64 > u64::from(config.segment_bytes) {
        return Err(AppendError::BatchTooLarge { size: batches.len(), max: config.segment_bytes });
    }
    for_each_batch_mut(batches, |batch, header| {
        if header.last_offset_delta < 0 {
            return Err(corrupt("negative last offset delta"));
        }
        if origin == Origin::Coordinator {
            return Ok(());
        }
        if header.attributes.is_control() {
            return Err(corrupt("control batch from a client"));
        }
        if batch.len() as u64 > u64::from(config.max_message_bytes) {
            return Err(AppendError::MessageTooLarge { size: batch.len(), max: config.max_message_bytes });
        }
        if config.timestamp_type == TimestampType::CreateTime {
            let too_new =
                config.timestamp_after_max_ms.is_some_and(|max| header.max_timestamp > now.saturating_add(max));
            let too_old = config
                .timestamp_before_max_ms
                .is_some_and(|max| header.base_timestamp >= 0 && header.base_timestamp < now.saturating_sub(max));
            if too_new || too_old {
                let timestamp = if too_new { header.max_timestamp } else { header.base_timestamp };
                return Err(AppendError::InvalidTimestamp { timestamp });
            }
        }
        Ok(())
    })
}

fn for_each_batch_mut(
    mut batches: &mut [u8],
    mut f: impl FnMut(&mut [u8], &BatchHeader) -> Result<(), AppendError>,
) -> Result<(), AppendError> {
    while !batches.is_empty() {
        let header = BatchHeader::parse(batches).map_err(corrupt)?;
        let Some((batch, rest)) = batches.split_at_mut_checked(header.total_len()) else {
            return Err(corrupt("batch is cut off"));
        };
        f(batch, &header)?;
        batches = rest;
    }
    Ok(())
}

fn corrupt(reason: impl std::fmt::Display) -> AppendError {
    AppendError::Corrupt(reason.to_string())
}
