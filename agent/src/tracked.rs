//! One generation of a file while the agent knows it.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    rc::Rc,
    time::Instant,
};

use crate::{
    checkpoint::{Extent, FileEntry, FileState, Mark},
    frame::Text,
    identity::{Generation, Stat, generation, generation_after_truncation},
    in_flight::InFlight,
    limit::Limits,
    line_id::LineHasher,
    record::Shape,
    rest::Rest,
    source::Source,
};

/// Bytes before an extent that are compared, to notice that a file was truncated and written again.
pub(crate) const MARK: usize = 32;

pub(crate) struct Tracked {
    /// Number in the checkpoint, never used again.
    pub(crate) id: u64,
    pub(crate) input: usize,
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) birth: i64,
    pub(crate) truncations: u32,
    /// None until there are bytes to tell it from.
    pub(crate) generation: Option<Generation>,
    /// The name it was found under.
    pub(crate) path: PathBuf,
    /// Its name now, as far as known.
    pub(crate) name: Option<PathBuf>,
    /// The name that it lost.
    pub(crate) lost_name: Option<PathBuf>,
    pub(crate) file: Option<Source>,
    pub(crate) last_used: u64,
    /// Where reading began, if not at 0.
    pub(crate) start: u64,
    /// Begin of the first line that was not sent.
    pub(crate) offset: u64,
    /// Everything before it was looked at.
    pub(crate) read_to: u64,
    /// End of the acknowledged prefix.
    pub(crate) position: u64,
    /// Lines that end up to here are counted as read.
    pub(crate) counted_to: u64,
    /// Of those, lines that are neither finished nor under way, but to be read again.
    pub(crate) to_recount: u64,
    /// Size when last looked at.
    pub(crate) size: u64,
    /// Whether scans leave it alone.
    pub(crate) rest: Rest,
    pub(crate) extents: VecDeque<Extent>,
    /// Ends of lines that time decided, from `position` on.
    pub(crate) boundaries: VecDeque<u64>,
    /// The last bytes that were read of it, or that are before what is to be read.
    pub(crate) tail: Option<Tail>,
    pub(crate) beginning: Option<(u32, u64)>,
    /// The bytes before an acknowledged offset.
    pub(crate) mark: Option<Mark>,
    /// It may be a copy that is still written to: the size at which it was seen, and since when.
    pub(crate) incomplete: Option<(u64, Instant)>,
    /// It was truncated, and possible copies are looked at first.
    pub(crate) copies_first: bool,
    pub(crate) long: Option<LongLine>,
    /// What is before `offset`.
    pub(crate) before: Before,
    /// Known once there are bytes to tell it from.
    pub(crate) text: Option<Text>,
    pub(crate) in_flight: InFlight,
    pub(crate) queued: Queued,
    /// `before` must be asked from the bytes before.
    pub(crate) fresh: bool,
    /// Slot and number of an older generation under the same name, which is read first.
    pub(crate) after: Option<(usize, u64)>,
    /// Another file waits for this one's end.
    pub(crate) followed: bool,
    /// Since when there is nothing more to read.
    pub(crate) ended: Option<Instant>,
    /// The unterminated last line: the size at which it was seen, and since when.
    pub(crate) partial: Option<(u64, Instant)>,
    /// Not read before this time, after a failure.
    pub(crate) retry_at: Option<Instant>,
    pub(crate) failures: u32,
    pub(crate) at_end: bool,
    pub(crate) deleted: bool,
    /// Its content was truncated away: nothing can be read again.
    pub(crate) content_gone: bool,
    /// What the truncation took is not counted as lost yet: a copy may have it.
    pub(crate) may_be_saved: bool,
    /// Fully written to the checkpoint.
    pub(crate) recorded: bool,
    /// Its content is compressed.
    pub(crate) archived: bool,
    /// It is known whether a compressed file is another one's continuation.
    pub(crate) resolved: bool,
    /// Slot and number of the file that a compressed one has the beginning of, and waits for.
    pub(crate) later_of: Option<(usize, u64)>,
    /// To be read only if it is a continuation: compressed, or a copy that no glob matches.
    pub(crate) only_as_continuation: bool,
    /// A compressed file that was read and acknowledged to its end.
    pub(crate) done: bool,
    /// When its position was what, for its rate.
    pub(crate) rate_since: Option<(Instant, u64)>,
    pub(crate) shape: Rc<Shape>,
    pub(crate) limits: Limits,
}

/// Up to [`MARK`] bytes of a file, and where they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) end: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Tail {
    pub(crate) fn of(file: &Source, end: u64) -> io::Result<Self> {
        let start = end.saturating_sub(MARK as u64);
        Ok(Self { end, bytes: file.bytes_at(start, usize::try_from(end - start).unwrap_or(MARK))? })
    }

    /// As it is now, where `known` is what was read. None where it is not the same: the file was truncated after its size
    /// was seen, and what it has now would say of its copy that it is none.
    pub(crate) fn still(known: Option<&Self>, file: &Source, end: u64) -> io::Result<Option<Self>> {
        let tail = Self::of(file, end)?;
        let is_whole = tail.bytes.len() as u64 == end.min(MARK as u64);
        // Who fills in NUL characters has truncated nothing.
        let known = known.filter(|known| known.end == end && known.bytes.last() != Some(&0));
        Ok(Some(tail).filter(|tail| is_whole && known.is_none_or(|known| known == tail)))
    }

    pub(crate) fn is_in(&self, file: &Source) -> io::Result<bool> {
        Ok(Self::of(file, self.end)? == *self)
    }
}

/// A line longer than the limit whose end is not found yet; `read_to` is where the search goes on.
#[derive(Clone)]
pub(crate) struct LongLine {
    pub(crate) start: u64,
    /// None when the line is to be dropped.
    pub(crate) hasher: Option<LineHasher>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queued {
    No,
    /// To be looked at for new bytes.
    Look,
    /// Has bytes to read.
    Read,
}

/// What is before a place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// A terminator, or nothing.
    LineEnd,
    /// The end of a line that time decided: a newline may follow that belongs to it.
    TimedEnd,
    /// A piece of a line that is being split.
    Piece,
}

impl Tracked {
    pub(crate) fn new(id: u64, input: usize, stat: &Stat, path: PathBuf, shape: Rc<Shape>, limits: Limits) -> Self {
        Self {
            id,
            input,
            dev: stat.dev,
            ino: stat.ino,
            birth: stat.birth,
            truncations: 0,
            generation: None,
            name: None,
            lost_name: None,
            path,
            file: None,
            last_used: 0,
            start: 0,
            offset: 0,
            read_to: 0,
            position: 0,
            counted_to: 0,
            to_recount: 0,
            size: stat.size,
            rest: Rest::default(),
            extents: VecDeque::new(),
            boundaries: VecDeque::new(),
            tail: None,
            beginning: None,
            mark: None,
            incomplete: None,
            copies_first: false,
            long: None,
            before: Before::LineEnd,
            text: None,
            in_flight: InFlight::default(),
            queued: Queued::No,
            fresh: true,
            after: None,
            followed: false,
            ended: None,
            partial: None,
            retry_at: None,
            failures: 0,
            at_end: false,
            deleted: false,
            content_gone: false,
            may_be_saved: false,
            recorded: false,
            archived: false,
            resolved: false,
            later_of: None,
            only_as_continuation: false,
            done: false,
            rate_since: None,
            shape,
            limits,
        }
    }

    /// Takes over what the checkpoint knows.
    pub(crate) fn restore(&mut self, state: &FileState) {
        let entry = &state.entry;
        (self.id, self.truncations, self.generation) = (entry.id, entry.truncations, Some(entry.generation));
        (self.dev, self.ino, self.birth, self.start) = (entry.dev, entry.ino, entry.birth, entry.start);
        self.extents = state.extents.iter().copied().collect();
        self.boundaries = state.boundaries.iter().copied().collect();
        (self.beginning, self.mark, self.done) = (state.beginning, state.mark, state.done);
        (self.position, self.counted_to, self.recorded) = (state.position, state.position, true);
        self.size = self.extents_end().max(self.beginning.map_or(0, |(len, _)| len.into()));
        self.rewind();
    }

    /// Starts at `offset` instead of the beginning.
    pub(crate) fn start_at(&mut self, offset: u64) {
        (self.start, self.position, self.counted_to) = (offset, offset, offset);
        self.rewind();
    }

    /// Back to the acknowledged prefix.
    pub(crate) fn rewind(&mut self) {
        (self.offset, self.read_to) = (self.position, self.position);
        (self.long, self.partial, self.at_end) = (None, None, false);
        (self.before, self.fresh) = (Before::LineEnd, true);
    }

    pub(crate) fn entry(&self, input: &str, generation: Generation) -> FileEntry {
        FileEntry {
            id: self.id,
            generation,
            dev: self.dev,
            ino: self.ino,
            birth: self.birth,
            truncations: self.truncations,
            start: self.start,
            input: input.to_owned(),
            path: self.path.clone(),
        }
    }

    /// Takes the generation that follows from its birth, to be recorded at once; none without a birth time.
    pub(crate) fn birth_generation(&mut self, host: &str) -> Option<Generation> {
        if self.birth == 0 || self.truncations > 0 {
            return None;
        }
        self.generation = Some(generation(host, self.ino, self.birth, &[]));
        self.recorded = true;
        self.generation
    }

    /// Notes its name now, and gives the one before.
    pub(crate) fn rename(&mut self, name: Option<PathBuf>) -> Option<PathBuf> {
        let before = std::mem::replace(&mut self.name, name);
        if self.name.is_none() && before.is_some() {
            self.lost_name.clone_from(&before);
        }
        before
    }

    /// Its latest name.
    pub(crate) fn called(&self) -> Option<&Path> {
        self.name.as_deref().or(self.lost_name.as_deref())
    }

    /// Whether it goes on in the generation of the file it is a copy of.
    pub(crate) fn is_copy(&self, host: &str) -> bool {
        let own = || match self.truncations {
            0 => generation(host, self.ino, self.birth, &[]),
            n => generation_after_truncation(host, self.ino, self.birth, n, &[]),
        };
        self.birth != 0 && self.generation.is_some_and(|known| known != own())
    }

    /// Nothing was read of it, and all of it is to be; nor was it truncated and then renamed.
    pub(crate) fn is_untouched(&self) -> bool {
        let is_new = self.truncations == 0 || self.called() == Some(&self.path);
        self.start == 0 && self.position == 0 && is_new && self.extents.is_empty()
    }

    /// Up to where read times are written down.
    pub(crate) fn extents_end(&self) -> u64 {
        self.extents.back().map_or(self.position, |e| e.end.max(self.position))
    }

    /// The read time of a line whose terminator (or last byte) is before `end`.
    pub(crate) fn time_of(&self, end: u64) -> i64 {
        let extent = self.extents.iter().find(|e| end <= e.end).or(self.extents.back());
        extent.map_or(0, |e| e.time_ms)
    }

    /// The next end of a line that time decided, after `offset`.
    pub(crate) fn boundary_after(&self, offset: u64) -> Option<u64> {
        self.boundaries.iter().copied().find(|b| *b > offset)
    }

    pub(crate) fn has_partial(&self) -> bool {
        self.long.is_some() || self.offset < self.size
    }

    /// Moves the acknowledged prefix.
    pub(crate) fn advance_to(&mut self, position: u64) {
        self.position = self.position.max(position);
        while self.extents.len() > 1 && self.extents[0].end <= self.position {
            self.extents.pop_front();
        }
        while self.boundaries.front().is_some_and(|b| *b < self.position) {
            self.boundaries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::fs;

    #[test]
    fn the_tail_of_a_file_truncated_meanwhile_is_none() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let still = |known: Option<&Tail>, end| {
            let file = Source::Plain(fs::File::open(&path).unwrap());
            Tail::still(known, &file, end).unwrap()
        };
        fs::write(&path, [b'a'; 1000]).unwrap();
        let tail = still(None, 1000).unwrap();
        assert_eq!(still(Some(&tail), 1000).as_ref(), Some(&tail));
        assert!(still(Some(&tail), 500).is_some(), "of another place it says nothing");
        assert!(still(None, 1001).is_none(), "the file is shorter");
        fs::write(&path, [b'b'; 1000]).unwrap();
        assert!(still(Some(&tail), 1000).is_none(), "and filled again");
        fs::write(&path, b"").unwrap();
        assert!(still(Some(&tail), 1000).is_none() && still(None, 1).is_none());
        assert!(still(None, 0).is_some(), "nothing is before the beginning");
        let nul = Tail { end: 2, bytes: vec![b'a', 0] };
        fs::write(&path, b"ab").unwrap();
        assert!(still(Some(&nul), 2).is_some(), "a NUL is filled in later");
    }
}
