//! In which order the generations of one name are read: the oldest first, whenever each of them was found.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// A file among those found under the same name. Births order them; where a file system has none, the order in which
/// they were found does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    birth: i64,
    /// Its number in the checkpoint.
    id: u64,
    slot: usize,
}

impl Member {
    fn key(self) -> (usize, u64) {
        (self.slot, self.id)
    }
}

/// Slot and number of a file's neighbours under its name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Neighbours {
    pub(super) older: Option<(usize, u64)>,
    pub(super) newer: Option<(usize, u64)>,
}

/// The known files by the name they were found under, oldest first.
#[derive(Debug, Default)]
pub(super) struct Succession(HashMap<PathBuf, Vec<Member>>);

impl Succession {
    pub(super) fn insert(&mut self, path: &Path, birth: i64, slot: usize, id: u64) -> Neighbours {
        let member = Member { birth, id, slot };
        let members = self.0.entry(path.to_owned()).or_default();
        let at = members.partition_point(|other| *other < member);
        let older = at.checked_sub(1).and_then(|i| members.get(i)).map(|m| m.key());
        let newer = members.get(at).map(|m| m.key());
        members.insert(at, member);
        Neighbours { older, newer }
    }

    pub(super) fn remove(&mut self, path: &Path, id: u64) {
        if let Some(members) = self.0.get_mut(path) {
            members.retain(|m| m.id != id);
            if members.is_empty() {
                self.0.remove(path);
            }
        }
    }

    /// The first of the files under a name that was found later than the one with this number.
    pub(super) fn found_after(&self, path: &Path, id: u64) -> Option<(usize, u64)> {
        self.0.get(path)?.iter().find(|m| m.id > id).map(|m| m.key())
    }

    /// Slots and numbers of the files found under a name, the newest first.
    pub(super) fn of(&self, path: &Path) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.0.get(path).into_iter().flatten().rev().map(|m| m.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_late_takes_its_place_by_birth() {
        let mut files = Succession::default();
        let path = Path::new("app.log");
        assert_eq!(Neighbours::default(), files.insert(path, 10, 0, 1));
        assert_eq!(Neighbours { older: Some((0, 1)), newer: None }, files.insert(path, 30, 1, 2));
        assert_eq!(Neighbours { older: Some((0, 1)), newer: Some((1, 2)) }, files.insert(path, 20, 2, 3));
        assert_eq!([(1, 2), (2, 3), (0, 1)], *files.of(path).collect::<Vec<_>>());
        assert_eq!(Some((2, 3)), files.found_after(path, 1));
        assert_eq!(None, files.found_after(path, 3));
        files.remove(path, 2);
        files.remove(path, 3);
        files.remove(path, 1);
        assert_eq!(0, files.of(path).count());
        assert!(files.0.is_empty());
    }

    #[test]
    fn without_births_the_order_of_finding_counts() {
        let mut files = Succession::default();
        let path = Path::new("app.log");
        files.insert(path, 0, 5, 1);
        assert_eq!(Neighbours { older: Some((5, 1)), newer: None }, files.insert(path, 0, 4, 2));
    }
}
