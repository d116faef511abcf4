//! One turn of one file: a block is read, framed, and its lines are sent.

use std::{io, os::unix::fs::FileExt};

use logmill_config::agent::OnLongLine;

use super::{Engine, emit::Kept, look};
use crate::{
    clock::Now,
    frame::{Found, char_cut, find_end},
    ledger::Reason,
    limit::Allowance,
    line_id::LineHasher,
    produce::{Producer, Sent},
    record::Flags,
    tracked::{LongLine, MARK, Queued, Tracked},
};

/// Why a turn ended.
enum Stop {
    /// All lines that end in the block are sent.
    Block,
    /// The limit is reached.
    Limit,
    /// The producer takes no more.
    Full,
    /// The file is shorter than it was: truncated, which looking at it tells.
    Short,
}

impl<P: Producer> Engine<P> {
    pub(super) fn read_block(&mut self, slot: usize, now: Now) {
        let Some(mut tracked) = self.slots.take(slot) else { return };
        tracked.queued = Queued::No;
        if tracked.content_gone || tracked.retry_at.is_some_and(|at| now.mono < at) {
            self.slots.put(slot, tracked);
            return;
        }
        let allowance = match allowance(&tracked) {
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
        for limiter in tracked.limiters.iter() {
            limiter.charge(self.lines_read - lines_before, bytes);
        }
        self.bytes_read += bytes;
        let id = tracked.id;
        let more = tracked.read_to < tracked.extents_end();
        let end = tracked.file.is_none();
        match stop {
            Ok(Stop::Full) => {
                self.full = true;
                tracked.queued = Queued::Read;
                self.read.push_front(slot);
            }
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
            self.timers.set(now.mono + std::time::Duration::from_secs(1), slot, id);
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
        file: &std::fs::File,
        slot: usize,
        block: &mut [u8],
        allowance: Allowance,
    ) -> io::Result<Stop> {
        let framing = self.inputs[tracked.input].framing;
        let base = if tracked.long.is_some() { tracked.read_to } else { tracked.offset };
        if std::mem::take(&mut tracked.fresh) && base > tracked.start {
            let before = look::bytes_at(file, base - 1, 1)?;
            tracked.inside_line = before != *b"\n" && !tracked.boundaries.contains(&base);
        }
        let extents_end = tracked.extents_end();
        let wanted = usize::try_from(extents_end.saturating_sub(base)).unwrap_or(usize::MAX).min(block.len());
        let read = read_fully(file, &mut block[..wanted], base)?;
        let block = &block[..read];
        let seen_to = base + read as u64;
        if seen_to == extents_end && read >= MARK {
            tracked.tail = Some(block[read - MARK..].to_vec());
        } else if seen_to == extents_end && read > 0 {
            tracked.tail = Some(look::bytes_before(file, seen_to)?);
        }
        if read < wanted {
            return Ok(Stop::Short);
        }
        let (mut at, mut lines) = (0, 0);
        if let Some(long) = tracked.long.clone() {
            let boundary = tracked.boundaries.iter().find(|b| **b >= base).and_then(|b| usize::try_from(b - base).ok());
            let Some((end, at_newline)) = find_end(block, boundary) else {
                if let Some(LongLine { hasher: Some(hasher), .. }) = &mut tracked.long {
                    hasher.update(block);
                }
                (tracked.read_to, tracked.offset) = (seen_to, seen_to);
                return Ok(Stop::Block);
            };
            let next = base + (end + usize::from(at_newline)) as u64;
            if self.end_long(tracked, file, slot, long, &block[..end], at_newline, next)? == Sent::Full {
                return Ok(Stop::Full);
            }
            tracked.long = None;
            at = end + usize::from(at_newline);
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
                Found::Line { raw, keep, next, at_newline } => {
                    let end = start + next as u64;
                    if raw == 0 && at_newline {
                        // After a line that time ended, or a piece that ended just here, this is but its newline.
                        if tracked.boundaries.contains(&start) {
                            tracked.in_flight.skipped(end, false);
                        } else if tracked.inside_line {
                            tracked.in_flight.skipped(end, true);
                            self.count_read(tracked, end);
                        } else {
                            tracked.in_flight.dropped(end, Reason::EmptyLine);
                            self.count_read(tracked, end);
                        }
                    } else {
                        let flags = Flags { truncated: keep < raw, split: tracked.inside_line };
                        let kept = Kept { raw: &rest[..raw], keep, start, end, flags, ends_line: true, id: None };
                        if self.emit(tracked, slot, &kept) != Sent::Taken {
                            break Stop::Full;
                        }
                    }
                    tracked.inside_line = false;
                    at += next;
                    lines += 1;
                }
                Found::Piece { raw } => {
                    let flags = Flags { truncated: false, split: true };
                    let end = start + raw as u64;
                    let kept = Kept { raw: &rest[..raw], keep: raw, start, end, flags, ends_line: false, id: None };
                    if self.emit(tracked, slot, &kept) != Sent::Taken {
                        break Stop::Full;
                    }
                    tracked.inside_line = true;
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
                        .then(|| tracked.generation.map(|g| LineHasher::new(&g, start)))
                        .flatten();
                    let mut long = LongLine { start, hasher };
                    if let Some(hasher) = &mut long.hasher {
                        hasher.update(rest);
                    }
                    tracked.long = Some(long);
                    at = block.len();
                    break Stop::Block;
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
        file: &std::fs::File,
        slot: usize,
        long: LongLine,
        last: &[u8],
        at_newline: bool,
        end: u64,
    ) -> io::Result<Sent> {
        let Some(mut hasher) = long.hasher else {
            tracked.in_flight.dropped(end, Reason::LongLine);
            self.count_read(tracked, end);
            return Ok(Sent::Taken);
        };
        hasher.update(last);
        let id = hasher.finish(at_newline);
        let max_line = self.inputs[tracked.input].framing.max_line;
        let raw = look::bytes_at(file, long.start, max_line + 1)?;
        let keep = char_cut(&raw, max_line);
        let flags = Flags { truncated: true, split: false };
        let kept = Kept { raw: &raw, keep, start: long.start, end, flags, ends_line: true, id: Some(id) };
        Ok(match self.emit(tracked, slot, &kept) {
            Sent::Taken => Sent::Taken,
            Sent::Full | Sent::Broken => Sent::Full,
        })
    }

    /// Counts a line as read, once however often it is read again.
    pub(super) fn count_read(&mut self, tracked: &mut Tracked, end: u64) {
        if end > tracked.counted_to {
            self.lines_read += 1;
            tracked.counted_to = end;
        }
    }
}

fn allowance(tracked: &Tracked) -> Result<Allowance, std::time::Duration> {
    tracked.limiters.iter().try_fold(Allowance::UNLIMITED, |all, limiter| {
        let one = limiter.allowance()?;
        Ok(Allowance { lines: all.lines.min(one.lines), bytes: all.bytes.min(one.bytes) })
    })
}

fn read_fully(file: &std::fs::File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
