//! Moving the recovery points: index entries, producer state and epochs become durable first.

use super::DataDir;
use crate::{Durability, OpenError, log::Prepared, shared::Shared};
use std::{io, sync::atomic::Ordering};

impl DataDir {
    /// Writes the checkpoints now, after syncing what they promise. Worth a call after recovering many logs: a crash before the next one would recover
    /// them again.
    pub fn write_checkpoints(&self) -> Result<(), OpenError> {
        self.shared.checkpoint(false).map_err(OpenError::io(&self.shared.root))
    }
}

impl Shared {
    /// `closing`: nothing will be appended any more.
    pub(crate) fn checkpoint(&self, closing: bool) -> io::Result<()> {
        // No commit meanwhile: a failed syncfs must be seen by whoever waits for it.
        let _commits = self.committing.write();
        self.since_checkpoint.store(0, Ordering::Relaxed);
        let mut prepared = Vec::new();
        let mut result = Ok(());
        for log in self.all_logs() {
            match log.prepare_checkpoint(closing) {
                Ok(Some(one)) => prepared.push(one),
                Ok(None) => {}
                Err(error) => result = Err(error),
            }
        }
        let synced = match &self.file_system {
            Some(file_system) => self.sync_at_once(&**file_system, &prepared),
            None => self.sync_each(&prepared),
        };
        match synced {
            Ok(()) => prepared.iter().for_each(|one| one.log.checkpoint_durable(one)),
            Err(error) => {
                prepared.iter().for_each(|one| one.log.checkpoint_failed(one));
                return Err(error);
            }
        }
        if !prepared.is_empty() || closing {
            self.write_recovery_points()?;
            prepared.iter().for_each(|one| one.log.prune_snapshots());
        }
        result
    }

    fn sync_at_once(&self, file_system: &dyn logmill_disk::FileSystem, prepared: &[Prepared]) -> io::Result<()> {
        if prepared.is_empty() {
            return Ok(());
        }
        let sync = |site| {
            file_system.syncfs(site).inspect_err(|error| {
                // Index entries and producer state may be lost too, though they are still seen.
                self.commit_failed(error, prepared.iter().map(|one| &one.log));
                self.record_fences();
            })
        };
        sync("checkpoint syncfs")?;
        if self.rename_all(prepared)? {
            sync("checkpoint names syncfs")?;
        }
        Ok(())
    }

    fn sync_each(&self, prepared: &[Prepared]) -> io::Result<()> {
        let disk = &*self.options.disk;
        for one in prepared {
            for path in &one.files {
                let file = match disk.open(path, false) {
                    Ok(file) => file,
                    // Retention was faster.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(e),
                };
                file.sync_data("checkpoint file").inspect_err(|error| self.checkpoint_lost(one, error))?;
            }
        }
        self.rename_all(prepared)?;
        for one in prepared {
            let synced = disk.sync_dir(one.log.dir(), "checkpoint directory");
            synced.inspect_err(|error| self.checkpoint_lost(one, error))?;
        }
        if self.options.durability == Durability::PageCache && !prepared.is_empty() {
            disk.sync_dir(&self.root, "checkpoint data directory")?;
        }
        Ok(())
    }

    /// What was not written is still seen, and the next sync would not say so.
    fn checkpoint_lost(&self, one: &Prepared, error: &io::Error) {
        self.stats.failed_syncs.fetch_add(1, Ordering::Relaxed);
        tracing::error!(log = one.log.name(), %error, "sync of a checkpoint failed");
        if one.log.fence() {
            self.record_fences();
        }
    }

    fn rename_all(&self, prepared: &[Prepared]) -> io::Result<bool> {
        let mut any = false;
        for (from, to) in prepared.iter().filter_map(|one| one.rename.as_ref()) {
            self.options.disk.rename(from, to)?;
            any = true;
        }
        Ok(any)
    }
}
