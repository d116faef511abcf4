//! Start: lock the directory, open the indices, bring them up to the end of the log, begin a new log.
//!
//! What the log holds beyond the last commits is committed before anything is served, and the old log files are
//! removed: so a log whose end was never known to be on disk (a failed sync) is never built upon.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io,
    path::Path,
    sync::Arc,
};

use logmill_disk::{Disk, DiskFile};
use rustix::fs::{FlockOperation, flock};

use super::{
    Catalog, Engine, Options, Shard, Template,
    catalog::TEMPLATES,
    decide::finish,
    shard::{Payload, Settings},
    store,
    write::parse,
    writer::OpenWriter,
};
use crate::{
    IndexError,
    mapping::Mapping,
    metrics::Metrics,
    running::Status,
    wal::{self, FILE_BYTES, Place, Record, Wal, read_record, record_end},
};

/// Locks a data directory against a second index for as long as the file is open.
///
/// # Errors
/// Locked by another process, or not writable.
pub(crate) fn lock(data_dir: &Path) -> Result<File, IndexError> {
    std::fs::create_dir_all(data_dir).map_err(IndexError::io(data_dir, "cannot make the data directory"))?;
    let path = data_dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(IndexError::io(&path, "cannot open the lock file"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(IndexError::Locked(data_dir.to_owned())),
        Err(error) => Err(IndexError::io(&path, "cannot lock")(error.into())),
    }
}

impl Engine {
    /// Opens the data directory (already locked) and brings every index up to the end of the log.
    ///
    /// # Errors
    /// Unreadable or damaged files.
    pub(crate) fn open(
        options: Options,
        disk: Arc<dyn Disk>,
        metrics: Metrics,
        status: Status,
    ) -> Result<Arc<Self>, IndexError> {
        let indices = options.data_dir.join("indices");
        let log = options.data_dir.join("log");
        for dir in [&indices, &log] {
            disk.create_dir_all(dir).map_err(IndexError::io(dir, "cannot make the directory"))?;
        }
        disk.sync_dir(&options.data_dir, "data directory").map_err(IndexError::io(&options.data_dir, "cannot sync"))?;
        let mut recovery = Recovery { indices: indices.clone(), ..Recovery::default() };
        recovery.open_indices()?;
        let replayed = wal::replay(disk.as_ref(), &log, |place, record| recovery.note(place, record))?;
        if replayed.cut > 0 {
            tracing::warn!(
                bytes = replayed.cut,
                "the write-ahead log's unfinished end was cut: it was never acknowledged"
            );
        }
        recovery.apply(disk.as_ref(), &replayed.files, options.writer_memory)?;
        wal::retire(disk.as_ref(), &log, &replayed.files)
            .map_err(IndexError::io(&log, "cannot remove the old write-ahead log"))?;
        let position = recovery.end.max(replayed.end);
        let wal = Wal::create(disk.clone(), &log, position, FILE_BYTES)
            .map_err(IndexError::io(&log, "cannot begin the write-ahead log"))?;
        let mut catalog = Catalog { templates: read_templates(&options.data_dir)?, ..Catalog::default() };
        for shard in recovery.shards.into_values() {
            catalog.by_name.insert(shard.name.clone(), shard);
        }
        Ok(Arc::new(Self {
            options,
            disk,
            wal,
            order: parking_lot::Mutex::default(),
            catalog: parking_lot::RwLock::new(catalog),
            signals: super::Signals::default(),
            pending: super::Pending::default(),
            clock: std::sync::atomic::AtomicU64::new(1),
            free: parking_lot::Mutex::default(),
            metrics,
            status,
        }))
    }
}

fn read_templates(data_dir: &Path) -> Result<BTreeMap<String, Template>, IndexError> {
    let path = data_dir.join(TEMPLATES);
    match std::fs::read(&path) {
        Ok(content) => serde_json::from_slice(&content)
            .map_err(|error| IndexError::Damaged { path, reason: format!("index templates: {error}") }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(IndexError::io(path, "cannot read the index templates")(error)),
    }
}

#[derive(Default)]
struct Recovery {
    indices: std::path::PathBuf,
    shards: BTreeMap<u64, Arc<Shard>>,
    /// Records that the last commits lack, by index, in order.
    missing: HashMap<u64, Vec<Place>>,
    /// Behind every position and index number in use.
    end: u64,
}

impl Recovery {
    fn open_indices(&mut self) -> Result<(), IndexError> {
        let list =
            std::fs::read_dir(&self.indices).map_err(IndexError::io(&self.indices, "cannot list the indices"))?;
        for entry in list {
            let dir = entry.map_err(IndexError::io(&self.indices, "cannot list the indices"))?.path();
            let Some(number) = dir.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok()) else { continue };
            self.end = self.end.max(number + 1);
            match self.open_index(number, &dir) {
                Ok(true) => {}
                // Never committed: whatever it should hold is in the log.
                Ok(false) => {
                    std::fs::remove_dir_all(&dir).map_err(IndexError::io(&dir, "cannot remove an unfinished index"))?
                }
                Err(source) => return Err(IndexError::Tantivy { index: dir.display().to_string(), source }),
            }
        }
        Ok(())
    }

    fn open_index(&mut self, number: u64, dir: &Path) -> Result<bool, tantivy::TantivyError> {
        if !dir.join("meta.json").exists() {
            return Ok(false);
        }
        let Some(payload) = store::payload(&store::open(dir)?)? else { return Ok(false) };
        let Payload { settings, position, next_seq_no, .. } = payload;
        let shard = Self::shard(number, dir.to_owned(), &settings)
            .map_err(|reason| tantivy::TantivyError::IoError(Arc::new(io::Error::other(reason))))?;
        shard.store.lock().exists = true;
        shard.state.lock().next_seq_no = next_seq_no;
        shard.visible.send_replace(position);
        self.end = self.end.max(position);
        self.shards.insert(number, Arc::new(shard));
        Ok(true)
    }

    fn shard(number: u64, dir: std::path::PathBuf, settings: &Settings) -> Result<Shard, String> {
        let mut mapping = Mapping::default();
        mapping
            .merge_json(&settings.mapping)
            .map_err(|error| format!("mapping of {}: {}", settings.name, error.reason))?;
        Ok(Shard::new(number, dir, settings, mapping))
    }

    /// Notes a record of the log.
    fn note(&mut self, place: Place, record: Record<'_>) -> Result<(), IndexError> {
        self.end = self.end.max(record_end(place));
        let index = match record {
            Record::CreateIndex { settings } => {
                if !self.shards.contains_key(&place.position) {
                    let damaged = |reason: String| IndexError::Damaged { path: self.indices.clone(), reason };
                    let settings: Settings = serde_json::from_str(settings)
                        .map_err(|error| damaged(format!("record at log position {}: {error}", place.position)))?;
                    let dir = self.indices.join(format!("{:020}", place.position));
                    let shard = Self::shard(place.position, dir, &settings).map_err(damaged)?;
                    self.shards.insert(place.position, Arc::new(shard));
                    self.missing.entry(place.position).or_default();
                }
                return Ok(());
            }
            Record::DeleteIndex { index } => {
                self.missing.remove(&index);
                if let Some(shard) = self.shards.remove(&index)
                    && shard.dir.exists()
                {
                    std::fs::remove_dir_all(&shard.dir)
                        .map_err(IndexError::io(&shard.dir, "cannot remove a deleted index"))?;
                    File::open(&self.indices)
                        .and_then(|dir| dir.sync_all())
                        .map_err(IndexError::io(&self.indices, "cannot sync"))?;
                }
                return Ok(());
            }
            Record::PutMapping { index, .. } | Record::Put { index, .. } | Record::Delete { index, .. } => index,
        };
        // An index that is gone was deleted by a record further on, or before in a file kept by chance.
        if let Some(shard) = self.shards.get(&index)
            && place.position >= *shard.visible.borrow()
        {
            self.missing.entry(index).or_default().push(place);
        }
        Ok(())
    }

    /// Gives each index what it lacks and commits it.
    fn apply(&mut self, disk: &dyn Disk, files: &[std::path::PathBuf], memory: usize) -> Result<(), IndexError> {
        if self.missing.is_empty() {
            return Ok(());
        }
        tracing::info!(
            documents = self.missing.values().map(Vec::len).sum::<usize>(),
            indices = self.missing.len(),
            "committing what the write-ahead log holds"
        );
        let mut open: BTreeMap<u64, Arc<dyn DiskFile>> = BTreeMap::new();
        for path in files {
            let base = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".wal")?.parse().ok()).unwrap_or(0);
            open.insert(base, disk.open(path, false).map_err(IndexError::io(path, "cannot open"))?);
        }
        for (number, places) in std::mem::take(&mut self.missing) {
            let Some(shard) = self.shards.get(&number) else { continue };
            let failed = |source| IndexError::Tantivy { index: shard.name.to_string(), source };
            let mut writer = OpenWriter::open(shard.clone(), memory).map_err(failed)?;
            writer.applied(number + 1);
            for place in places {
                let body =
                    read_record(&open, place).map_err(IndexError::io(&self.indices, "cannot read the log of"))?;
                let record = Record::decode(&body).ok_or_else(|| IndexError::Damaged {
                    path: self.indices.clone(),
                    reason: format!("unknown record at log position {}", place.position),
                })?;
                apply_one(shard, &mut writer, record).map_err(failed)?;
                writer.applied(record_end(place));
            }
            writer.commit().map_err(failed)?;
            writer.close().map_err(failed)?;
        }
        Ok(())
    }
}

fn apply_one(shard: &Shard, writer: &mut OpenWriter, record: Record<'_>) -> Result<(), tantivy::TantivyError> {
    let mut mapping = shard.mapping();
    match record {
        Record::Put { seq_no, version, replaces, id, source, .. } => {
            let mut document = parse(&mut mapping, id, source).map_err(|error| {
                tantivy::TantivyError::InternalError(format!("document '{id}' no longer parses: {}", error.reason))
            })?;
            finish(&mut document, seq_no, version);
            shard.set_mapping(mapping);
            let mut state = shard.state.lock();
            state.next_seq_no = state.next_seq_no.max(seq_no + 1);
            drop(state);
            writer.put(*document, replaces.then_some(id))
        }
        Record::Delete { seq_no, id, .. } => {
            let mut state = shard.state.lock();
            state.next_seq_no = state.next_seq_no.max(seq_no + 1);
            drop(state);
            writer.delete(id);
            Ok(())
        }
        Record::PutMapping { mapping: json, .. } => {
            let json: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
            // It was accepted once; if it is not now, the documents say what the fields are.
            if Arc::make_mut(&mut mapping).merge_json(&json).is_ok() {
                shard.set_mapping(mapping);
            }
            Ok(())
        }
        Record::CreateIndex { .. } | Record::DeleteIndex { .. } => Ok(()),
    }
}
