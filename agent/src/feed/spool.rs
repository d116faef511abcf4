//! The spool of one input: what came in and is not acknowledged, in plain files below the state directory.
//!
//! A feeder writes numbered segments, one after the other, and cuts them only between lines. The engine tails them like any
//! file, and removes one when it is sealed (nothing more comes into it) and all of it is acknowledged. At `spool_bytes`
//! the feeder stops reading until there is room again, so that nothing is dropped. What an earlier process left is
//! sealed at the start; a last line that a kill cut short is ended with a newline.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use logmill_disk::{Disk, DiskFile};
use parking_lot::Mutex;
use prometheus::IntGauge;

use crate::wake::Waker;

/// A segment is cut at the next end of a line after this, or an eighth of the spool if that is less.
const SEGMENT: u64 = 8 << 20;
const ENDING: &str = "log";

const DATA: &str = "spool";
const DIR: &str = "spool directory";

pub(crate) struct Spool {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    most: u64,
    state: Mutex<State>,
    /// Of the engine, that there is something to read.
    reader: Waker,
    /// Of the feeder, that there is room, or that it is to stop.
    pub(super) feeder: Waker,
    bytes: IntGauge,
}

#[derive(Default)]
struct State {
    segments: BTreeMap<PathBuf, Segment>,
    bytes: u64,
    /// The highest number given.
    last: u64,
    /// Segments that grew or were sealed since the engine asked.
    news: BTreeSet<PathBuf>,
    /// No more will come.
    ended: bool,
    /// What the feeder does or waits for, in words.
    doing: String,
}

#[derive(Default)]
struct Segment {
    bytes: u64,
    sealed: bool,
}

impl Spool {
    /// Opens the spool in `dir`, which is made if it is not there.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        most: u64,
        reader: Waker,
        bytes: IntGauge,
    ) -> io::Result<Arc<Self>> {
        disk.create_dir_all(&dir)?;
        let mut state = State::default();
        let mut paths: Vec<PathBuf> = disk.read_dir(&dir)?.into_iter().filter(|p| number_of(p).is_some()).collect();
        paths.sort();
        for path in paths {
            let file = disk.open(&path, false)?;
            let mut len = file.len()?;
            if len == 0 {
                disk.remove_file(&path)?;
                continue;
            }
            let mut last = [0];
            file.read_exact_at(&mut last, len - 1)?;
            if last != *b"\n" {
                file.write_all_at(b"\n", len)?;
                len += 1;
            }
            state.last = state.last.max(number_of(&path).unwrap_or(0));
            state.bytes += len;
            state.segments.insert(path, Segment { bytes: len, sealed: true });
        }
        bytes.set(i64::try_from(state.bytes).unwrap_or(i64::MAX));
        Ok(Arc::new(Self { dir, disk, most, state: Mutex::new(state), reader, feeder: Waker::new()?, bytes }))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The glob of its segments.
    pub(crate) fn glob(&self) -> String {
        let dir = self.dir.to_string_lossy();
        let escaped: String =
            dir.chars().flat_map(|c| "*?[]{}\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
        format!("{escaped}/*.{ENDING}")
    }

    pub(super) fn segments(&self) -> Vec<PathBuf> {
        self.state.lock().segments.keys().cloned().collect()
    }

    pub(super) fn has_room(&self) -> bool {
        self.state.lock().bytes < self.most
    }

    pub(crate) fn held(&self) -> u64 {
        self.state.lock().bytes
    }

    /// Whether nothing more comes into this segment and it ends here.
    pub(crate) fn is_whole(&self, segment: &Path, end: u64) -> bool {
        self.state.lock().segments.get(segment).is_some_and(|s| s.sealed && s.bytes == end)
    }

    /// Takes away a segment of which all is acknowledged.
    pub(crate) fn remove(&self, segment: &Path) -> io::Result<()> {
        match self.disk.remove_file(segment) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut state = self.state.lock();
        if let Some(removed) = state.segments.remove(segment) {
            state.bytes = state.bytes.saturating_sub(removed.bytes);
            self.tell(&state);
        }
        drop(state);
        self.feeder.wake();
        Ok(())
    }

    /// Segments that grew or were sealed since the last call.
    pub(crate) fn news(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.state.lock().news)
    }

    /// No more will come: the source is at its end.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.reader.wake();
    }

    /// The source is at its end, and all that came is acknowledged.
    pub(crate) fn is_finished(&self) -> bool {
        let state = self.state.lock();
        state.ended && state.segments.is_empty()
    }

    pub(super) fn doing(&self, words: &str) {
        let mut state = self.state.lock();
        if state.doing != words {
            state.doing = words.to_owned();
        }
    }

    /// What the feeder does or waits for, in words.
    pub(crate) fn activity(&self) -> String {
        self.state.lock().doing.clone()
    }

    fn tell(&self, state: &State) {
        self.bytes.set(i64::try_from(state.bytes).unwrap_or(i64::MAX));
    }
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(ENDING)?.strip_suffix('.')?;
    (stem.len() == 20).then(|| stem.parse().ok()).flatten()
}

/// The feeder's side. What it is given is in the file, and so survives a kill, when [`Writer::write`] returns.
pub(super) struct Writer {
    spool: Arc<Spool>,
    current: Option<Current>,
}

struct Current {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    len: u64,
    dirty: bool,
    /// Its name is durable.
    named: bool,
}

impl Writer {
    pub(super) fn new(spool: Arc<Spool>) -> Self {
        Self { spool, current: None }
    }

    /// Appends bytes; begins a segment where there is none, numbered by the clock (microseconds since 1970) so that no two
    /// ever have the same name. After an error the same bytes can be written again.
    pub(super) fn write(&mut self, bytes: &[u8], now_ms: i64) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.current.is_none() {
            let number = {
                let mut state = self.spool.state.lock();
                let clock = u64::try_from(now_ms).unwrap_or(0).saturating_mul(1000);
                state.last = clock.max(state.last.saturating_add(1));
                state.last
            };
            let path = self.spool.dir.join(format!("{number:020}.{ENDING}"));
            let file = self.spool.disk.open(&path, true)?;
            self.current = Some(Current { path, file, len: 0, dirty: false, named: false });
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        current.file.write_all_at(bytes, current.len)?;
        current.len += bytes.len() as u64;
        current.dirty = true;
        let mut state = self.spool.state.lock();
        state.segments.entry(current.path.clone()).or_default().bytes = current.len;
        state.bytes += bytes.len() as u64;
        self.spool.tell(&state);
        let first = state.news.insert(current.path.clone());
        drop(state);
        if first {
            self.spool.reader.wake();
        }
        Ok(())
    }

    /// Whether the segment is to be cut at the next end of a line.
    pub(super) fn is_due(&self) -> bool {
        self.len() >= self.segment_bytes()
    }

    /// At which size segments are cut.
    pub(super) fn segment_bytes(&self) -> u64 {
        SEGMENT.min(self.spool.most / 8)
    }

    pub(super) fn len(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.len)
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.dirty)
    }

    /// Makes durable what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(current) = self.current.as_mut().filter(|current| current.dirty) else { return Ok(()) };
        current.file.sync_data(DATA)?;
        if !current.named {
            self.spool.disk.sync_dir(&self.spool.dir, DIR)?;
            current.named = true;
        }
        current.dirty = false;
        Ok(())
    }

    /// Nothing more comes into the segment; the next write begins another.
    pub(super) fn seal(&mut self) {
        let Some(current) = self.current.take() else { return };
        let mut state = self.spool.state.lock();
        if let Some(segment) = state.segments.get_mut(&current.path) {
            segment.sealed = true;
        }
        state.news.insert(current.path);
        drop(state);
        self.spool.reader.wake();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::fs;

    use logmill_disk::RealDisk;

    use super::*;

    fn open(dir: &Path, most: u64) -> Arc<Spool> {
        let gauge = IntGauge::new("bytes", "bytes").unwrap();
        Spool::open(Arc::new(RealDisk), dir.to_owned(), most, Waker::new().unwrap(), gauge).unwrap()
    }

    #[test]
    fn segments_are_numbered_bounded_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let spool = open(dir.path(), 800);
        let mut writer = Writer::new(Arc::clone(&spool));
        for n in 0..8 {
            assert!(spool.has_room(), "{n}");
            writer.write(&[b'x'; 99], 5).unwrap();
            assert!(!writer.is_due());
            writer.write(b"\n", 5).unwrap();
            assert!(writer.is_due());
            writer.seal();
        }
        assert_eq!((false, 800), (spool.has_room(), spool.held()));
        let segments = spool.segments();
        assert_eq!(8, segments.len());
        assert!(segments[0].ends_with("00000000000000005000.log") && segments[1].ends_with("00000000000000005001.log"));
        assert_eq!(8, spool.news().len());
        assert!(spool.news().is_empty() && spool.is_whole(&segments[0], 100));
        spool.remove(&segments[0]).unwrap();
        assert!(spool.has_room() && !segments[0].exists());
        assert_eq!((700, 700), (spool.held(), spool.bytes.get()));
        spool.end();
        assert!(!spool.is_finished());
        segments[1..].iter().for_each(|segment| spool.remove(segment).unwrap());
        assert!(spool.is_finished());
    }

    #[test]
    fn what_is_written_to_is_not_sealed_until_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let spool = open(dir.path(), 1 << 20);
        let mut writer = Writer::new(Arc::clone(&spool));
        writer.write(b"whole\ntor", 7).unwrap();
        assert!(writer.is_dirty());
        writer.sync().unwrap();
        assert!(!writer.is_dirty() && !spool.is_whole(&spool.segments()[0], 9));
        // A kill: what is cut short is ended, files without content are no segments, other files stay.
        fs::write(dir.path().join("00000000000000000009.log"), "").unwrap();
        fs::write(dir.path().join("cursor"), "x").unwrap();
        drop(writer);
        let spool = open(dir.path(), 1 << 20);
        let segments = spool.segments();
        assert_eq!((1, 10), (segments.len(), spool.held()));
        assert_eq!("whole\ntor\n", fs::read_to_string(&segments[0]).unwrap());
        assert!(
            spool.is_whole(&segments[0], 10) && !spool.is_whole(&segments[0], 9) && dir.path().join("cursor").exists()
        );
        let mut writer = Writer::new(Arc::clone(&spool));
        writer.write(b"x\n", 0).unwrap();
        assert!(spool.segments()[1] > segments[0], "numbers go on when the clock was set back");
    }

    #[test]
    fn a_glob_of_an_odd_name_matches_its_segments_alone() {
        let dir = tempfile::tempdir().unwrap();
        let spool = open(&dir.path().join("a[1]*"), 1 << 20);
        let glob = globset::GlobBuilder::new(&spool.glob()).literal_separator(true).backslash_escape(true).build();
        let matcher = glob.unwrap().compile_matcher();
        assert!(matcher.is_match(spool.dir().join("00000000000000000001.log")));
        assert!(!matcher.is_match(dir.path().join("a1x/00000000000000000001.log")));
        assert!(!matcher.is_match(spool.dir().join("cursor")));
    }
}
