//! One turn of one file: a block is read, framed, and its lines are sent.

use std::{io, time::Duration};

use logmill_config::agent::OnLongLine;

use super::{
    Engine,
    emit::{Emitted, Kept},
    look::is_written_over,
};
use crate::{
    clock::Now,
    frame::{Found, Framing, find_end},
    ledger::Reason,
    limit::Allowance,
    line_id::LineHasher,
    produce::Producer,
    record::Flags,
    source::Source,
    tracked::{Before, LongLine, MARK, Queued, Tail, Tracked},
};

/// Why a turn ended.
enum Stop {
    /// All lines that end in the block are sent.
    Block,
    /// The limit is reached.
    Limit,
    /// A limit that is asked record by record is reached: nothing for so long.
    Wait(Duration),
    /// The producer takes no more.
    Full,
    /// The file is not what it was: truncated, which looking at it tells.
    Truncated,
}

impl From<Emitted> for Stop {
    fn from(emitted: Emitted) -> Self {
        match emitted {
            Emitted::Taken => Self::Block,
            Emitted::Full => Self::Full,
            Emitted::Wait(wait) => Self::Wait(wait),
        }
    }
}

impl<P: Producer> Engine<P> {
    pub(super) fn read_block(&mut self, slot: usize, now: Now) {
        let Some(mut tracked) = self.slots.take(slot) else { return };
        tracked.queued = Queued::No;
        if tracked.content_gone {
            self.slots.put(slot, tracked);
            return self.wake(slot);
        }
        if tracked.retry_at.is_some_and(|at| now.mono < at) {
            self.slots.put(slot, tracked);
            return;
        }
        if let Err(at) = self.inputs[tracked.input].refusal.may_read(now.mono) {
            self.timers.set(at, slot, tracked.id);
            self.slots.put(slot, tracked);
            return;
        }
        let allowance = match tracked.limits.allowance() {
            Ok(allowance) => allowance,
            Err(wait) => {
                self.timers.set(now.mono + wait, slot, tracked.id);
                self.slots.put(slot, tracked);
                return;
            }
        };
        let (lines_before, bytes_before) = (self.lines_read, tracked.offset);
        let mut block = std::mem::take(&mut self.block);
        let stop = self.block_of(&mut tracked, slot, &mut block, allowance);
        self.block = block;
        let bytes = tracked.offset.saturating_sub(bytes_before);
        for limiter in &tracked.limits.delays {
            limiter.charge(self.lines_read - lines_before, bytes);
        }
        self.bytes_read += bytes;
        let id = tracked.id;
        let more = tracked.read_to < tracked.extents_end();
        let end = tracked.file.is_none();
        match &stop {
            Ok(Stop::Full) => {
                self.full = true;
                tracked.queued = Queued::Read;
                self.read.push_front(slot);
            }
            Ok(Stop::Wait(wait)) => self.timers.set(now.mono + *wait, slot, id),
            Ok(Stop::Block | Stop::Limit) if more && !end => {
                tracked.queued = Queued::Read;
                self.read.push_back(slot);
            }
            Ok(_) => {
                tracked.queued = Queued::Look;
                self.look.push_back(slot);
            }
            Err(_) => {}
        }
        let path = tracked.path.clone();
        self.slots.put(slot, tracked);
        if let Err(error) = stop {
            self.warn(&path, &error, now);
            self.slots.close(slot);
            self.timers.set(now.mono + Duration::from_secs(1), slot, id);
        }
        // What was dropped or passed over moves the prefix without any report.
        self.advance(slot, now);
    }

    fn block_of(
        &mut self,
        tracked: &mut Tracked,
        slot: usize,
        block: &mut [u8],
        allowance: Allowance,
    ) -> io::Result<Stop> {
        let Some(file) = tracked.file.take() else { return Ok(Stop::Block) };
        let result = self.lines_of(tracked, &file, slot, block, allowance);
        tracked.file = Some(file);
        result
    }

    fn lines_of(
        &mut self,
        tracked: &mut Tracked,
        file: &Source,
        slot: usize,
        block: &mut [u8],
        allowance: Allowance,
    ) -> io::Result<Stop> {
        let framing = self.framing_of(tracked, file)?;
        let base = tracked.offset;
        if std::mem::take(&mut tracked.fresh) && base > tracked.start {
            let unit = framing.text.unit() as u64;
            let before = file.bytes_at(base.saturating_sub(unit), framing.text.unit())?;
            tracked.before = if framing.text.ends_with_newline(&before) || before.iter().all(|b| *b == 0) {
                Before::LineEnd
            } else if tracked.boundaries.contains(&base) {
                Before::TimedEnd
            } else {
                Before::Piece
            };
        }
        let extents_end = tracked.extents_end();
        let wanted = usize::try_from(extents_end.saturating_sub(base)).unwrap_or(usize::MAX).min(block.len());
        let read = file.read_fully(&mut block[..wanted], base)?;
        let block = &block[..read];
        let seen_to = base + read as u64;
        let tail = match block.last_chunk::<MARK>() {
            Some(bytes) => Tail { end: seen_to, bytes: bytes.to_vec() },
            None => Tail::of(file, seen_to)?,
        };
        // Asked after reading: what is the same now, was so then.
        if read < wanted || is_written_over(tracked, file, extents_end)? {
            return Ok(Stop::Truncated);
        }
        if tracked.tail.as_ref().is_none_or(|known| known.end < seen_to) {
            tracked.tail = Some(tail);
        }
        let (mut at, mut lines) = (0, 0);
        if let Some(long) = tracked.long.clone() {
            let boundary = tracked.boundaries.iter().find(|b| **b >= base).and_then(|b| usize::try_from(b - base).ok());
            let Some((end, at_newline)) = find_end(framing.text, block, boundary) else {
                let whole = &block[..block.len() - block.len() % framing.text.unit()];
                if let Some(LongLine { hasher: Some(hasher), .. }) = &mut tracked.long {
                    hasher.update(whole);
                }
                tracked.offset = base + whole.len() as u64;
                tracked.read_to = seen_to;
                return Ok(Stop::Block);
            };
            let after = if at_newline { end + framing.text.unit() } else { end };
            let next = base + after as u64;
            match self.end_long(tracked, file, slot, &framing, long, &block[..end], at_newline, next)? {
                Emitted::Taken => {}
                stopped => return Ok(stopped.into()),
            }
            tracked.long = None;
            tracked.before = if at_newline { Before::LineEnd } else { Before::TimedEnd };
            at = after;
            lines += 1;
        }
        let stop = loop {
            if lines >= allowance.lines || at as u64 >= allowance.bytes {
                break Stop::Limit;
            }
            let start = base + at as u64;
            let rest = &block[at..];
            let boundary = tracked.boundary_after(start).and_then(|b| usize::try_from(b - start).ok());
            match framing.find(rest, boundary) {
                Found::Incomplete => break Stop::Block,
                Found::Line { raw, keep, next, at_newline, cut } => {
                    let end = start + next as u64;
                    if raw == 0 && at_newline {
                        // After a line that time ended, or a piece that ended just here, this is but its newline.
                        match tracked.before {
                            Before::TimedEnd => tracked.in_flight.skipped(end, false),
                            Before::Piece => {
                                tracked.in_flight.skipped(end, true);
                                self.count_read(tracked, end);
                            }
                            Before::LineEnd => {
                                tracked.in_flight.dropped(end, Reason::EmptyLine);
                                self.count_read(tracked, end);
                            }
                        }
                    } else {
                        let split = cut || tracked.before == Before::Piece;
                        let flags = Flags { truncated: keep < raw, split, ..Flags::default() };
                        let kept = Kept { raw: &rest[..raw], keep, start, end, flags, ends_line: true, id: None };
                        match self.emit(tracked, slot, &framing, &kept) {
                            Emitted::Taken => {}
                            stopped => break stopped.into(),
                        }
                    }
                    tracked.before = if at_newline { Before::LineEnd } else { Before::TimedEnd };
                    at += next;
                    lines += 1;
                }
                Found::Piece { raw } => {
                    let flags = Flags { split: true, ..Flags::default() };
                    let end = start + raw as u64;
                    let kept = Kept { raw: &rest[..raw], keep: raw, start, end, flags, ends_line: false, id: None };
                    match self.emit(tracked, slot, &framing, &kept) {
                        Emitted::Taken => {}
                        stopped => break stopped.into(),
                    }
                    tracked.before = Before::Piece;
                    at += raw;
                }
                Found::TooLong { next } => {
                    at += next;
                    lines += 1;
                    let end = base + at as u64;
                    tracked.in_flight.dropped(end, Reason::LongLine);
                    self.count_read(tracked, end);
                }
                Found::Long => {
                    let hasher = (framing.on_long_line == OnLongLine::Truncate)
                        .then(|| tracked.generation.map(|g| LineHasher::new(&g, start, framing.text.carriage_return())))
                        .flatten();
                    let mut long = LongLine { start, hasher };
                    let whole = rest.len() - rest.len() % framing.text.unit();
                    if let Some(hasher) = &mut long.hasher {
                        hasher.update(&rest[..whole]);
                    }
                    tracked.long = Some(long);
                    at += whole;
                    break Stop::Block;
                }
                Found::Hole { next } => {
                    at += next;
                    self.hole_bytes += next as u64;
                    tracked.in_flight.skipped(start + next as u64, false);
                }
            }
        };
        tracked.offset = base + at as u64;
        tracked.read_to = if matches!(stop, Stop::Block) { seen_to } else { tracked.offset };
        Ok(stop)
    }

    /// The end of a line too long to be held was found.
    #[allow(clippy::too_many_arguments)]
    fn end_long(
        &mut self,
        tracked: &mut Tracked,
        file: &Source,
        slot: usize,
        framing: &Framing,
        long: LongLine,
        last: &[u8],
        at_newline: bool,
        end: u64,
    ) -> io::Result<Emitted> {
        let Some(mut hasher) = long.hasher else {
            tracked.in_flight.dropped(end, Reason::LongLine);
            self.count_read(tracked, end);
            return Ok(Emitted::Taken);
        };
        hasher.update(last);
        let id = hasher.finish(at_newline);
        let raw = file.bytes_at(long.start, framing.max_line + 4)?;
        let keep = framing.text.cut(&raw, framing.max_line);
        let flags = Flags { truncated: true, ..Flags::default() };
        let kept = Kept { raw: &raw, keep, start: long.start, end, flags, ends_line: true, id: Some(id) };
        Ok(self.emit(tracked, slot, framing, &kept))
    }

    /// The input's framing in the file's encoding, which its first bytes may tell.
    fn framing_of(&self, tracked: &mut Tracked, file: &Source) -> io::Result<Framing> {
        let framing = &self.inputs[tracked.input].framing;
        if tracked.text.is_none() {
            tracked.text = framing.text.of_file(&file.bytes_at(0, 3)?);
        }
        Ok(framing.in_encoding(tracked.text.unwrap_or(framing.text)))
    }

    /// Counts a line as read, once however often it is read again.
    pub(super) fn count_read(&mut self, tracked: &mut Tracked, end: u64) {
        if end > tracked.counted_to {
            self.lines_read += 1;
            self.lines_seen += 1;
            tracked.counted_to = end;
        } else {
            tracked.to_recount = tracked.to_recount.saturating_sub(1);
        }
    }
}
