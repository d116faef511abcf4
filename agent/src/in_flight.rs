//! Which of a file's records are acknowledged: the checkpoint may move only over a contiguous prefix of them.

use std::collections::VecDeque;

use crate::ledger::{Ledger, Reason};

/// Records of one file from the oldest unfinished one on. Sequence numbers never repeat, so that a late report of a
/// record given up before a re-read is recognised and ignored.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    first: u64,
    entries: VecDeque<Entry>,
    pending: usize,
    failed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Offset in the file after this record's bytes.
    end: u64,
    cost: u32,
    state: State,
    /// Lines that end in it.
    lines: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Acknowledged,
    Failed,
    Dropped(Reason),
    /// A terminator alone.
    Nothing,
}

impl InFlight {
    /// Continues after the sequence numbers of a slot's earlier user.
    pub(crate) fn starting_at(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    /// The number the next record will have.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// Whether a record failed for good: the file must be read again from its acknowledged prefix.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// A record was handed to the producer; `cost` is what it takes from the byte budget.
    pub(crate) fn sent(&mut self, end: u64, cost: u32, ends_line: bool) {
        self.pending += 1;
        self.entries.push_back(Entry { end, cost, state: State::Pending, lines: ends_line.into() });
    }

    pub(crate) fn dropped(&mut self, end: u64, reason: Reason) {
        self.passed(end, State::Dropped(reason), true);
    }

    /// Bytes up to `end` were passed over: no record, but maybe the end of a line sent in pieces.
    pub(crate) fn skipped(&mut self, end: u64, ends_line: bool) {
        self.passed(end, State::Nothing, ends_line);
    }

    /// A run of lines that are no records is one entry: they cost nothing of the byte budget, however long the record before
    /// them is under way.
    fn passed(&mut self, end: u64, state: State, ends_line: bool) {
        if let Some(last) = self.entries.back_mut().filter(|last| last.state == state && last.lines < u32::MAX) {
            (last.end, last.lines) = (end, last.lines + u32::from(ends_line));
            return;
        }
        self.entries.push_back(Entry { end, cost: 0, state, lines: ends_line.into() });
    }

    /// Takes a delivery report; returns the record's cost, 0 when it is not ours any more.
    pub(crate) fn report(&mut self, sequence: u64, delivered: bool) -> u32 {
        let Some(index) = sequence.checked_sub(self.first).and_then(|i| usize::try_from(i).ok()) else { return 0 };
        let Some(entry) = self.entries.get_mut(index).filter(|e| e.state == State::Pending) else { return 0 };
        entry.state = if delivered { State::Acknowledged } else { State::Failed };
        self.failed |= !delivered;
        self.pending -= 1;
        entry.cost
    }

    /// Moves over the finished prefix, adding it to `ledger`; the new end of that prefix, if it moved.
    pub(crate) fn advance(&mut self, ledger: &mut Ledger) -> Option<u64> {
        let mut position = None;
        while let Some(entry) = self.entries.front() {
            match entry.state {
                State::Pending | State::Failed => break,
                State::Acknowledged | State::Nothing => ledger.acknowledged += u64::from(entry.lines),
                State::Dropped(reason) => ledger.dropped[reason as usize] += u64::from(entry.lines),
            }
            position = Some(entry.end);
            self.first += 1;
            self.entries.pop_front();
        }
        position
    }

    /// Forgets everything unfinished; returns the cost of what was still pending, and how many lines end in all of it.
    pub(crate) fn give_up(&mut self) -> (u64, u64) {
        let cost = self.entries.iter().filter(|e| e.state == State::Pending).map(|e| u64::from(e.cost)).sum();
        let lines = self.entries.iter().map(|e| u64::from(e.lines)).sum();
        self.first = self.next_sequence();
        self.entries.clear();
        (self.pending, self.failed) = (0, false);
        (cost, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_waits_for_the_oldest() {
        let (mut flight, mut ledger) = (InFlight::default(), Ledger::default());
        (1..=4).for_each(|n| flight.sent(n * 10, 5, true));
        flight.dropped(50, Reason::EmptyLine);
        assert_eq!(5, flight.report(1, true));
        assert_eq!(0, flight.report(1, true), "a second report of the same record");
        assert_eq!(None, flight.advance(&mut ledger));
        flight.report(0, true);
        assert_eq!(Some(20), flight.advance(&mut ledger));
        flight.report(3, true);
        flight.report(2, true);
        assert_eq!(Some(50), flight.advance(&mut ledger));
        assert_eq!((4, 1), (ledger.acknowledged, ledger.dropped[Reason::EmptyLine as usize]));
        assert!(flight.is_empty());
    }

    #[test]
    fn a_failure_stops_the_prefix_and_late_reports_are_ignored() {
        let (mut flight, mut ledger) = (InFlight::default(), Ledger::default());
        (1..=3).for_each(|n| flight.sent(n * 10, 5, true));
        flight.report(0, false);
        flight.report(1, true);
        assert!(flight.failed());
        assert_eq!(None, flight.advance(&mut ledger));
        assert_eq!((5, 3), flight.give_up());
        assert_eq!(0, flight.report(2, true), "given up");
        flight.sent(10, 5, true);
        assert_eq!(5, flight.report(3, true));
        assert_eq!(Some(10), flight.advance(&mut ledger));
        assert_eq!(1, ledger.acknowledged);
    }

    #[test]
    fn what_is_dropped_behind_a_record_under_way_takes_no_room() {
        let (mut flight, mut ledger) = (InFlight::default(), Ledger::default());
        flight.sent(1, 5, true);
        (2..=1_000_001).for_each(|end| flight.dropped(end, Reason::Limit));
        flight.dropped(1_000_002, Reason::Sample);
        flight.sent(1_000_003, 5, true);
        assert_eq!(4, flight.entries.len());
        assert_eq!(5, flight.report(3, true), "numbers are given to records as before");
        flight.report(0, true);
        assert_eq!(Some(1_000_003), flight.advance(&mut ledger));
        assert_eq!((2, 1_000_000), (ledger.acknowledged, ledger.dropped[Reason::Limit as usize]));
    }
}
