//! Opening a data directory: lock, clean-shutdown mark, checkpoints, names.

use super::DataDir;
use crate::{
    GroupCommit, OpenError, Options, PartitionDir,
    checkpoint_file::{Offsets, parse_offsets},
    cleaner::pace::Closing,
    commit_choice::Costs,
    names,
    shared::{Queue, Shared, Stored},
    space::Space,
    stats::Stats,
};
use logmill_disk::{Disk, FileSystem, read_file};
use parking_lot::{Condvar, Mutex, RwLock};
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

const LARGEST_CHECKPOINT: u64 = 64 << 20;

impl DataDir {
    /// Creates it if missing, locks it, reads the checkpoints and lists the partition directories. Opens no log.
    pub fn open(path: &Path, options: Options) -> Result<Arc<DataDir>, OpenError> {
        let disk = Arc::clone(&options.disk);
        create_durably(&*disk, path)?;
        let lock = disk.lock(&path.join(names::LOCK)).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked { path: path.to_owned() },
            _ => OpenError::Io { path: path.join(names::LOCK), source },
        })?;
        let was_clean = take_clean_mark(&*disk, path)?;
        let file_system = disk.file_system(path).map_err(OpenError::io(path))?;
        let usable = file_system.syncfs_is_trustworthy() && options.group_commit != GroupCommit::Fdatasync;
        let shared = Arc::new(Shared {
            root: path.to_owned(),
            file_system: usable.then_some(file_system),
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            committing: RwLock::new(()),
            costs: Mutex::new(Costs::default()),
            logs: RwLock::new(HashMap::new()),
            stored: Mutex::new(Stored::default()),
            since_checkpoint: AtomicU64::new(0),
            stats: Stats::default(),
            cleaning: Mutex::new(()),
            compaction: Mutex::new((options.compaction_memory, options.compaction_bytes_per_second)),
            closing: Closing::default(),
            space: Space::new(options.free_space_reserve),
            deleted: Mutex::default(),
            options,
        });
        *shared.stored.lock() = Stored {
            recovery_points: read_or_ignore(&*disk, &path.join(names::RECOVERY_POINTS)),
            log_starts: read_or_ignore(&*disk, &path.join(names::LOG_STARTS)),
            cleaner_offsets: read_or_ignore(&*disk, &path.join(names::CLEANER_OFFSETS)),
            fences: read_fences(&*disk, &shared.fence_files())?,
        };
        if !shared.stored.lock().fences.is_empty()
            && let Some(file_system) = &shared.file_system
        {
            take_old_errors(&**file_system, path)?;
        }
        let mut found = Vec::new();
        let mut deleted = Vec::new();
        for child in disk.read_dir(path).map_err(OpenError::io(path))? {
            if names::is_deleted_dir(&child) {
                deleted.push(super::delete::Deleted { path: child, due_ms: i64::MIN });
            } else if let Some((topic, partition)) = names::parse_partition_dir(&child)
                && disk.is_dir(&child)
            {
                let metadata = read_file(&*disk, &child.join(names::PARTITION_METADATA), 4096).ok();
                let topic_id = metadata.and_then(|text| names::parse_partition_metadata(&text));
                found.push(PartitionDir { topic: topic.to_owned(), partition, topic_id });
            }
        }
        found.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        *shared.deleted.lock() = deleted;
        let data_dir = Arc::new(DataDir {
            shared,
            found,
            was_clean,
            lock: Mutex::new(Some(lock)),
            committer: Mutex::default(),
            changing: Mutex::new(()),
        });
        data_dir.start_committer()?;
        Ok(data_dir)
    }
}

/// The directory and its new ancestors, each name durable.
fn create_durably(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !disk.exists(dir)).collect();
    disk.create_dir_all(path).map_err(OpenError::io(path))?;
    for dir in missing.into_iter().rev() {
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        disk.sync_dir(parent, "create data directory").map_err(OpenError::io(parent))?;
    }
    Ok(())
}

/// Whether the mark was there; it is durably gone before anything is written.
fn take_clean_mark(disk: &dyn Disk, root: &Path) -> Result<bool, OpenError> {
    let path = root.join(names::CLEAN_SHUTDOWN);
    if disk.exists(&path) {
        disk.remove_file(&path).map_err(OpenError::io(&path))?;
        disk.sync_dir(root, "clean shutdown mark removal").map_err(OpenError::io(root))?;
        return Ok(true);
    }
    // After a kill the names may be in memory only.
    disk.sync_dir(root, "open data directory").map_err(OpenError::io(root))?;
    Ok(false)
}

/// A sync failed in an earlier run. What has not been told of that yet would be told to the first commit, which lost nothing by it. (What was lost by it is
/// past the fences, or told to the recovery that syncs the file.)
fn take_old_errors(file_system: &dyn FileSystem, root: &Path) -> Result<(), OpenError> {
    if let Err(error) = file_system.syncfs("open file system") {
        tracing::warn!(root = %root.display(), %error, "writes of an earlier run failed; what they should have brought is not believed");
        file_system.syncfs("open file system").map_err(OpenError::io(root))?;
    }
    Ok(())
}

/// Without recovery points everything is checked; without log starts deleted records may be seen again: no reason not to start.
fn read_or_ignore(disk: &dyn Disk, path: &Path) -> Offsets {
    read_offsets(disk, path).unwrap_or_else(|reason| {
        tracing::error!(path = %path.display(), reason, "ignoring a damaged checkpoint");
        Offsets::new()
    })
}

fn read_offsets(disk: &dyn Disk, path: &Path) -> Result<Offsets, String> {
    match read_file(disk, path, LARGEST_CHECKPOINT) {
        Ok(text) => parse_offsets(&text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Offsets::new()),
        Err(e) => Err(e.to_string()),
    }
}

/// The lowest durable end that either place has recorded.
fn read_fences(disk: &dyn Disk, paths: &[PathBuf]) -> Result<Offsets, OpenError> {
    let mut fences = Offsets::new();
    for path in paths {
        let read = read_offsets(disk, path).map_err(|reason| OpenError::Corrupt { path: path.clone(), reason })?;
        for (key, offset) in read {
            let fence = fences.entry(key).or_insert(offset);
            *fence = offset.min(*fence);
        }
    }
    Ok(fences)
}
