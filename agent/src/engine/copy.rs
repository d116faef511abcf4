//! Copies: a new file with the content of a known one goes on where that one stood, in its generation.
//!
//! So lines keep their ids when a file is copied and then truncated under a glob that matches the copy. A file is a copy
//! only when its name fits, its beginning is the original's, and so are the bytes before the place where the
//! original was acknowledged; in doubt it is a new file. A copy that no glob matches is looked for when its original is
//! truncated, and what was not read before is read from it. A renamed file has successors, not copies, unless it was
//! truncated before or is gone.

use std::{collections::VecDeque, io, path::Path, path::PathBuf, rc::Rc, time::Duration};

use super::{Engine, admit::Found, archive::possible_origins, look::is_written_over};
use crate::{
    checkpoint::{Entry, Extent, Mark},
    clock::Now,
    discover,
    identity::{Generation, Stat, fingerprint},
    limit::Limits,
    produce::Producer,
    record::Shape,
    source::{Format, Source},
    tracked::{Queued, Tail, Tracked},
};

/// A beginning shorter than this says nothing.
pub(super) const LEAST_BEGINNING: u32 = 256;
/// Bytes before the acknowledged offset that are compared.
const MARK: u64 = 1024;
/// A file that may be a copy in the making has this long to grow.
pub(super) const QUIET: Duration = Duration::from_secs(1);
/// Truncated generations that are remembered.
const REMEMBERED: usize = 1000;

/// What is needed to go on in a file's copy.
#[derive(Clone)]
pub(super) struct Original {
    pub(super) input: usize,
    generation: Generation,
    path: PathBuf,
    start: u64,
    pub(super) position: u64,
    extents: VecDeque<Extent>,
    pub(super) extents_end: u64,
    boundaries: VecDeque<u64>,
    pub(super) beginning: (u32, u64),
    pub(super) mark: Option<Mark>,
    /// A later place up to which it was read or begun to be, and a fingerprint of the bytes before it.
    end: Option<(u64, u64)>,
    /// What it waited for.
    after: Option<(usize, u64)>,
    shape: Rc<Shape>,
    pub(super) limits: Limits,
}

impl Original {
    /// Whether enough is known to tell its copy from an independent file whose name fits. As long as there is no mark,
    /// or one that says too little, its beginning and end are enough if its content is known to be gone; the beginning,
    /// where all that is passed over lies in it.
    fn is_sure(&self, least: u64, gone: bool) -> bool {
        let len = u64::from(self.beginning.0);
        let known = gone && len >= least && (self.position <= len || self.end.is_some_and(|(at, _)| at >= least));
        self.beginning.0 >= LEAST_BEGINNING && (known || self.mark.is_some_and(|mark| mark.at >= least))
    }

    /// Whether a file has the same bytes where they are compared, beside the beginning.
    fn is_in(&self, file: &Source, size: u64) -> io::Result<bool> {
        if let Some(known) = self.mark.filter(|mark| mark.at >= LEAST_BEGINNING.into()) {
            return Ok(mark(file, known.at)? == Some(known));
        }
        // Something must be equal.
        let len = u64::from(self.beginning.0);
        let same = |(at, known)| Ok::<_, io::Error>(fingerprint(&Tail::of(file, at)?.bytes) == known);
        Ok(size >= len && self.end.filter(|_| self.position > len).map_or(Ok(true), same)?)
    }

    /// None where too little is known to go on where this one stood.
    pub(super) fn new(tracked: &Tracked) -> Option<Self> {
        let begun = tracked.extents.back().filter(|extent| extent.start > 0).map(|extent| (extent.start, extent.mark));
        Some(Self {
            input: tracked.input,
            generation: tracked.generation?,
            path: tracked.path.clone(),
            start: tracked.start,
            position: tracked.position,
            extents: tracked.extents.clone(),
            extents_end: tracked.extents_end(),
            boundaries: tracked.boundaries.clone(),
            beginning: tracked.beginning?,
            mark: tracked.mark,
            end: tracked.tail.as_ref().map(|tail| (tail.end, fingerprint(&tail.bytes))).or(begun),
            after: tracked.after,
            shape: Rc::clone(&tracked.shape),
            limits: tracked.limits.clone(),
        })
    }
}

/// What a new file is.
pub(super) enum Copied {
    No,
    /// Maybe a copy that is not complete yet.
    Later,
    Of(Box<Original>),
}

impl<P: Producer> Engine<P> {
    /// Whether a file of which nothing was read yet is the copy of a known one.
    pub(super) fn copied(&self, tracked: &mut Tracked, file: &Source, size: u64, now: Now) -> io::Result<Copied> {
        for (original, least, gone) in self.possible_originals(tracked) {
            // What no glob matches is no file of its own.
            if original.input != tracked.input || !tracked.only_as_continuation && !original.is_sure(least, gone) {
                continue;
            }
            let (len, known) = original.beginning;
            if size >= len.into() && fingerprint(&file.bytes_at(0, len as usize)?) != known {
                continue;
            }
            // Who truncates has made the copy before.
            if !gone && size < original.extents_end.max(len.into()) && grows(tracked, size, now) {
                return Ok(Copied::Later);
            }
            if size >= original.position && original.is_in(file, size)? {
                return Ok(Copied::Of(Box::new(original)));
            }
        }
        Ok(Copied::No)
    }

    /// What a file can be the copy of by its name, how much must be known of it, and whether its content is gone.
    fn possible_originals(&self, copy: &Tracked) -> Vec<(Original, u64, bool)> {
        let file_name = |path: &Path| Some((path.parent()?.to_owned(), path.file_name()?.to_owned()));
        let mut possible = Vec::new();
        if let Some((dir, name)) = copy.called().and_then(file_name) {
            for (original, least) in discover::originals(&name) {
                let originals = self.originals(&dir.join(original), copy).into_iter();
                possible.extend(originals.map(|(original, gone)| (original, least, gone)));
            }
        }
        // A compressed file that was made of this one may have taken the original's place before this one was looked at.
        if let Some(lost) = copy.lost_name.as_deref().filter(|_| copy.name.is_none()) {
            let took_place = |t: &Tracked| t.archived && !t.is_untouched() && is_copy(lost, &t.path);
            let compressed = self.slots.iter().filter(|(_, t)| took_place(t));
            possible.extend(compressed.filter_map(|(_, t)| Some((Original::new(t)?, LEAST_BEGINNING.into(), true))));
        }
        possible
    }

    /// Generations that have or had this name and can have been copied from it, and whether their content is gone.
    fn originals(&self, path: &Path, copy: &Tracked) -> Vec<(Original, bool)> {
        // What was copied over an earlier copy is on that one's inode.
        let over = copy.truncations > 0;
        let born_before = |t: &Tracked| over || t.birth == 0 || copy.birth == 0 || t.birth <= copy.birth;
        let known = self.succession.of(path).filter_map(|(slot, id)| self.slots.get(slot).filter(|t| t.id == id));
        let known = known.filter(move |t| !t.content_gone && !t.archived && born_before(t)).filter_map(|t| {
            let gone = t.copies_first || t.name.is_none() && t.file.is_none();
            // Who was renamed has a successor under its old name.
            (gone || t.name.as_ref() == Some(&t.path)).then(|| Some((Original::new(t)?, gone))).flatten()
        });
        known.chain(self.replaced.get(path).cloned().map(|original| (original, true))).collect()
    }

    /// Makes a new file its original's continuation, durably before the next read. Lines that the original has in
    /// flight are sent again, under the same ids: its content may be gone when they fail.
    pub(super) fn go_on_as_copy(&mut self, tracked: &mut Tracked, original: Original) {
        let name = std::mem::replace(&mut tracked.path, original.path);
        tracing::info!(
            path = %name.display(),
            original = %tracked.path.display(),
            offset = original.position,
            "file is a copy, going on where its original stood"
        );
        // The original's records and this one's are the same: the name in them, their times and their ends.
        self.succession.remove(&name, tracked.id);
        tracked.only_as_continuation = false;
        (tracked.generation, tracked.recorded) = (Some(original.generation), true);
        (tracked.shape, tracked.limits, tracked.after) = (original.shape, original.limits, original.after);
        (tracked.start, tracked.position, tracked.counted_to) = (original.start, original.position, original.position);
        tracked.rewind();
        let size = tracked.size;
        let may_be_saved = |t: &Tracked| t.may_be_saved && t.generation == Some(original.generation);
        let truncated = self.slots.iter().find(|(_, t)| may_be_saved(t)).map(|(slot, _)| slot);
        truncated.into_iter().for_each(|slot| self.not_saved(slot, size));
        // The original may have grown since.
        tracked.beginning = Some(original.beginning).filter(|(len, _)| size >= u64::from(*len));
        (tracked.mark, tracked.tail) = (original.mark, None);
        tracked.extents = original.extents.into_iter().filter(|e| e.start < size).collect();
        if let Some(last) = tracked.extents.back_mut() {
            last.end = last.end.min(size);
        }
        tracked.boundaries = original.boundaries.into_iter().filter(|b| *b <= size).collect();
        let (id, input) = (tracked.id, &self.inputs[tracked.input].config.name);
        self.pending.push(Entry::File(tracked.entry(input, original.generation)));
        self.pending.push(Entry::Position(id, tracked.position));
        self.pending.extend(tracked.beginning.map(|(len, hash)| Entry::Beginning(id, len, hash)));
        self.pending.extend(original.mark.map(|mark| Entry::Mark(id, mark)));
        self.pending.extend(tracked.extents.iter().map(|e| Entry::Extent(id, *e)));
        self.pending.extend(tracked.boundaries.iter().map(|b| Entry::Boundary(id, *b)));
    }

    /// Whether a truncated file waits for one more look, since another file may be the copy that was made before.
    pub(super) fn copy_may_come(&mut self, slot: usize, now: Now) -> bool {
        let Some(tracked) = self.slots.get_mut(slot).filter(|t| Original::new(t).is_some()) else { return false };
        let path = tracked.path.clone();
        if std::mem::replace(&mut tracked.copies_first, true) {
            return self.earlier_copies_wait(slot, &path, now);
        }
        // How it ended, in case of a kill before its copy is found: its mark cannot be read any more.
        let tail = tracked.tail.as_ref().filter(|tail| tail.end == tracked.extents_end());
        let last = tail.map(|tail| (tail.end, if tail.end == 0 { 0 } else { fingerprint(&tail.bytes) }));
        if let Some((start, mark)) = last.or(tracked.extents.back().map(|last| (last.start, last.mark))) {
            let end = Extent { start, end: tracked.size.max(tracked.extents_end()), time_ms: now.unix_ms, mark };
            tracked.extents.push_back(end);
            self.pending.push(Entry::Extent(tracked.id, end));
        }
        let waits = self.earlier_copies_wait(slot, &path, now);
        self.admit_copies(slot, &path);
        let possible = self.possible_copies(&path);
        // Those taken for files that came after this one would wait for its new content.
        for copy in &possible {
            if self.slots.get(*copy).is_some_and(|t| t.path == path) {
                self.take_for_copy(*copy, slot, now);
            }
        }
        waits || !possible.is_empty()
    }

    /// Looks at the earlier copies of a file, since what it was may have been copied over one of them; whether such a one waits
    /// for another look in turn, since what it was may have been copied before.
    fn earlier_copies_wait(&mut self, slot: usize, path: &Path, now: Now) -> bool {
        let host = &self.around.host_id;
        if self.slots.get(slot).is_none_or(|t| t.is_copy(host)) {
            return false;
        }
        let copied = |t: &Tracked| !t.content_gone && (t.is_copy(host) || t.name.as_ref() == Some(&t.path));
        let named = |t: &Tracked| t.name.as_deref().filter(|name| is_copy(name, path)).map(Path::to_owned);
        let earlier = self.slots.iter().filter(|(_, t)| copied(t)).filter_map(|(slot, t)| Some((slot, named(t)?)));
        let earlier: Vec<usize> =
            earlier.filter(|(slot, name)| self.is_at(*slot, name)).map(|(slot, _)| slot).collect();
        let waits = |t: &Tracked| t.copies_first && !t.content_gone && t.queued == Queued::Look;
        let mut wait = false;
        for slot in earlier {
            if !self.slots.get(slot).is_some_and(waits) {
                self.look_at(slot, now);
            }
            wait |= self.slots.get(slot).is_some_and(waits);
        }
        wait
    }

    /// Files of which nothing was read and whose names can be those of copies, or were as long as they can be read.
    fn possible_copies(&self, path: &Path) -> Vec<usize> {
        let host = &self.around.host_id;
        let readable = |t: &Tracked| t.name.is_some() || t.file.is_some();
        let named = |t: &Tracked| readable(t) && t.called().is_some_and(|name| is_copy(name, path));
        let may_be = |t: &Tracked| t.is_untouched() && !t.is_copy(host) && named(t);
        self.slots.iter().filter(|(_, t)| may_be(t)).map(|(slot, _)| slot).collect()
    }

    /// Whether a plain file is known only because its name can be a copy's.
    pub(super) fn is_only_possible_copy(&self, slot: usize) -> bool {
        let plain = |t: &Tracked| !t.archived && t.name.as_deref().is_some_and(|name| !Format::is_of(name));
        self.slots.get(slot).is_some_and(|t| t.only_as_continuation && t.is_untouched() && plain(t))
    }

    /// Whether a file that is gone may go on in a copy.
    pub(super) fn awaits_copy(&self, path: &Path) -> bool {
        // One that the checkpoint knows and nobody has looked at has its size on disk alone.
        let size =
            |t: &Tracked| t.name.as_deref().and_then(|name| Stat::of_path(name).ok()).map_or(t.size, |stat| stat.size);
        let plain = |slot: usize| self.slots.get(slot).is_some_and(|t| !t.archived && size(t) > 0);
        self.possible_copies(path).into_iter().any(plain)
    }

    /// Looks whether a file is the copy of one that was truncated, whatever it waits for; what cannot be read tells it
    /// when its turn comes. Who waits for the copy waits for the new content, too.
    fn take_for_copy(&mut self, slot: usize, original: usize, now: Now) {
        if !self.open(slot, now) {
            return;
        }
        let truncated = self.slots.get(original).map(|t| (original, t.id));
        let Some(mut tracked) = self.slots.take(slot) else { return };
        let (id, mut is_copy) = (tracked.id, false);
        if let Some(file) = tracked.file.take() {
            let size = file.stat(0).map_or(0, |stat| stat.size);
            if !file.is_packed()
                && size > 0
                && let Ok(Copied::Of(original)) = self.copied(&mut tracked, &file, size, now)
            {
                (tracked.size, is_copy) = (size, true);
                self.go_on_as_copy(&mut tracked, *original);
            }
            tracked.file = Some(file);
        }
        self.slots.put(slot, tracked);
        if is_copy {
            self.follow_instead((slot, id), truncated);
        }
        self.wake(slot);
    }

    /// Finds the copies of a file beside it, also compressed ones; those that no glob matches are read only as such.
    fn admit_copies(&mut self, slot: usize, path: &Path) {
        let Some(tracked) = self.slots.get(slot) else { return };
        let (birth, of_original) = (tracked.birth, tracked.input);
        // What cannot be listed is complained of by the next scan.
        let entries = path.parent().and_then(|dir| std::fs::read_dir(dir).ok()).into_iter().flatten().flatten();
        let may_be = |copy: &PathBuf| {
            if Format::is_of(copy) {
                possible_origins(copy).iter().any(|origin| origin == path)
            } else {
                is_copy(copy, path)
            }
        };
        for copy in entries.map(|entry| entry.path()).filter(may_be) {
            let Ok(stat) = Stat::of_path(&copy) else { continue };
            let known = self.slots.by_inode(stat.ino, stat.birth).is_some() || self.is_foreign(&stat);
            if stat.is_file() && stat.birth >= birth && !known {
                let matching = self.input_of(&copy);
                let (input, only_as_continuation) = (matching.unwrap_or(of_original), matching.is_none());
                self.admit(Found { path: copy.clone(), origin: copy, input, stat, only_as_continuation });
            }
        }
    }

    /// Slot and number of the copy that goes on in a file's generation.
    pub(super) fn copy_of(&self, slot: usize) -> Option<(usize, u64)> {
        let generation = self.slots.get(slot)?.generation?;
        let mut copies = self
            .slots
            .iter()
            .filter(|(other, t)| *other != slot && t.generation == Some(generation) && !t.content_gone);
        copies.next().map(|(slot, t)| (slot, t.id))
    }

    /// What a copy is that has other content now: maybe the next copy of the same file, or a file of its own.
    pub(super) fn copied_over(&self, slot: usize, stat: &Stat) -> Option<Tracked> {
        let copy = self.slots.get(slot).filter(|t| t.is_copy(&self.around.host_id))?;
        let name = copy.name.clone().filter(|name| *name != copy.path)?;
        let input = self.input_of(&name);
        let mut new = self.new_tracked(self.next_id, input.unwrap_or(copy.input), stat, name);
        new.only_as_continuation = input.is_none();
        Some(new)
    }

    /// Remembers a generation that is being truncated away, for its copy may be found only now.
    pub(super) fn remember_replaced(&mut self, slot: usize) {
        let Some(tracked) = self.slots.get(slot) else { return };
        if let Some(original) = Original::new(tracked) {
            if self.replaced.len() >= REMEMBERED {
                self.replaced.clear();
            }
            self.replaced.insert(tracked.path.clone(), original);
        }
    }

    /// Notes the bytes before a file's acknowledged offset, if it has moved.
    pub(super) fn new_mark(&mut self, slot: usize) -> Option<Entry> {
        let tracked = self.slots.get_mut(slot)?;
        let at = tracked.position;
        if at == 0 || tracked.mark.is_some_and(|m| m.at == at) {
            return None;
        }
        let file = tracked.file.as_ref()?;
        let mark = mark(file, at).ok().flatten()?;
        // What cannot be read now keeps its earlier mark, and so does what was truncated and written over.
        if is_written_over(tracked, file, tracked.extents_end()).unwrap_or(true) {
            return None;
        }
        tracked.mark = Some(mark);
        Some(Entry::Mark(tracked.id, mark))
    }
}

/// Whether a file can be another one's copy, by its name.
fn is_copy(copy: &Path, path: &Path) -> bool {
    let (Some(name), Some(original)) = (copy.file_name(), path.file_name()) else {
        return false;
    };
    copy.parent() == path.parent() && discover::originals(name).any(|(name, _)| original == name)
}

/// Whether a possible copy may still be written to.
fn grows(tracked: &mut Tracked, size: u64, now: Now) -> bool {
    match tracked.incomplete {
        Some((seen, since)) if seen == size => now.mono < since + QUIET,
        _ => {
            tracked.incomplete = Some((size, now.mono));
            true
        }
    }
}

/// The bytes before `at`; none when the file is shorter.
pub(super) fn mark(file: &Source, at: u64) -> io::Result<Option<Mark>> {
    let len = usize::try_from(at.min(MARK)).unwrap_or(0);
    let bytes = file.bytes_at(at - len as u64, len)?;
    Ok((bytes.len() == len).then(|| Mark { at, hash: fingerprint(&bytes) }))
}
