//! Deleting logs: the name goes at once and durably, the files later. What is left when the broker ends goes at the next start.

use super::DataDir;
use crate::{OpenError, checkpoint_file::PartitionKey, names};
use std::{io, path::PathBuf};

/// A renamed directory or file of a segment, to be removed at `due_ms`.
pub(crate) struct Deleted {
    pub path: PathBuf,
    pub due_ms: i64,
}

impl DataDir {
    /// Durably renames the partition directory (open or not) to `<topic>-<partition>.<uuid>-delete`; its files go later. Waits for a sync.
    /// A directory that is missing is deleted already.
    pub fn delete_log(&self, topic: &str, partition: i32) -> Result<(), OpenError> {
        self.delete_logs(&[(topic.to_owned(), partition)])
    }

    /// The same for many, with one sync.
    pub fn delete_logs(&self, logs: &[PartitionKey]) -> Result<(), OpenError> {
        let _one = self.changing.lock();
        let root = &self.shared.root;
        let disk = &*self.shared.options.disk;
        let now = self.shared.options.clock.now_ms();
        let mut delays = Vec::new();
        for key in logs {
            let log = self.shared.logs.write().remove(key);
            let delay = log.as_ref().map_or(0, |log| log.config().file_delete_delay.as_millis());
            delays.push(i64::try_from(delay).unwrap_or(i64::MAX));
            if let Some(log) = log {
                // Segments being replaced are there or not, but not half.
                let _one = log.begin_maintenance();
                log.mark_deleted();
            }
        }
        // A commit under way would find the directory gone.
        let _commits = self.shared.committing.write();
        // A later log of the same name must not be taken for this one.
        self.shared.forget(logs).map_err(OpenError::io(root))?;
        for ((topic, partition), delay) in logs.iter().zip(delays) {
            let from = names::partition_dir(root, topic, *partition);
            if !disk.is_dir(&from) {
                continue;
            }
            let to = self.unused_name(topic, *partition, now);
            disk.rename(&from, &to).map_err(OpenError::io(&from))?;
            self.shared.deleted.lock().push(Deleted { path: to, due_ms: now.saturating_add(delay) });
        }
        disk.sync_dir(root, "delete partition").map_err(OpenError::io(root))
    }

    fn unused_name(&self, topic: &str, partition: i32, now: i64) -> PathBuf {
        let mut unique = u128::from(now.unsigned_abs()) << 64;
        loop {
            let path = names::deleted_dir(&self.shared.root, topic, partition, unique);
            if !self.shared.options.disk.exists(&path) {
                return path;
            }
            unique += 1;
        }
    }

    /// Removes what was deleted longer than its file.delete.delay.ms ago. What fails is tried again next time. To be called every few seconds; looks at the disk
    /// only when there is something to remove.
    pub fn remove_deleted(&self) {
        let now = self.shared.options.clock.now_ms();
        let due: Vec<Deleted> = self.shared.deleted.lock().extract_if(.., |one| one.due_ms <= now).collect();
        let disk = &*self.shared.options.disk;
        for one in due {
            let removed =
                if disk.is_dir(&one.path) { disk.remove_dir_all(&one.path) } else { disk.remove_file(&one.path) };
            match removed {
                // Gone with its directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(path = %one.path.display(), %error, "cannot remove what was deleted");
                    self.shared.deleted.lock().push(one);
                }
                Ok(()) => {}
            }
        }
    }

    /// Whether [`DataDir::remove_deleted`] has something to remove.
    pub fn has_deleted(&self) -> bool {
        let now = self.shared.options.clock.now_ms();
        self.shared.deleted.lock().iter().any(|one| one.due_ms <= now)
    }
}
