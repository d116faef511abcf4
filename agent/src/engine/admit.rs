//! From names to known files: scans, notify events, rotation.

use std::{
    io,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use logmill_config::agent::ReadFrom;

use super::{CLOCK_SLACK_MS, Engine, archive::possible_origins, succession::Neighbours};
use crate::{
    checkpoint::Entry,
    clock::Now,
    discover::{Change, Listing, Walker, before_rotation, is_rotated_name},
    identity::Stat,
    produce::Producer,
    record::Shape,
    tracked::Tracked,
};

/// The same file or directory is complained of at most this often.
const WARN_AGAIN: Duration = Duration::from_secs(600);
/// Paths that were complained of and are remembered.
const WARNED: usize = 1000;
/// Whole scans that events ask for come no more often.
const SCAN_INTERVAL: Duration = Duration::from_millis(50);

/// A file that is not known yet.
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// The name that matched, if it was renamed since.
    pub(super) origin: PathBuf,
    pub(super) input: usize,
    pub(super) stat: Stat,
    /// To be read only if it is a known file's continuation.
    pub(super) only_as_continuation: bool,
}

impl<P: Producer> Engine<P> {
    /// Lets a file wait for those that had its name before it, and those that had it later wait for this one.
    pub(super) fn queue_by_birth(&mut self, slot: usize) {
        let Some(tracked) = self.slots.get(slot) else { return };
        let id = tracked.id;
        let Neighbours { older, newer } = self.succession.insert(&tracked.path, tracked.birth, slot, id);
        for (before, after) in [(older, Some((slot, id))), (Some((slot, id)), newer)] {
            let (Some(before), Some(after)) = (before, after) else { continue };
            if let Some(tracked) = self.slots.get_mut(before.0).filter(|t| t.id == before.1) {
                tracked.followed = true;
                if let Some(tracked) = self.slots.get_mut(after.0).filter(|t| t.id == after.1) {
                    tracked.after = Some(before);
                }
                self.wake(before.0);
            }
        }
    }

    /// Walks all inputs' directories.
    pub(super) fn scan(&mut self, now: Now) {
        self.scan_soon = false;
        self.scans += 1;
        self.next_scan = now.mono + self.config.rescan_interval;
        self.watcher.try_again();
        let bases: Vec<_> = self.inputs.iter().flat_map(|i| i.patterns.bases.clone()).collect();
        let listings = self.list(&bases, now);
        for listing in &listings {
            self.take_listing(listing, true);
        }
        // What no event told of (network file systems, watches that could not be had).
        let stirs = |t: &Tracked| !t.rest.left_alone_by(self.scans);
        let stirring: Vec<usize> = self.slots.iter().filter(|(_, t)| stirs(t)).map(|(slot, _)| slot).collect();
        stirring.into_iter().for_each(|slot| self.wake(slot));
        if !self.beginning {
            self.await_missing(now);
        }
        self.mark_rates(now);
        self.origins.clear();
        self.unseen_since_ms = now.unix_ms;
        self.scan_not_before = now.mono + SCAN_INTERVAL;
    }

    pub(super) fn list(&mut self, bases: &[crate::discover::Base], now: Now) -> Vec<Listing> {
        let mut failures = Vec::new();
        let mut unwatched = Vec::new();
        let mut warn = |path: &Path, error: &io::Error| {
            failures.push((path.to_owned(), io::Error::new(error.kind(), error.to_string())))
        };
        let watcher = &mut self.watcher;
        let mut enter = |dir: &Path| {
            if let Err(error) = watcher.watch(dir) {
                unwatched.push((dir.to_owned(), error));
            }
        };
        let mut walker = Walker::new(self.state_dir_key, &mut warn, &mut enter);
        bases.iter().for_each(|base| walker.walk(base));
        let listings = std::mem::take(&mut walker.listings);
        for (path, error) in unwatched {
            self.warn(
                &path,
                &io::Error::new(error.kind(), format!("cannot watch for changes, only scanning: {error}")),
                now,
            );
        }
        for (path, error) in failures {
            if error.kind() == io::ErrorKind::NotFound {
                // Its coming is seen where it will be made.
                let there = path.ancestors().skip(1).find(|p| p.is_dir());
                if let Some(dir) = there {
                    drop(self.watcher.watch(dir));
                }
            }
            self.warn(&path, &error, now);
        }
        listings
    }

    pub(super) fn take_listing(&mut self, listing: &Listing, thorough: bool) {
        let mut new = Vec::new();
        let mut unmatched = Vec::new();
        for (name, ino) in &listing.files {
            let path = listing.dir.join(name);
            let origin = self.origins.get(&path).cloned().unwrap_or_else(|| path.clone());
            let input = self.input_of(&origin);
            if input.is_none() && !self.slots.knows_inode(*ino) {
                unmatched.push(path);
                continue;
            }
            let stat = Stat::of_path(&path);
            // Renamed since it was listed: its new name is in the next listing.
            self.scan_soon |= stat.as_ref().map_or(true, |stat| stat.ino != *ino);
            let Ok(stat) = stat else { continue };
            if !stat.is_file() || self.own_logs.contains(&(stat.dev, stat.ino)) {
                continue;
            }
            match (self.slots.by_inode(stat.ino, stat.birth), input) {
                // Looked at as a possible copy before it was known that it was renamed: it is a file of its own.
                (Some(slot), Some(input)) if self.is_only_possible_copy(slot) => {
                    self.forget(slot);
                    new.push(Found { path, origin, input, stat, only_as_continuation: false });
                }
                (Some(slot), _) => self.seen(slot, path, &stat),
                (None, Some(_)) if self.is_foreign(&stat) => {}
                (None, Some(input)) => new.push(Found { path, origin, input, stat, only_as_continuation: false }),
                (None, None) => unmatched.push(path),
            }
        }
        // Another one may have come and been renamed before the new one came.
        if thorough || !new.is_empty() {
            self.rotated_unseen(listing, &unmatched, &mut new);
            self.born_unseen(listing, &unmatched, &mut new);
        }
        self.compressed(listing, &unmatched, &mut new);
        // Oldest first: what was rotated is read before what took its name.
        let age = |found: &Found| match found.stat.birth {
            0 => found.stat.modified,
            birth => birth,
        };
        // Of the same age: a higher number in the name is the older one.
        let by_age = |a: &Found, b: &Found| (age(a), a.stat.modified, &b.path).cmp(&(age(b), b.stat.modified, &a.path));
        // Segments of a spool have ascending numbers.
        let is_segment = |found: &Found| self.inputs[found.input].spool.is_some();
        new.sort_by(|a, b| match (is_segment(a), is_segment(b)) {
            (true, true) => a.path.cmp(&b.path),
            (false, false) => by_age(a, b),
            (a, b) => a.cmp(&b),
        });
        new.into_iter().for_each(|found| self.admit(found));
    }

    /// Files that came and were rotated while nobody looked: no glob matches their names now, but they are newer than
    /// a known generation of the name they had.
    fn rotated_unseen(&self, listing: &Listing, unmatched: &[PathBuf], new: &mut Vec<Found>) {
        if unmatched.is_empty() {
            return;
        }
        let known: Vec<&Tracked> = self
            .slots
            .iter()
            .map(|(_, t)| t)
            .filter(|t| t.path.parent() == Some(&listing.dir) && t.name.as_ref() != Some(&t.path))
            // Neither copies nor what was truncated away say anything of renames.
            .filter(|t| !t.content_gone && !t.is_copy(&self.around.host_id))
            .collect();
        for path in unmatched {
            let Some(name) = path.file_name() else { continue };
            let of =
                known.iter().filter(|t| t.path.file_name().is_some_and(|original| is_rotated_name(name, original)));
            let Some(oldest) = of.min_by_key(|t| t.birth) else { continue };
            let Ok(stat) = Stat::of_path(path) else { continue };
            let unknown = self.slots.by_inode(stat.ino, stat.birth).is_none();
            if stat.is_file() && stat.birth > oldest.birth && unknown && self.is_renamed(&oldest.path, &stat) {
                let (origin, input) = (oldest.path.clone(), oldest.input);
                new.push(Found { path: path.clone(), origin, input, stat, only_as_continuation: false });
            }
        }
    }

    /// Files that came and were rotated while nobody looked, under names of which no generation is known: they are
    /// newer than the input's first start, and than what was known when the agent last looked.
    fn born_unseen(&self, listing: &Listing, unmatched: &[PathBuf], new: &mut Vec<Found>) {
        let interval = i64::try_from(self.config.rescan_interval.as_millis()).unwrap_or(i64::MAX);
        let last_look = self.unseen_since_ms.saturating_sub(interval).saturating_sub(CLOCK_SLACK_MS);
        for path in unmatched {
            let Some(name) = path.file_name() else { continue };
            let origins = before_rotation(name).map(|original| listing.dir.join(original));
            let Some((origin, input)) = origins.filter_map(|o| self.input_of(&o).map(|input| (o, input))).next() else {
                continue;
            };
            let from = last_look.max(self.inputs[input].since.ms);
            let Ok(stat) = Stat::of_path(path) else { continue };
            let born = if stat.birth > 0 { stat.birth } else { stat.modified };
            let known = self.slots.by_inode(stat.ino, stat.birth).is_some()
                || self.own_logs.contains(&(stat.dev, stat.ino))
                || new.iter().any(|f| f.path == *path);
            if known || !stat.is_file() || born / 1_000_000 < from {
                continue;
            }
            if self.is_renamed(&origin, &stat) {
                new.push(Found { path: path.clone(), origin, input, stat, only_as_continuation: false });
            }
        }
    }

    /// Whether a file had this name once, and is no copy of the one that has it: who has the name now took it after a
    /// rotation, but was there before a copy.
    fn is_renamed(&self, origin: &Path, stat: &Stat) -> bool {
        Stat::of_path(origin).map_or(true, |holder| match holder.birth {
            0 => self.slots.by_inode(holder.ino, 0).is_none(),
            birth => birth >= stat.birth,
        })
    }

    /// Whether a known file has this name on disk.
    pub(super) fn is_at(&self, slot: usize, path: &Path) -> bool {
        let stat = Stat::of_path(path);
        self.slots.get(slot).is_some_and(|t| stat.is_ok_and(|stat| (stat.ino, stat.birth) == (t.ino, t.birth)))
    }

    /// A known file under a name.
    fn seen(&mut self, slot: usize, path: PathBuf, stat: &Stat) {
        let scan = self.scans;
        let Some(tracked) = self.slots.get_mut(slot) else { return };
        tracked.rest.scanned(stat, scan);
        let renamed = tracked.name.as_ref() != Some(&path);
        if renamed {
            // A second name of the same file changes nothing.
            let still_there = tracked.name.as_ref().and_then(|n| Stat::of_path(n).ok());
            if still_there.is_some_and(|s| (s.ino, s.birth) == (stat.ino, stat.birth)) {
                return;
            }
            self.slots.rename(slot, Some(path));
            self.queue_later(slot);
        }
        if renamed || self.slots.get(slot).is_some_and(|t| t.size != stat.size) {
            self.wake(slot);
        }
    }

    pub(super) fn admit(&mut self, found: Found) {
        let Found { path, origin, input, stat, only_as_continuation } = found;
        let origin = self.inputs[input].stream().map_or(origin, Path::to_owned);
        // An earlier name of the list may have been this very file.
        if let Some(slot) = self.slots.by_inode(stat.ino, stat.birth) {
            return self.seen(slot, path, &stat);
        }
        if !only_as_continuation && self.is_too_old(input, &stat) {
            return;
        }
        let compressed = !possible_origins(&path).is_empty();
        if compressed && self.begins_at_end(input, &stat) {
            return self.is_nobodys(stat.ino, stat.birth);
        }
        let id = self.next_id;
        self.next_id += 1;
        let mut tracked = self.new_tracked(id, input, &stat, origin);
        tracked.name = Some(path.clone());
        if self.begins_at_end(input, &stat) {
            tracked.start_at(stat.size);
        }
        tracked.only_as_continuation = only_as_continuation;
        let known = if only_as_continuation { None } else { tracked.birth_generation(&self.around.host_id) };
        let entry = known.map(|g| Entry::File(tracked.entry(&self.inputs[input].config.name, g)));
        match self.slots.insert(tracked) {
            Some(slot) => {
                // Known from now on, also if it is renamed before a byte of it is read.
                self.pending.extend(entry);
                tracing::debug!(path = %path.display(), "new file");
                if !compressed {
                    self.queue_by_birth(slot);
                }
                // The name is this file's now, whoever had it.
                self.slots.rename(slot, Some(path));
                self.wake(slot);
            }
            None => {
                if self.scan_warnings.pass().is_some() {
                    tracing::warn!(path = %path.display(), "more files than the agent can follow, this one waits");
                }
            }
        }
    }

    /// Whether nobody has written to a file for longer than the input wants to know of; each scan asks anew.
    fn is_too_old(&self, input: usize, stat: &Stat) -> bool {
        let input = &self.inputs[input];
        let modified_ms = stat.modified / 1_000_000;
        input.spool.is_none()
            && input.config.ignore_older.is_some_and(|age| {
                modified_ms < self.now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
            })
    }

    /// Whether `read_from: end` is meant for this file: it was there before the input's first start with its present
    /// globs. What came later is read from its beginning, also if the agent was down or had not noticed it yet.
    fn begins_at_end(&self, input: usize, stat: &Stat) -> bool {
        let input = &self.inputs[input];
        self.beginning
            && input.spool.is_none()
            && input.config.read_from == ReadFrom::End
            && self.opened != crate::checkpoint::Opened::Damaged
            && (input.first_start || stat.birth > 0 && stat.birth / 1_000_000 < input.since.ms)
    }

    pub(super) fn new_tracked(&self, id: u64, input: usize, stat: &Stat, path: PathBuf) -> Tracked {
        let state = &self.inputs[input];
        let fields = state.path_fields.with(&path, &state.config.fields);
        let shape = Rc::new(Shape::new(&self.around.host_name, state.spool.is_none().then_some(&path), &fields));
        Tracked::new(id, input, stat, path, shape, self.limits_of(input))
    }

    pub(super) fn input_of(&self, path: &Path) -> Option<usize> {
        self.inputs.iter().position(|input| input.patterns.matches(path))
    }

    /// Takes the notify events that came.
    pub(super) fn take_changes(&mut self, now: Now) {
        let mut changes = std::mem::take(&mut self.changes);
        self.watcher.read(&mut changes);
        let mut dirty: Vec<PathBuf> = Vec::new();
        let mut parent = |path: &Path| {
            if let Some(dir) = path.parent()
                && !dirty.iter().any(|d| d == dir)
            {
                dirty.push(dir.to_owned());
            }
        };
        for change in changes.drain(..) {
            match change {
                Change::Modified(path) => match self.slots.by_name(&path) {
                    Some(slot) => self.wake(slot),
                    None if self.input_of(&path).is_some() => parent(&path),
                    None => {}
                },
                Change::Appeared(path) => {
                    // Not what was renamed to this name before.
                    self.origins.remove(&path);
                    // Directories can only be walked.
                    if self.input_of(&path).is_some() {
                        parent(&path);
                    }
                    self.scan_soon |= path.is_dir();
                }
                Change::Renamed { from, to } => {
                    let origin = self.origins.remove(&from);
                    // Not who has taken the name since, and was found before this was told.
                    if let Some(slot) = self.slots.by_name(&from).filter(|slot| !self.is_at(*slot, &from)) {
                        self.slots.rename(slot, Some(to));
                        self.wake(slot);
                    } else if let Some(origin) = origin.or_else(|| Some(from.clone()))
                        && self.input_of(&origin).is_some()
                    {
                        // Renamed before it was ever seen: it is still the file that matched.
                        parent(&to);
                        self.origins.insert(to, origin);
                    } else if self.input_of(&to).is_some() {
                        parent(&to);
                    } else {
                        self.scan_soon |= to.is_dir();
                    }
                }
                Change::Vanished(path) => {
                    if let Some(slot) = self.slots.by_name(&path) {
                        // Before what went on in it is taken for gone: it may be compressed by now.
                        self.scan_soon |= self.slots.get(slot).is_some_and(Tracked::is_untouched);
                        self.slots.rename(slot, None);
                        self.wake(slot);
                    }
                }
                Change::Overflow => self.scan_soon = true,
            }
        }
        self.changes = changes;
        let bases: Vec<_> = dirty.into_iter().map(|dir| crate::discover::Base { dir, depth: 0 }).collect();
        if !bases.is_empty() {
            for listing in self.list(&bases, now) {
                self.take_listing(&listing, false);
            }
        }
    }

    /// One clear message for what cannot be read, again after ten minutes.
    pub(super) fn warn(&mut self, path: &Path, error: &io::Error, now: Now) {
        self.around.metrics.unreadable.inc();
        let again = self.warned.get(path).is_none_or(|last| now.mono.saturating_duration_since(*last) >= WARN_AGAIN);
        if !again {
            return;
        }
        if self.warned.len() >= WARNED {
            self.warned.clear();
        }
        self.warned.insert(path.to_owned(), now.mono);
        let seconds = self.config.rescan_interval.as_secs();
        tracing::warn!(path = %path.display(), "cannot read: {error}; trying again every {seconds} s");
    }
}

/// Device and inode of a directory.
pub(super) fn key_of_path(path: &Path) -> io::Result<(u64, u64)> {
    Stat::of_path(path).map(|s| (s.dev, s.ino))
}

/// The files that the process's own output goes to: tailing them would never end.
pub(super) fn own_logs() -> Vec<(u64, u64)> {
    let stats = [Stat::of_file(io::stdout()), Stat::of_file(io::stderr())];
    stats.into_iter().flatten().filter(Stat::is_file).map(|s| (s.dev, s.ino)).collect()
}
