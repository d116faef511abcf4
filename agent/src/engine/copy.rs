//! Copies: a new file with the content of a known one goes on where that one stood, in its generation.
//!
//! So lines keep their ids when a file is copied and then truncated under a glob that matches the copy. A file is a copy
//! only when its name fits, its beginning is the original's, and so are the bytes before the place where the
//! original was acknowledged; in doubt it is a new file.

use std::{collections::VecDeque, fs::File, io, path::Path, path::PathBuf, rc::Rc, time::Duration};

use super::{Engine, look};
use crate::{
    checkpoint::{Entry, Extent, Mark},
    clock::Now,
    discover,
    identity::{Generation, fingerprint},
    limit::Limiter,
    produce::Producer,
    record::Shape,
    tracked::Tracked,
};

/// A beginning shorter than this says nothing.
const LEAST_BEGINNING: u32 = 256;
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
    position: u64,
    extents: VecDeque<Extent>,
    extents_end: u64,
    boundaries: VecDeque<u64>,
    beginning: (u32, u64),
    mark: Mark,
    shape: Rc<Shape>,
    pub(super) limiters: Rc<[Rc<Limiter>]>,
}

impl Original {
    /// None where too little is known, or the file was renamed: then another one under its old name is its successor.
    fn new(tracked: &Tracked) -> Option<Self> {
        if tracked.name.as_ref() != Some(&tracked.path) {
            return None;
        }
        Some(Self {
            input: tracked.input,
            generation: tracked.generation?,
            path: tracked.path.clone(),
            start: tracked.start,
            position: tracked.position,
            extents: tracked.extents.clone(),
            extents_end: tracked.extents_end(),
            boundaries: tracked.boundaries.clone(),
            beginning: tracked.beginning.filter(|(len, _)| *len >= LEAST_BEGINNING)?,
            mark: tracked.mark?,
            shape: Rc::clone(&tracked.shape),
            limiters: Rc::clone(&tracked.limiters),
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
    pub(super) fn copied(&self, tracked: &mut Tracked, file: &File, size: u64, now: Now) -> io::Result<Copied> {
        let Some(name) = tracked.name.clone() else { return Ok(Copied::No) };
        let (Some(dir), Some(name)) = (name.parent(), name.file_name().and_then(|n| n.to_str())) else {
            return Ok(Copied::No);
        };
        for (original, least) in discover::originals(name) {
            for original in self.originals(&dir.join(original)) {
                if original.input != tracked.input || original.mark.at < least {
                    continue;
                }
                let (len, known) = original.beginning;
                if size >= len.into() && fingerprint(&look::bytes_at(file, 0, len as usize)?) != known {
                    continue;
                }
                if size < original.extents_end.max(len.into()) && grows(tracked, size, now) {
                    return Ok(Copied::Later);
                }
                if size >= original.position && mark(file, original.mark.at)? == Some(original.mark) {
                    return Ok(Copied::Of(Box::new(original)));
                }
            }
        }
        Ok(Copied::No)
    }

    /// Generations that have or had this name and can have been copied from it.
    fn originals(&self, path: &Path) -> impl Iterator<Item = Original> {
        let live = self.succession.latest(path).and_then(|(slot, id)| self.slots.get(slot).filter(|t| t.id == id));
        live.and_then(Original::new).into_iter().chain(self.replaced.get(path).cloned())
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
        (tracked.generation, tracked.recorded) = (Some(original.generation), true);
        (tracked.shape, tracked.limiters) = (original.shape, original.limiters);
        (tracked.start, tracked.position, tracked.counted_to) = (original.start, original.position, original.position);
        tracked.rewind();
        (tracked.beginning, tracked.mark) = (Some(original.beginning), Some(original.mark));
        let size = tracked.size;
        tracked.extents = original.extents.into_iter().filter(|e| e.start < size).collect();
        if let Some(last) = tracked.extents.back_mut() {
            last.end = last.end.min(size);
        }
        tracked.boundaries = original.boundaries.into_iter().filter(|b| *b <= size).collect();
        let (id, input) = (tracked.id, &self.inputs[tracked.input].config.name);
        self.pending.push(Entry::File(tracked.entry(input, original.generation)));
        self.pending.push(Entry::Position(id, tracked.position));
        self.pending.push(Entry::Beginning(id, original.beginning.0, original.beginning.1));
        self.pending.push(Entry::Mark(id, original.mark));
        self.pending.extend(tracked.extents.iter().map(|e| Entry::Extent(id, *e)));
        self.pending.extend(tracked.boundaries.iter().map(|b| Entry::Boundary(id, *b)));
    }

    /// Whether a truncated file that was not read to its end waits for one more look, since a new file may be its copy.
    pub(super) fn copy_may_come(&mut self, slot: usize) -> bool {
        let Some(tracked) = self.slots.get(slot) else { return false };
        if tracked.copies_first || tracked.offset >= tracked.size || Original::new(tracked).is_none() {
            return false;
        }
        let is_copy = |name: &Path| {
            let (Some(dir), Some(file)) = (name.parent(), name.file_name().and_then(|n| n.to_str())) else {
                return false;
            };
            tracked.path.parent() == Some(dir)
                && discover::originals(file).any(|(original, _)| tracked.path == dir.join(original))
        };
        let comes = self.slots.iter().any(|(_, t)| t.is_untouched() && t.name.as_deref().is_some_and(is_copy));
        if let Some(tracked) = self.slots.get_mut(slot) {
            tracked.copies_first = true;
        }
        comes
    }

    /// Remembers a generation that is being truncated away, for its copy may be found only now. Whether there is a
    /// copy that has all of it already.
    pub(super) fn remember_replaced(&mut self, slot: usize) -> bool {
        let Some(tracked) = self.slots.get(slot) else { return false };
        if let Some(original) = Original::new(tracked) {
            if self.replaced.len() >= REMEMBERED {
                self.replaced.clear();
            }
            self.replaced.insert(tracked.path.clone(), original);
        }
        let Some(tracked) = self.slots.get(slot) else { return false };
        tracked.generation.is_some()
            && self.slots.iter().any(|(other, t)| {
                other != slot && t.generation == tracked.generation && t.size >= tracked.size && !t.content_gone
            })
    }

    /// Notes the bytes before a file's acknowledged offset, if it has moved.
    pub(super) fn new_mark(&mut self, slot: usize) -> Option<Entry> {
        let tracked = self.slots.get_mut(slot)?;
        let at = tracked.position;
        if at == 0 || tracked.mark.is_some_and(|m| m.at == at) {
            return None;
        }
        // What cannot be read now keeps its earlier mark.
        let mark = mark(tracked.file.as_ref()?, at).ok().flatten()?;
        tracked.mark = Some(mark);
        Some(Entry::Mark(tracked.id, mark))
    }
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
fn mark(file: &File, at: u64) -> io::Result<Option<Mark>> {
    let len = usize::try_from(at.min(MARK)).unwrap_or(0);
    let bytes = look::bytes_at(file, at - len as u64, len)?;
    Ok((bytes.len() == len).then(|| Mark { at, hash: fingerprint(&bytes) }))
}
