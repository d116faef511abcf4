//! Looking at one file: opened, truncated, grown, at its end, deleted.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    time::Duration,
};

use rustix::fs::OFlags;

use super::{
    BLOCK, Engine,
    archive::{self, Resolved},
    copy::{Copied, LEAST_BEGINNING, QUIET, mark},
};
use crate::{
    checkpoint::{Entry, Extent},
    clock::Now,
    identity::{BEGINNING, Stat, fingerprint, generation, generation_after_truncation},
    ledger::Reason,
    produce::Producer,
    source::{Format, Source},
    tracked::{Queued, Tail, Tracked},
};

/// One read time is written down for at most this much of a file.
const EXTENT: u64 = 16 << 20;

impl<P: Producer> Engine<P> {
    /// Sees what is to be done with a woken file, and queues it for reading if it has bytes.
    pub(super) fn look_at(&mut self, slot: usize, now: Now) {
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        if tracked.queued == Queued::Read {
            return;
        }
        tracked.queued = Queued::No;
        if tracked.content_gone {
            if tracked.in_flight.is_empty() {
                self.end_gone(slot, now);
            }
            return;
        }
        if tracked.done || tracked.retry_at.is_some_and(|at| now.mono < at) {
            return;
        }
        tracked.retry_at = None;
        let waits = self.slots.get(slot).is_some_and(|t| self.waits(t));
        if waits && !self.may_note(slot) || !self.open(slot, now) {
            return;
        }
        let Some(mut tracked) = self.slots.take(slot) else { return };
        let before = tracked.after.take_if(|_| !waits);
        let file = tracked.file.take();
        let looked = file.as_ref().map(|file| self.examine(&mut tracked, file, waits, now));
        tracked.file = file;
        self.slots.put(slot, tracked);
        match looked {
            // Its writer went on in the older file until it began this one.
            Some(Ok(Seen::Bytes)) if before.is_some_and(|before| self.has_changed(before)) => {
                self.read_after(slot, before);
            }
            Some(Ok(Seen::Bytes)) => {
                if let Some(tracked) = self.slots.get_mut(slot) {
                    (tracked.queued, tracked.at_end, tracked.ended) = (Queued::Read, false, None);
                    self.read.push_back(slot);
                }
            }
            // What the truncation took may be in a copy: then that is looked at first.
            Some(Ok(Seen::Truncated(_))) if self.copy_may_come(slot, now) => {
                // Nor has who waits for it seen its end.
                if let Some(tracked) = self.slots.get_mut(slot) {
                    (tracked.queued, tracked.at_end) = (Queued::Look, false);
                }
                // After its copies, also where an earlier one that it waited for has woken it before.
                self.look.retain(|woken| *woken != slot);
                self.look.push_back(slot);
            }
            Some(Ok(Seen::Truncated(stat))) => self.truncated(slot, &stat),
            Some(Ok(Seen::Incomplete)) => {
                // As long as it is not known whose continuation it is, nobody waits for it.
                if self.slots.get(slot).is_some_and(|t| t.archived && !t.resolved) {
                    self.nothing_more(slot);
                }
                self.look_later(slot, now);
            }
            Some(Ok(Seen::Foreign)) => {
                // A plain file is looked at only where its name may make it a copy, and may get another name.
                if let Some((ino, birth)) = self.slots.get(slot).filter(|t| t.archived).map(|t| (t.ino, t.birth)) {
                    self.is_nobodys(ino, birth);
                }
                self.forget(slot);
            }
            Some(Ok(Seen::Waits)) => {}
            Some(Ok(Seen::Other)) => {
                self.slots.close(slot);
                self.scan_soon = true;
                // One without a name is found by the scan.
                if self.slots.get(slot).is_some_and(|t| t.name.is_some()) {
                    self.wake(slot);
                }
            }
            Some(Ok(Seen::End { size, deleted })) => self.at_end(slot, size, deleted, now),
            Some(Err(error)) => {
                let path = self.slots.get(slot).map(|t| t.path.clone()).unwrap_or_default();
                self.warn(&path, &error, now);
                // What could be decompressed is read; there is no more.
                if self.slots.get(slot).is_some_and(|t| t.archived) {
                    self.nothing_more(slot);
                    return self.look_later(slot, now);
                }
                self.slots.close(slot);
            }
            None => {}
        }
    }

    fn look_later(&mut self, slot: usize, now: Now) {
        let Some(tracked) = self.slots.get(slot) else { return };
        let unresolved = !tracked.resolved && tracked.is_untouched();
        let (id, waits) = (tracked.id, tracked.archived && (unresolved || tracked.after.is_some()));
        self.timers.set(now.mono + QUIET, slot, id);
        if waits {
            // Others may be opened meanwhile.
            self.slots.close(slot);
        }
    }

    pub(super) fn open(&mut self, slot: usize, now: Now) -> bool {
        let Some(tracked) = self.slots.get(slot) else { return false };
        if tracked.file.is_some() {
            self.slots.used(slot);
            return true;
        }
        let expected = (tracked.ino, tracked.birth);
        let Some(name) = tracked.name.clone() else {
            if !self.waits_for_unpacking(slot, now) {
                self.nothing_more(slot);
            }
            return false;
        };
        if !self.slots.room_for_one() {
            // Until another file is at its end.
            self.wake(slot);
            return false;
        }
        let format = name.file_name().and_then(Format::of_name).map(|(format, _)| format);
        let unpacking = || self.slots.iter().filter(|(_, t)| t.file.as_ref().is_some_and(Source::is_packed)).count();
        if format.is_some() && unpacking() >= archive::MAX_OPEN {
            self.look_later(slot, now);
            return false;
        }
        // A name can become a pipe between the scan and now: opening must not wait for its writer.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&name);
        match opened.and_then(|file| Ok((Stat::of_file(&file)?, file))) {
            Ok((stat, file)) if stat.is_file() && (stat.ino, stat.birth) == expected => {
                let mut magic = [0; 4];
                let magic = file.read_at(&mut magic, 0).map(|n| &magic[..n]).unwrap_or_default();
                let format = format.filter(|format| format.begins(magic));
                let block = self.block.len();
                if let Some(tracked) = self.slots.get_mut(slot) {
                    tracked.archived = format.is_some();
                    tracked.file = Some(match format {
                        Some(format) => Source::packed(file, format, block),
                        None => Source::Plain(file),
                    });
                }
                self.slots.opened(slot);
                true
            }
            // The name is another file's by now.
            Ok(_) => {
                self.slots.rename(slot, None);
                self.scan_soon = true;
                false
            }
            // Also when it was renamed: what has its name now waits until the scan has looked for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.slots.rename(slot, None);
                self.scan_soon = true;
                false
            }
            Err(error) => {
                self.nothing_more(slot);
                self.warn(&name, &error, now);
                false
            }
        }
    }

    /// Nothing of a file can be read for now: nobody is to wait for it.
    fn nothing_more(&mut self, slot: usize) {
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        tracked.at_end = true;
        if std::mem::take(&mut tracked.followed) {
            let id = tracked.id;
            self.wake_followers(slot, id);
        }
    }

    /// What is new of a file; of one that waits for another only as much as tells later whether it was truncated meanwhile.
    fn examine(&mut self, tracked: &mut Tracked, file: &Source, waits: bool, now: Now) -> io::Result<Seen> {
        let mut stat = file.stat(0)?;
        if (stat.ino, stat.birth) != (tracked.ino, tracked.birth) {
            return Ok(Seen::Other);
        }
        let maybe_other = tracked.rest.look(&stat, now.mono);
        if file.is_packed() {
            if stat.size > 0 && tracked.is_untouched() && !tracked.resolved {
                match self.resolve(tracked, file)? {
                    Resolved::Read => {}
                    Resolved::Later => return Ok(Seen::Incomplete),
                    Resolved::Foreign => return Ok(Seen::Foreign),
                }
            }
            stat.size = self.unpack_to(file, tracked.extents_end().saturating_add(BLOCK as u64))?;
            // Nobody writes into compressed files.
            if stat.size < tracked.extents_end() {
                return Ok(Seen::End { size: stat.size, deleted: false });
            }
        } else {
            // Of what was never read nothing tells whether the rest is what it was.
            let known = if tracked.extents.is_empty() { tracked.size } else { tracked.extents_end() };
            if stat.size < known || maybe_other && is_written_over(tracked, file, stat.size)? {
                return Ok(Seen::Truncated(stat));
            }
            self.lost(Reason::Truncated, tracked.size.saturating_sub(stat.size));
        }
        if tracked.tail.is_none() && !file.is_packed() {
            // Else nobody would notice that it is truncated and filled up again before more of it is read.
            let Some(tail) = Tail::still(None, file, tracked.extents_end())? else {
                return Ok(Seen::Truncated(file.stat(0)?));
            };
            tracked.tail = Some(tail);
        }
        tracked.size = stat.size;
        if waits {
            let says_something = stat.size >= LEAST_BEGINNING.into();
            let is_own = tracked.recorded || tracked.truncations > 0;
            if says_something && is_own && (tracked.recorded || self.record_generation(tracked, file)?) {
                self.learn_beginning(tracked, file)?;
            }
            return Ok(Seen::Waits);
        }
        let alone = file.is_packed() || self.inputs[tracked.input].spool.is_some();
        if stat.size > 0 && !alone && tracked.is_untouched() && !tracked.is_copy(&self.around.host_id) {
            match self.copied(tracked, file, stat.size, now)? {
                Copied::No if tracked.only_as_continuation => return Ok(Seen::Foreign),
                Copied::No => {}
                Copied::Later => return Ok(Seen::Incomplete),
                Copied::Of(original) => {
                    self.go_on_as_copy(tracked, *original);
                    if self.waits(tracked) {
                        return Ok(Seen::Waits);
                    }
                }
            }
        }
        if stat.size == 0 && tracked.only_as_continuation {
            return Ok(Seen::Foreign);
        }
        if !tracked.recorded && !self.record_generation(tracked, file)? {
            return Ok(Seen::End { size: stat.size, deleted: stat.links == 0 });
        }
        let end = tracked.extents_end();
        if tracked.read_to < end.min(stat.size) {
            return Ok(Seen::Bytes);
        }
        if stat.size <= end {
            return Ok(Seen::End { size: stat.size, deleted: stat.links == 0 });
        }
        let Some(before) = Tail::still(tracked.tail.as_ref(), file, end)? else {
            return Ok(Seen::Truncated(file.stat(0)?));
        };
        self.learn_beginning(tracked, file)?;
        let small = !tracked.limits.delays.is_empty() || file.is_packed();
        let longest = if small { BLOCK as u64 } else { EXTENT };
        let extent = Extent {
            start: end,
            end: stat.size.min(end.saturating_add(longest)),
            time_ms: now.unix_ms,
            mark: if end == 0 { 0 } else { fingerprint(&before.bytes) },
        };
        tracked.extents.push_back(extent);
        self.pending.push(Entry::Extent(tracked.id, extent));
        Ok(Seen::Bytes)
    }

    fn learn_beginning(&mut self, tracked: &mut Tracked, file: &Source) -> io::Result<()> {
        // Known anew as long as it says nothing, then at each doubling as long as it is short.
        let enough =
            |len: u32| if len < LEAST_BEGINNING { len + 1 } else { len.saturating_mul(2).min(BEGINNING as u32) };
        let is_longer = |(len, _)| (len as usize) < BEGINNING && tracked.size >= enough(len).into();
        if tracked.beginning.is_none_or(is_longer) {
            let beginning = file.bytes_at(0, BEGINNING)?;
            let known = (beginning.len() as u32, fingerprint(&beginning));
            tracked.beginning = Some(known);
            self.pending.push(Entry::Beginning(tracked.id, known.0, known.1));
        }
        Ok(())
    }

    /// Fixes a file's generation in the checkpoint; false while there is nothing to tell it from.
    fn record_generation(&mut self, tracked: &mut Tracked, file: &Source) -> io::Result<bool> {
        if tracked.size == 0 && (tracked.birth == 0 || tracked.truncations > 0) {
            return Ok(false);
        }
        let beginning = file.bytes_at(0, BEGINNING)?;
        let host = &self.around.host_id;
        let generation = match tracked.truncations {
            0 => generation(host, tracked.ino, tracked.birth, &beginning),
            n => generation_after_truncation(host, tracked.ino, tracked.birth, n, &beginning),
        };
        tracked.generation = Some(generation);
        tracked.recorded = true;
        let input = &self.inputs[tracked.input].config.name;
        self.pending.push(Entry::File(tracked.entry(input, generation)));
        Ok(true)
    }

    /// The file's content was replaced in place: a new generation begins, the old one ends with what is in flight.
    fn truncated(&mut self, slot: usize, stat: &Stat) {
        let copied_over = self.copied_over(slot, stat);
        let is_copy = copied_over.is_some();
        if !is_copy {
            self.remember_replaced(slot);
        }
        let path = self.slots.get(slot).map(|t| t.path.clone()).unwrap_or_default();
        let id = self.slots.get(slot).map_or(0, |t| t.id);
        let plain = self.copy_of(slot);
        let copy = plain.or_else(|| self.possible_continuation(&path, id));
        let saved = plain.and_then(|(plain, _)| self.slots.get(plain)).map(|plain| plain.size);
        let lost = saved.map_or(0, |saved| self.lost_rest(slot, Reason::Truncated, saved));
        let Some(old) = self.slots.get_mut(slot) else { return };
        // What waited goes on waiting.
        let before = if is_copy { old.after } else { copy.or(old.after) };
        let mut new = copied_over.unwrap_or_else(|| {
            let (shape, limits) = (std::rc::Rc::clone(&old.shape), old.limits.clone());
            let mut new = Tracked::new(self.next_id, old.input, stat, path.clone(), shape, limits);
            new.only_as_continuation = old.only_as_continuation;
            new
        });
        self.next_id += 1;
        new.truncations = old.truncations.saturating_add(1);
        (new.file, new.name) = (old.file.take(), old.name.take());
        (old.content_gone, old.at_end, old.may_be_saved, old.ended) = (true, true, saved.is_none(), None);
        let new_id = new.id;
        if lost > 0 {
            tracing::warn!(path = %path.display(), lost_bytes = lost, "file was truncated before all of it was read");
        } else {
            tracing::info!(path = %path.display(), "file was truncated, reading its new content");
        }
        self.wake(slot);
        // While a copy of it is waited for, it stands between nobody and the file that came before.
        self.succession.remove(&path, id);
        if let Some((slot, _)) = copy
            && let Some(tracked) = self.slots.get_mut(slot)
        {
            // Now it can be told whose continuation it is.
            tracked.at_end = false;
            self.wake(slot);
        }
        // At once where the number of truncations is enough to tell it from others: after a kill it would be taken for a new file
        // otherwise, and lines as they were there before for the same lines.
        if new.birth > 0 && !new.only_as_continuation {
            new.generation =
                Some(generation_after_truncation(&self.around.host_id, new.ino, new.birth, new.truncations, &[]));
            new.recorded = true;
            let entry = new.generation.map(|g| new.entry(&self.inputs[new.input].config.name, g));
            self.pending.extend(entry.map(Entry::File));
        }
        if let Some(new) = self.slots.insert(new) {
            // Who waited for the old content has the new before it, unless that waits for him.
            self.follow_instead((slot, id), if is_copy { before } else { Some((new, new_id)) });
            if let Some(first) = before.and_then(|(first, _)| self.slots.get_mut(first)) {
                first.after.take_if(|after| *after == (new, new_id));
            }
            self.queue_by_birth(new);
            if !is_copy {
                self.read_after(new, before);
            }
            self.wake(new);
        }
    }

    fn at_end(&mut self, slot: usize, size: u64, deleted: bool, now: Now) {
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        let flush = self.inputs[tracked.input].flush_after(tracked);
        tracked.at_end = true;
        tracked.deleted = deleted;
        let id = tracked.id;
        if !tracked.has_partial() {
            tracked.partial = None;
        } else if tracked.partial.is_none_or(|(seen, _)| seen != size) {
            tracked.partial = Some((size, now.mono));
            self.timers.set(now.mono + flush, slot, id);
        }
        if !deleted && !tracked.has_partial() {
            tracked.rest.nothing_to_do(now.mono);
        }
        let whole = tracked.partial.is_none() && tracked.in_flight.is_empty();
        if !deleted && whole && self.is_spent(slot) {
            self.spent.push(slot);
        }
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        if deleted && tracked.partial.is_none() {
            let quiet = self.config.rescan_interval.max(Duration::from_secs(1));
            let since = *tracked.ended.get_or_insert(now.mono);
            if now.mono < since + quiet {
                self.timers.set(since + quiet, slot, id);
            } else if tracked.in_flight.is_empty() {
                // The compressed file that it became goes on from it first.
                let path = tracked.path.clone();
                if self.scan_soon || self.awaits_unpacking(&path, id) {
                    self.timers.set(now.mono + QUIET, slot, id);
                    return;
                }
                return self.forget(slot);
            }
        } else if tracked.archived && tracked.partial.is_none() && tracked.in_flight.is_empty() {
            self.done(slot);
        }
        if self.slots.get_mut(slot).is_some_and(|t| std::mem::take(&mut t.followed)) {
            self.wake_followers(slot, id);
        }
    }

    /// Ends the agent's knowledge of a file that is finished and gone.
    pub(super) fn forget(&mut self, slot: usize) {
        if let Some(tracked) = self.slots.remove(slot) {
            self.succession.remove(&tracked.path, tracked.id);
            if tracked.followed {
                self.wake_followers(slot, tracked.id);
            }
            if tracked.recorded {
                self.forgot = true;
                self.pending.push(Entry::Gone(tracked.id));
                // What is made of it now did not come unseen.
                self.pending.push(Entry::Written(self.now_ms));
            }
        }
    }
}

/// What looking at a file gave.
enum Seen {
    Bytes,
    /// For another file's end.
    Waits,
    Truncated(Stat),
    /// The descriptor is another file's: a file system that goes by names gave it to who has the name now.
    Other,
    /// Maybe a copy in the making.
    Incomplete,
    /// Compressed or unmatched, and not the continuation of a file that is to be read.
    Foreign,
    End {
        size: u64,
        deleted: bool,
    },
}

/// Whether a file is still what the checkpoint knows: not shorter, and the same where it is compared.
fn is_same_content(tracked: &Tracked, file: &Source, size: u64) -> io::Result<bool> {
    if size < tracked.position {
        return Ok(false);
    }
    if let Some((len, known)) = tracked.beginning {
        let beginning = file.bytes_at(0, len as usize)?;
        // All of it was there once.
        if beginning.len() < len as usize || fingerprint(&beginning) != known {
            return Ok(false);
        }
    }
    if let Some(known) = tracked.mark
        && mark(file, known.at)? != Some(known)
    {
        return Ok(false);
    }
    match tracked.extents.back() {
        Some(extent) if extent.start > 0 && extent.start <= size => {
            Ok(fingerprint(&Tail::of(file, extent.start)?.bytes) == extent.mark)
        }
        _ => Ok(true),
    }
}

/// Whether a file was truncated and filled again, up to `size` or beyond. NUL characters at the end of what is known were
/// nobody's lines: a writer who fills them in has truncated nothing.
pub(super) fn is_written_over(tracked: &Tracked, file: &Source, size: u64) -> io::Result<bool> {
    Ok(match &tracked.tail {
        _ if file.is_packed() => false,
        Some(tail) if tail.bytes.last() == Some(&0) => false,
        Some(tail) if !tail.is_in(file)? => true,
        _ => !is_same_content(tracked, file, size)?,
    })
}
