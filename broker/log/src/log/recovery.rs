//! Opening a log: what is before the recovery point is believed, what is past it is read, checked and, from the first damage on, cut.

mod aborted;
mod indexes;

use super::{Boundaries, Log, Phase, State, ahead::Ahead, swap};
use crate::{
    LogConfig, OpenError, TopicId,
    batch_scan::{BatchReader, only_zeros, walk_headers},
    checkpoint_file::parse_epochs,
    leader_epochs::LeaderEpochs,
    names, producer_snapshot,
    producers::Producers,
    segment::Segment,
    shared::Shared,
};
use logmill_disk::{Disk, read_file};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::HashSet,
    io,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU32},
    },
};

/// Producer snapshots and epoch files larger than this are not believed.
const LARGEST_SIDE_FILE: u64 = 256 << 20;

/// What is known of a log before it is opened.
pub(crate) struct OpenLog {
    pub topic: String,
    pub partition: i32,
    pub topic_id: TopicId,
    pub config: Arc<LogConfig>,
    pub recovery_point: Option<i64>,
    pub log_start: Option<i64>,
    /// Everything before it was compacted once; `None` if nothing ever was.
    pub cleaned_to: Option<i64>,
    /// A sync failed in an earlier run: nothing from here on is believed.
    pub fence: Option<i64>,
    /// The last broker closed the data directory.
    pub clean: bool,
}

/// A log being recovered.
struct Recovery<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    config: &'a LogConfig,
    /// Compaction may have left gaps between offsets before the recovery point.
    may_have_gaps: bool,
    /// Nor can anything be missing at a segment's end: the last broker closed the data directory.
    clean: bool,
    /// Segments with an index of aborted transactions.
    with_aborted: HashSet<i64>,
    fence: i64,
    segments: Vec<Arc<Segment>>,
    producers: Producers,
    epochs: LeaderEpochs,
    snapshots: Vec<i64>,
    /// Sealed segments whose end or indexes may not be on disk.
    unsynced: Vec<i64>,
}

/// Where checking begins.
struct Start {
    segment: usize,
    position: u64,
    offset: i64,
    /// Offsets follow one another without gaps from here on (before, compaction may have left some): a gap there is an unsynced end of a segment lost.
    dense_from: i64,
}

impl OpenLog {
    /// Opens or creates the log. Returns it with everything past the recovery point checked and synced.
    pub(crate) fn open(self, shared: &Arc<Shared>) -> Result<Arc<Log>, OpenError> {
        let disk = &*shared.options.disk;
        let dir = names::partition_dir(&shared.root, &self.topic, self.partition);
        let created = !disk.is_dir(&dir);
        if created {
            disk.create_dir_all(&dir).map_err(OpenError::io(&dir))?;
        }
        let rewritten = self.check_topic_id(disk, &dir)?;
        let error = OpenError::io(&dir);
        let recovered = self.recover(disk, &dir).or_else(|first| {
            // What was seen may not be what the disk holds: once more, from the disk.
            tracing::error!(dir = %dir.display(), error = %first, "recovery failed, trying once more");
            self.recover(disk, &dir)
        });
        let (recovery, log_start, log_end, recovery_point) = recovered.map_err(error)?;
        // A log that was closed without ever being appended to was never synced.
        let settled = log_end > recovery_point || self.clean && log_end > 0;
        if log_end > recovery_point {
            // It is served from now on, so its names must be durable too (the data directory was synced when it was opened).
            let path = dir.join(names::PARTITION_METADATA);
            disk.open(&path, false)
                .and_then(|file| file.sync_data("recovery partition metadata"))
                .and_then(|()| disk.sync_dir(&dir, "recovery directory"))
                .map_err(OpenError::io(&dir))?;
        }
        let Recovery { segments, producers, mut epochs, snapshots, unsynced, with_aborted, .. } = recovery;
        let log_start = log_start.min(log_end);
        epochs.truncate_from_start(log_start);
        let state = State {
            phase: Phase::Open,
            broken: false,
            producers,
            epochs,
            dirty_files: Vec::new(),
            active_dirty: false,
            // Names seen now may be in memory only if the last broker was killed.
            new_names: created || !settled,
            new_partition: created || rewritten || !settled,
            queued: false,
            committing: false,
            unflushed: 0,
            unflushed_since: 0,
            flushing: false,
            truncations: 0,
            ahead: Ahead::default(),
            first_timestamp: None,
            snapshots,
            bytes_since_snapshot: 0,
            unsynced_segments: unsynced,
            unsynced_snapshots: Vec::new(),
        };
        Ok(Arc::new_cyclic(|me| Log {
            me: me.clone(),
            shared: Arc::clone(shared),
            topic: self.topic.into(),
            partition: self.partition,
            topic_id: self.topic_id,
            dir: dir.into(),
            config: RwLock::new(self.config),
            listener: OnceLock::new(),
            high_watermark: AtomicI64::new(log_end),
            log_end: AtomicI64::new(log_end),
            log_start: AtomicI64::new(log_start),
            fenced_at: AtomicI64::new(-1),
            recovery_point: AtomicI64::new(recovery_point.min(log_end)),
            written_recovery_point: AtomicI64::new(self.recovery_point.unwrap_or(-1).min(recovery_point)),
            cleaned_to: AtomicI64::new(self.cleaned_to.unwrap_or(0).min(log_end)),
            has_aborted: AtomicBool::new(!with_aborted.is_empty()),
            failed_compactions: AtomicU32::new(0),
            compact_after: AtomicI64::new(0),
            touched: AtomicBool::new(recovery_point != log_end || self.recovery_point != Some(log_end)),
            segments: RwLock::new(segments),
            state: Mutex::new(state),
            boundaries: Mutex::new(Boundaries::default()),
            maintenance: Mutex::new(()),
        }))
    }

    /// Writes `partition.metadata` if it is missing or unreadable (`true`); fails if it names another topic.
    fn check_topic_id(&self, disk: &dyn Disk, dir: &Path) -> Result<bool, OpenError> {
        let path = dir.join(names::PARTITION_METADATA);
        let found = read_file(disk, &path, 4096).ok().and_then(|text| names::parse_partition_metadata(&text));
        match found {
            Some(id) if id == self.topic_id => Ok(false),
            Some(id) => Err(OpenError::TopicIdMismatch {
                path: dir.to_owned(),
                found: names::print_topic_id(&id),
                expected: names::print_topic_id(&self.topic_id),
            }),
            None => {
                let text = names::partition_metadata(&self.topic_id);
                let write = || {
                    let file = disk.open(&path, true)?;
                    file.set_len(0)?;
                    file.write_all_at(text.as_bytes(), 0)
                };
                write().map_err(OpenError::io(&path)).map(|()| true)
            }
        }
    }

    /// Returns what was found with log start, log end and recovery point.
    fn recover<'a>(&'a self, disk: &'a dyn Disk, dir: &'a Path) -> io::Result<(Recovery<'a>, i64, i64, i64)> {
        let mut recovery = Recovery {
            disk,
            dir,
            config: &self.config,
            may_have_gaps: self.config.compact || self.cleaned_to.is_some(),
            clean: self.clean,
            with_aborted: HashSet::new(),
            fence: self.fence.unwrap_or(i64::MAX),
            segments: Vec::new(),
            producers: Producers::default(),
            epochs: LeaderEpochs::default(),
            snapshots: Vec::new(),
            unsynced: Vec::new(),
        };
        recovery.list(self.log_start)?;
        let first = recovery.segments.first().map_or(0, |segment| segment.base_offset);
        let log_start = self.log_start.unwrap_or(0).max(first);
        if recovery.segments.is_empty() {
            recovery.segments.push(Arc::new(Segment::new(log_start)));
            recovery.load_epochs(log_start);
            return Ok((recovery, log_start, log_start, log_start));
        }
        let start = recovery.start(self.recovery_point)?;
        if let Some(before) = recovery.before(&start) {
            recovery.cut_zeros(&before)?;
        }
        let recovery_point = start.offset;
        recovery.load_epochs(start.offset);
        recovery.load_producers(&start)?;
        let mut log_end = recovery.check(start)?;
        if log_end < log_start {
            // Records were deleted up to the start, and the segment that was to follow had not been made.
            let gone = recovery.segments.len();
            recovery.remove_segments(0, gone)?;
            recovery.segments.push(Arc::new(Segment::new(log_start)));
            log_end = log_start;
        }
        Ok((recovery, log_start, log_end, recovery_point))
    }
}

impl Recovery<'_> {
    /// The segments by their names; removes left-overs of interrupted work and segments before the log's start.
    fn list(&mut self, log_start: Option<i64>) -> io::Result<()> {
        swap::recover(self.disk, self.dir, self.config.index_interval_bytes)?;
        let (mut bases, mut indexes) = (Vec::new(), Vec::new());
        for path in self.disk.read_dir(self.dir)? {
            match names::parse_segment_file(&path) {
                Some((base, names::LOG)) => bases.push(base),
                Some((offset, names::SNAPSHOT)) => self.snapshots.push(offset),
                Some((base, extension @ (names::INDEX | names::TIME_INDEX | names::TXN_INDEX))) => {
                    if extension == names::TXN_INDEX && self.disk.file_len(&path)? > 0 {
                        self.with_aborted.insert(base);
                    }
                    indexes.push((base, path));
                }
                // `.deleted`, ours and as Apache Kafka leaves them.
                Some(_) => self.disk.remove_file(&path)?,
                None => {
                    if path.extension().is_some_and(|extension| extension == "tmp") {
                        self.disk.remove_file(&path)?;
                    }
                }
            }
        }
        bases.sort_unstable();
        self.snapshots.sort_unstable();
        // Of a segment whose log a crash has taken: the next segment with this base must not take up their entries.
        for (_, path) in indexes.iter().filter(|(base, _)| bases.binary_search(base).is_err()) {
            self.disk.remove_file(path)?;
        }
        // The start is durable before what is below it goes: segments still there come from a crash in between.
        let expired = bases.partition_point(|base| log_start.is_some_and(|start| *base <= start)).saturating_sub(1);
        self.segments = bases.into_iter().map(|base| Arc::new(Segment::existing(base))).collect();
        self.remove_segments(0, expired)
    }

    fn remove_segments(&mut self, from: usize, to: usize) -> io::Result<()> {
        if from == to {
            return Ok(());
        }
        for segment in self.segments.drain(from..to) {
            segment.remove_files(self.disk, self.dir)?;
            self.with_aborted.remove(&segment.base_offset);
            self.snapshots.retain(|offset| *offset != segment.base_offset);
        }
        // Else they might come back behind what is appended next.
        self.disk.sync_dir(self.dir, "recovery directory")
    }

    /// The recovery point's place, if the log agrees with it; else the beginning of the segment it should be in.
    fn start(&self, recovery_point: Option<i64>) -> io::Result<Start> {
        let wanted = recovery_point.unwrap_or(i64::MIN);
        let at = self.segments.partition_point(|segment| segment.base_offset <= wanted).saturating_sub(1);
        let Some(segment) = self.segments.get(at) else { return Err(io::ErrorKind::NotFound.into()) };
        let dense_from = match (self.may_have_gaps, recovery_point) {
            // A directory put in the place of ours while the broker was stopped: the recovery point is not its own.
            _ if self.clean => i64::MAX,
            (false, _) => i64::MIN,
            (true, Some(point)) => point,
            (true, None) => i64::MAX,
        };
        let beginning = Start { segment: at, position: 0, offset: segment.base_offset, dense_from };
        if wanted <= segment.base_offset {
            return Ok(beginning);
        }
        let size = segment.size(self.disk, self.dir)?;
        let index_is_whole = segment
            .with_indexes(self.disk, self.dir, |indexes| Ok(indexes.offsets.is_whole() && indexes.times.is_whole()))?;
        if index_is_whole
            && self.aborted_are_whole(segment)
            && let Ok(Some(last)) = segment.find_by_index(self.disk, self.dir, wanted - 1, size)
            && last.header.next_offset() == wanted
        {
            return Ok(Start { segment: at, position: last.end(), offset: wanted, dense_from });
        }
        tracing::warn!(
            dir = %self.dir.display(),
            recovery_point = wanted,
            segment = segment.base_offset,
            "the log does not agree with its recovery point: checking the whole segment"
        );
        Ok(beginning)
    }

    /// The segment that ends where checking begins. Not if the data directory was closed: then all of it is as it should be.
    fn before(&self, start: &Start) -> Option<Arc<Segment>> {
        let at = start.segment.checked_sub(1).filter(|_| start.position == 0 && !self.clean)?;
        self.segments.get(at).map(Arc::clone)
    }

    fn load_epochs(&mut self, end: i64) {
        let path = self.dir.join(names::LEADER_EPOCHS);
        let entries = match read_file(self.disk, &path, LARGEST_SIDE_FILE) {
            Ok(text) => parse_epochs(&text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e.to_string()),
        };
        match entries {
            Ok(entries) => self.epochs = LeaderEpochs::new(entries),
            Err(error) => tracing::warn!(path = %path.display(), error, "ignoring a damaged leader epoch checkpoint"),
        }
        // One that begins at the end may be all that is left when the records were deleted.
        self.epochs.truncate_from_end(end.saturating_add(1));
    }

    /// The newest whole snapshot before the start, then the headers from there; newer ones may tell of what is about to be cut.
    fn load_producers(&mut self, start: &Start) -> io::Result<()> {
        let mut from = i64::MIN;
        let mut kept = Vec::new();
        for offset in std::mem::take(&mut self.snapshots).into_iter().rev() {
            let path = names::segment_file(self.dir, offset, names::SNAPSHOT);
            let believed = offset <= start.offset;
            if believed && from > i64::MIN {
                kept.push(offset);
                continue;
            }
            let producers = if believed { read_file(self.disk, &path, LARGEST_SIDE_FILE).ok() } else { None };
            match producers.and_then(|bytes| producer_snapshot::decode(&bytes)) {
                Some(producers) => {
                    self.producers = producers;
                    from = offset;
                    kept.push(offset);
                }
                None => self.disk.remove_file(&path)?,
            }
        }
        kept.reverse();
        self.snapshots = kept;
        let first = self.segments.partition_point(|segment| segment.base_offset <= from).saturating_sub(1);
        for at in first..=start.segment {
            let Some(segment) = self.segments.get(at) else { break };
            let size = segment.size(self.disk, self.dir)?;
            let end = if at == start.segment { start.position } else { size };
            let Some(found) = segment.find(self.disk, self.dir, from, end)? else { continue };
            let file = segment.file(self.disk, self.dir)?;
            walk_headers(&*file, found.position, end, |found| {
                if found.header.base_offset >= from {
                    self.producers.replay(&found.header);
                }
                ControlFlow::<()>::Continue(())
            })?;
        }
        Ok(())
    }

    /// Reads everything from the start on, cuts at the first damage, syncs what is kept; returns the log's end.
    fn check(&mut self, start: Start) -> io::Result<i64> {
        let mut expected = start.offset;
        let mut position = start.position;
        let last = self.segments.len().saturating_sub(1);
        if let Some(before) = self.before(&start) {
            // What a broker that was killed did to it may be in memory only.
            self.unsynced.push(before.base_offset);
            // What is before the recovery point is not read again; one that is damaged is told when it is.
            if let Err(error) = self.check_indexes(&before, expected) {
                tracing::error!(dir = %self.dir.display(), segment = before.base_offset, %error, "cannot check a segment's indexes");
            }
        }
        for at in start.segment..=last {
            let Some(segment) = self.segments.get(at).map(Arc::clone) else { break };
            let follows = follows(segment.base_offset, expected, start.dense_from);
            if at > start.segment && !follows {
                tracing::warn!(dir = %self.dir.display(), log_end = expected, segment = segment.base_offset, "removing segments behind a gap");
                self.remove_segments(at, last + 1)?;
                break;
            }
            let before = expected;
            let (end, cut) = self.check_segment(&segment, position, &mut expected, start.dense_from)?;
            position = 0;
            if end == 0 && segment.base_offset > before {
                // Apache Kafka's compaction leaves segments empty, ours does not; after a crash it says that something is missing.
                let emptied = self.clean && !cut;
                if !emptied {
                    // A name without content, behind a gap: what is appended next belongs before it.
                    tracing::warn!(dir = %self.dir.display(), log_end = expected, segment = segment.base_offset, "removing an empty segment behind a gap");
                    self.remove_segments(at, last + 1)?;
                    break;
                }
                expected = segment.base_offset;
            }
            if at < last {
                self.unsynced.push(segment.base_offset);
                if !cut {
                    segment.seal(self.disk, self.dir)?;
                }
            }
            if cut {
                tracing::warn!(dir = %self.dir.display(), log_end = expected, segment = segment.base_offset, position = end, "cut the log's unsynced end");
                self.remove_segments(at + 1, last + 1)?;
                break;
            }
        }
        // While nothing is appended to it.
        if let Some(segment) = self.segments.last()
            && let Err(error) = segment.check_times(self.disk, self.dir)
        {
            tracing::error!(dir = %self.dir.display(), segment = segment.base_offset, %error, "cannot check a segment's time index");
        }
        self.epochs.truncate_from_end(expected.saturating_add(1));
        Ok(expected)
    }

    /// Returns where the good part ends and whether something was cut from there on.
    fn check_segment(
        &mut self,
        segment: &Segment,
        from: u64,
        expected: &mut i64,
        dense_from: i64,
    ) -> io::Result<(u64, bool)> {
        let (disk, dir, base) = (self.disk, self.dir, segment.base_offset);
        let size = disk.file_len(&names::segment_file(dir, base, names::LOG))?;
        let file = segment.file(disk, dir)?;
        self.cut_indexes(segment, from, size > from, *expected)?;
        let (mut end, from_offset, mut aborted) = (from, *expected, Vec::new());
        let mut reader = BatchReader::new(&*file, from, size);
        while let Some(found) = reader.next_valid()? {
            let follows = follows(found.header.base_offset, *expected, dense_from);
            // Indexes have room for no more.
            let fits = found.header.last_offset().saturating_sub(base) <= i64::from(i32::MAX);
            if !follows || !fits || found.header.last_offset() >= self.fence {
                break;
            }
            segment.with_indexes(disk, dir, |indexes| {
                indexes.add(base, &found, self.config.index_interval_bytes);
                Ok(())
            })?;
            aborted.extend(self.replay(&*file, &found)?);
            self.epochs.assign(found.header.partition_leader_epoch, found.header.base_offset);
            *expected = found.header.next_offset();
            end = found.end();
        }
        self.rewrite_aborted(segment, from_offset, &aborted)?;
        segment.set_size(end);
        segment.trust_from(from);
        // Zeros were prepared behind the log's end, or are what is left of a write whose data a power cut took.
        let cut = end < size && !only_zeros(&*file, end, size)?;
        if end < size {
            file.set_len(end)?;
        }
        if size > from {
            // It may be in memory only: it is served, and believed at the next start, once it is on disk.
            if let Err(error) = file.sync_data("recovery tail") {
                file.forget_cached()?;
                return Err(error);
            }
        }
        Ok((end, cut))
    }
}

/// Whether a batch or segment that begins at `base` may come where `expected` is the next offset.
fn follows(base: i64, expected: i64, dense_from: i64) -> bool {
    base == expected || base > expected && expected < dense_from
}
