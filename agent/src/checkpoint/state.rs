//! What the checkpoint log says, entry by entry. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{Entry, Extent, FileEntry, Mark, Since};
use crate::ledger::Ledger;

/// The checkpoint's content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    pub(crate) inputs: BTreeSet<String>,
    /// By input.
    pub(crate) since: BTreeMap<String, Since>,
    /// By file number.
    pub(crate) files: BTreeMap<u64, FileState>,
    pub(crate) ledger: Ledger,
    pub(crate) next_id: u64,
    /// Wall clock of the last writing, milliseconds since 1970; 0 never.
    pub(crate) written_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) entry: FileEntry,
    /// All before it is acknowledged or dropped.
    pub(crate) position: u64,
    /// Ascending; those that end before the position are forgotten, but for the last.
    pub(crate) extents: Vec<Extent>,
    /// Ascending, from the position on.
    pub(crate) boundaries: BTreeSet<u64>,
    /// Length and fingerprint of the beginning.
    pub(crate) beginning: Option<(u32, u64)>,
    pub(crate) mark: Option<Mark>,
    /// A compressed file that is finished.
    pub(crate) done: bool,
}

impl State {
    pub(crate) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Input(name) => drop(self.inputs.insert(name.clone())),
            Entry::File(file) => {
                self.next_id = self.next_id.max(file.id.saturating_add(1));
                let state = FileState {
                    position: file.start,
                    entry: file.clone(),
                    extents: Vec::new(),
                    boundaries: BTreeSet::new(),
                    beginning: None,
                    mark: None,
                    done: false,
                };
                self.files.insert(file.id, state);
            }
            Entry::Extent(id, extent) => {
                if let Some(file) = self.files.get_mut(id) {
                    file.extents.push(*extent);
                    file.prune();
                }
            }
            Entry::Boundary(id, offset) => {
                if let Some(file) = self.files.get_mut(id) {
                    file.boundaries.insert(*offset);
                }
            }
            Entry::Position(id, offset) => {
                if let Some(file) = self.files.get_mut(id) {
                    file.position = file.position.max(*offset);
                    file.prune();
                }
            }
            Entry::Beginning(id, len, hash) => {
                if let Some(file) = self.files.get_mut(id) {
                    file.beginning = Some((*len, *hash));
                }
            }
            Entry::Mark(id, mark) => {
                if let Some(file) = self.files.get_mut(id) {
                    file.mark = Some(*mark);
                }
            }
            Entry::Done(id) => {
                if let Some(file) = self.files.get_mut(id) {
                    file.done = true;
                }
            }
            Entry::Since(input, since) => drop(self.since.insert(input.clone(), *since)),
            Entry::Gone(id) => drop(self.files.remove(id)),
            Entry::Ledger(ledger) => self.ledger = *ledger,
            Entry::NextId(id) => self.next_id = self.next_id.max(*id),
            Entry::Written(ms) => self.written_ms = *ms,
        }
    }

    /// Entries that rebuild this state.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut out = vec![Entry::NextId(self.next_id), Entry::Ledger(self.ledger), Entry::Written(self.written_ms)];
        out.extend(self.inputs.iter().cloned().map(Entry::Input));
        out.extend(self.since.iter().map(|(input, since)| Entry::Since(input.clone(), *since)));
        for (id, file) in &self.files {
            out.push(Entry::File(file.entry.clone()));
            if file.position > file.entry.start {
                out.push(Entry::Position(*id, file.position));
            }
            out.extend(file.extents.iter().map(|e| Entry::Extent(*id, *e)));
            out.extend(file.boundaries.iter().map(|b| Entry::Boundary(*id, *b)));
            out.extend(file.done.then_some(Entry::Done(*id)));
            out.extend(file.mark.map(|mark| Entry::Mark(*id, mark)));
            out.extend(file.beginning.map(|(len, hash)| Entry::Beginning(*id, len, hash)));
        }
        out
    }
}

impl FileState {
    fn prune(&mut self) {
        let keep_from = self.extents.len().saturating_sub(1);
        let done = self.extents.iter().take(keep_from).take_while(|e| e.end <= self.position).count();
        self.extents.drain(..done);
        self.boundaries = self.boundaries.split_off(&self.position);
    }
}
