//! What has happened in watched directories since somebody last asked: in order, without repeats, bounded. Pure.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use notify::{
    Event, EventKind,
    event::{ModifyKind, RenameMode},
};

/// More changes than this are not kept: then everything is looked at.
const MOST: usize = 16 << 10;

/// Something that happened in a watched directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Modified(PathBuf),
    /// Created, or moved in from elsewhere.
    Appeared(PathBuf),
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    /// Deleted, or moved elsewhere.
    Vanished(PathBuf),
    /// Events were lost, or watches ended: everything must be looked at.
    Overflow,
}

impl Change {
    /// The path it happened to; for a rename the old one.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Modified(path) | Self::Appeared(path) | Self::Vanished(path) | Self::Renamed { from: path, .. } => {
                path
            }
            Self::Overflow => Path::new(""),
        }
    }
}

/// Changes that were not taken yet.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    changes: Vec<Change>,
    /// Files that have a [`Change::Modified`] and nothing else after it.
    modified: HashSet<PathBuf>,
    /// A rename's first half, which waits for its second.
    from: Option<From>,
    lost: bool,
    /// Whoever takes the changes knows that there are some.
    told: bool,
}

#[derive(Debug)]
struct From {
    tracker: usize,
    path: PathBuf,
    /// The changes were taken since: no second half will come.
    waited: bool,
}

impl Gathered {
    /// Takes in one event; whether it is the first since the last [`Self::take`].
    pub(super) fn add(&mut self, event: notify::Result<Event>) -> bool {
        match event {
            Ok(event) if !event.need_rescan() => self.sort_in(event),
            // An error is about events that could not be had.
            _ => self.lost = true,
        }
        if self.changes.len() > MOST {
            self.changes.clear();
            self.modified.clear();
            self.lost = true;
        }
        let any = !self.changes.is_empty() || self.lost || self.from.is_some();
        any && !std::mem::replace(&mut self.told, any)
    }

    fn sort_in(&mut self, event: Event) {
        let tracker = event.tracker();
        let mut paths = event.paths.into_iter();
        let Some(path) = paths.next() else { return };
        match event.kind {
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                self.end_rename();
                match tracker {
                    Some(tracker) => self.from = Some(From { tracker, path, waited: false }),
                    // A watched directory itself.
                    None => self.push(Change::Vanished(path)),
                }
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                // `Both` follows where the other half is known.
                if self.from.as_ref().is_none_or(|from| Some(from.tracker) != tracker) {
                    self.end_rename();
                    self.push(Change::Appeared(path));
                }
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => {
                if self.from.as_ref().is_some_and(|from| Some(from.tracker) == tracker) {
                    self.from = None;
                }
                self.end_rename();
                if let Some(to) = paths.next() {
                    self.modified.remove(&to);
                    self.push(Change::Renamed { from: path, to });
                }
            }
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
                if !self.modified.contains(&path) {
                    self.end_rename();
                    self.modified.insert(path.clone());
                    self.changes.push(Change::Modified(path));
                }
            }
            EventKind::Create(_) => {
                self.end_rename();
                self.push(Change::Appeared(path));
            }
            EventKind::Remove(_) => {
                self.end_rename();
                self.push(Change::Vanished(path));
            }
            EventKind::Any | EventKind::Other | EventKind::Access(_) | EventKind::Modify(_) => {}
        }
    }

    fn push(&mut self, change: Change) {
        self.modified.remove(change.path());
        self.changes.push(change);
    }

    /// The second half did not come: what was renamed went to where nothing is watched.
    fn end_rename(&mut self) {
        if let Some(from) = self.from.take() {
            self.push(Change::Vanished(from.path));
        }
    }

    /// Appends all changes.
    pub(super) fn take(&mut self, changes: &mut Vec<Change>) {
        match &mut self.from {
            // The halves come one right after the other, but not both at once.
            Some(from) if !from.waited => from.waited = true,
            _ => self.end_rename(),
        }
        changes.append(&mut self.changes);
        self.modified.clear();
        if std::mem::take(&mut self.lost) {
            changes.push(Change::Overflow);
        }
        self.told = false;
    }

    #[cfg(test)]
    pub(super) fn contains(&self, change: &Change) -> bool {
        self.changes.contains(change)
    }

    #[cfg(test)]
    pub(super) fn retain(&mut self, keep: impl Fn(&Change) -> bool) {
        self.changes.retain(keep);
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, RemoveKind};

    use super::*;

    fn event(kind: EventKind, paths: &[&str]) -> Event {
        paths.iter().fold(Event::new(kind), |event, path| event.add_path(path.into()))
    }

    fn modified(path: &str) -> Event {
        event(EventKind::Modify(ModifyKind::Data(DataChange::Any)), &[path])
    }

    fn renamed(mode: RenameMode, paths: &[&str], tracker: usize) -> Event {
        event(EventKind::Modify(ModifyKind::Name(mode)), paths).set_tracker(tracker)
    }

    fn taken(gathered: &mut Gathered) -> Vec<Change> {
        let mut changes = Vec::new();
        gathered.take(&mut changes);
        changes
    }

    #[test]
    fn many_writes_are_one_change_and_one_wake_up() {
        let mut gathered = Gathered::default();
        assert!(gathered.add(Ok(modified("a"))));
        (0..1000).for_each(|_| assert!(!gathered.add(Ok(modified("a")))));
        assert_eq!([Change::Modified("a".into())], *taken(&mut gathered));
        assert!(gathered.add(Ok(modified("a"))));
        assert!(!gathered.add(Ok(event(EventKind::Remove(RemoveKind::File), &["a"]))));
        assert!(!gathered.add(Ok(event(EventKind::Create(CreateKind::File), &["a"]))));
        assert!(!gathered.add(Ok(modified("a"))));
        assert_eq!(4, taken(&mut gathered).len(), "what comes after a removal is another file");
    }

    #[test]
    fn halves_of_renames_are_put_together() {
        let mut gathered = Gathered::default();
        gathered.add(Ok(renamed(RenameMode::From, &["a"], 1)));
        assert!(taken(&mut gathered).is_empty(), "the second half may be under way");
        gathered.add(Ok(renamed(RenameMode::To, &["b"], 1)));
        gathered.add(Ok(renamed(RenameMode::Both, &["a", "b"], 1)));
        gathered.add(Ok(renamed(RenameMode::To, &["in"], 2)));
        gathered.add(Ok(renamed(RenameMode::From, &["out"], 3)));
        let expected = [Change::Renamed { from: "a".into(), to: "b".into() }, Change::Appeared("in".into())];
        assert_eq!(expected, *taken(&mut gathered));
        assert_eq!([Change::Vanished("out".into())], *taken(&mut gathered));
    }

    #[test]
    fn what_is_too_much_becomes_an_overflow() {
        let mut gathered = Gathered::default();
        for n in 0..=MOST {
            gathered.add(Ok(modified(&n.to_string())));
        }
        assert_eq!([Change::Overflow], *taken(&mut gathered));
        assert!(gathered.add(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan))));
        assert_eq!([Change::Overflow], *taken(&mut gathered));
        assert!(gathered.add(Err(notify::Error::generic("lost"))));
        assert_eq!([Change::Overflow], *taken(&mut gathered));
    }
}
