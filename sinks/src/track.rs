//! What of one partition is outstanding, and how far it may be committed: pure, no I/O, no time.
//!
//! The committed offset is the end of the contiguous prefix of finished records. Offsets may have gaps (compaction,
//! transaction markers): the prefix is over the records that were delivered.

use std::collections::VecDeque;

use crate::ledger::{Finish, Ledger};

/// One assigned partition.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// Every record below is finished or does not exist; `None`: nothing committed and nothing read yet.
    position: Option<i64>,
    /// Records taken and not below `position`, by offset.
    outstanding: VecDeque<Outstanding>,
    unfinished: usize,
    /// When the record taken last was written, as [`Outstanding::second`].
    newest: u32,
    ledger: Ledger,
}

#[derive(Debug, Clone, Copy)]
struct Outstanding {
    offset: i64,
    /// By its Kafka timestamp, in seconds since 1970: 0 where it has none.
    second: u32,
    finish: Option<Finish>,
}

/// Why a record cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// At or before one that was taken already: the log was cut or made anew.
    Again,
}

impl Tracker {
    /// Goes on at `position` (the committed offset) with the counts committed there, or from the log's start, wherever
    /// that is.
    pub(crate) fn new(position: Option<i64>, ledger: Ledger) -> Self {
        Self { position, outstanding: VecDeque::new(), unfinished: 0, newest: 0, ledger }
    }

    /// The next offset expected.
    pub(crate) fn next(&self) -> Option<i64> {
        self.outstanding.back().map(|last| last.offset.saturating_add(1)).or(self.position)
    }

    /// A record begins. `log_start`, asked only at a gap, tells deleted records from those that never were.
    ///
    /// Its Kafka `timestamp` is in ms. Returns how many offsets expired before it.
    pub(crate) fn take(
        &mut self,
        offset: i64,
        timestamp: i64,
        log_start: impl FnOnce() -> Option<i64>,
    ) -> Result<u64, Refused> {
        let next = *self.next().get_or_insert(offset);
        if offset < next {
            return Err(Refused::Again);
        }
        let start = if offset > next { log_start() } else { None };
        let gone = start.map_or(0, |start| start.min(offset).saturating_sub(next).max(0)).unsigned_abs();
        if gone > 0 {
            self.ledger.expire(gone);
        }
        let second = u32::try_from(timestamp / 1000).unwrap_or(0);
        self.outstanding.push_back(Outstanding { offset, second, finish: None });
        self.newest = second;
        self.unfinished += 1;
        Ok(gone)
    }

    /// A record ends. An offset that is not outstanding changes nothing.
    pub(crate) fn finish(&mut self, offset: i64, how: Finish) {
        let Some(at) = self.place(offset) else { return };
        if let Some(record) = self.outstanding.get_mut(at)
            && record.finish.is_none()
        {
            record.finish = Some(how);
            self.unfinished -= 1;
        }
        while let Some(Outstanding { offset, finish: Some(how), .. }) = self.outstanding.front().copied() {
            self.outstanding.pop_front();
            self.position = Some(offset.saturating_add(1));
            self.ledger.finish(how);
        }
    }

    /// Where an outstanding offset stands: without gaps as far behind the first as its offset is.
    fn place(&self, offset: i64) -> Option<usize> {
        let first = self.outstanding.front()?.offset;
        let at = usize::try_from(offset.checked_sub(first)?).ok()?;
        match self.outstanding.get(at) {
            Some(there) if there.offset == offset => Some(at),
            _ => self.outstanding.binary_search_by_key(&offset, |o| o.offset).ok(),
        }
    }

    /// The offset to commit, with the counts as of it.
    pub(crate) fn committable(&self) -> (Option<i64>, Ledger) {
        (self.position, self.ledger)
    }

    /// The second in which the oldest record was written that is taken and not finished; 0 where it does not say.
    pub(crate) fn oldest(&self) -> Option<u32> {
        self.outstanding.front().map(|record| record.second)
    }

    pub(crate) fn newest(&self) -> u32 {
        self.newest
    }

    /// Records taken and not finished.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }
}

#[cfg(test)]
mod tests;
