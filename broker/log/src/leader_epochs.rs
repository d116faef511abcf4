//! Which leader epoch began at which offset (KIP-101).

/// Ascending epochs with their start offsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<(i32, i64)>,
    dirty: bool,
}

impl LeaderEpochs {
    pub(crate) fn new(entries: Vec<(i32, i64)>) -> Self {
        let mut epochs = Self::default();
        for (epoch, start) in entries {
            epochs.assign(epoch, start);
        }
        epochs.dirty = false;
        epochs
    }

    pub(crate) fn latest(&self) -> Option<i32> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    /// Notes that `epoch` appends from `start` on; older or negative epochs change nothing.
    pub(crate) fn assign(&mut self, epoch: i32, start: i64) {
        if epoch >= 0 && self.latest().is_none_or(|latest| epoch > latest) {
            while self.entries.last().is_some_and(|(_, other)| *other >= start) {
                self.entries.pop();
            }
            self.entries.push((epoch, start));
            self.dirty = true;
        }
    }

    /// Forgets epochs that begin at or past `end`.
    pub(crate) fn truncate_from_end(&mut self, end: i64) {
        let before = self.entries.len();
        self.entries.retain(|(_, start)| *start < end);
        self.dirty |= self.entries.len() != before;
    }

    /// Forgets epochs that ended before `start`.
    pub(crate) fn truncate_from_start(&mut self, start: i64) {
        let ended = self.entries.partition_point(|(_, begin)| *begin <= start);
        if ended > 1 {
            self.entries.drain(..ended - 1);
            self.dirty = true;
        }
        if let Some((_, begin)) = self.entries.first_mut()
            && *begin < start
        {
            *begin = start;
            self.dirty = true;
        }
    }

    /// The largest epoch ≤ `epoch` and where it ends (`log_end` if it is the last); for one older than all known, where the first of them
    /// begins. `None` for an epoch newer than all known, and for none (-1).
    pub(crate) fn end_offset_for(&self, epoch: i32, log_end: i64) -> Option<(i32, i64)> {
        if epoch < 0 || self.latest().is_none_or(|latest| epoch > latest) {
            return None;
        }
        let after = self.entries.partition_point(|(other, _)| *other <= epoch);
        let end = self.entries.get(after).map_or(log_end, |(_, start)| *start);
        let found = after.checked_sub(1).and_then(|at| self.entries.get(at));
        Some((found.map_or(epoch, |(found, _)| *found), end))
    }

    /// The epoch that wrote `offset`.
    pub(crate) fn entries(&self) -> &[(i32, i64)] {
        &self.entries
    }

    /// Whether the file is older than this; noted as written.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    pub(crate) fn mark_dirty(&mut self) {
        self.dirty = true;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn epochs_end_where_the_next_begins() {
        let mut epochs = LeaderEpochs::new(vec![(1, 3), (2, 10), (5, 30)]);
        assert_eq!(epochs.end_offset_for(0, 99), Some((0, 3)));
        assert_eq!(epochs.end_offset_for(1, 99), Some((1, 10)));
        assert_eq!(epochs.end_offset_for(4, 99), Some((2, 30)));
        assert_eq!(epochs.end_offset_for(5, 99), Some((5, 99)));
        assert_eq!(epochs.end_offset_for(9, 99), None);
        assert_eq!(epochs.end_offset_for(-1, 99), None);
        assert_eq!(LeaderEpochs::default().end_offset_for(0, 99), None);
        epochs.assign(4, 50);
        assert!(!epochs.take_dirty());
        epochs.truncate_from_end(30);
        assert_eq!(epochs.latest(), Some(2));
        epochs.truncate_from_start(12);
        assert_eq!(epochs.entries(), [(2, 12)]);
        assert!(epochs.take_dirty());
    }
}
