//! The data directories, one for each disk: where each partition lies, and where a new one goes.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use logmill_log::{DataDir, Log, OpenError, Options, PartitionDir, StatsSnapshot};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Error;

/// Logs of one directory that are opened at once: more would only share processors and disk, and after a kill, when all of them are
/// checked, the first would not be there before the last. Some wait for the same journal commit while others compute.
const OPENED_AT_ONCE: usize = 16;

/// The first also has the metadata.
pub(crate) struct DataDirs {
    dirs: Vec<Arc<DataDir>>,
    /// Of each directory.
    opening: Vec<Semaphore>,
    places: Mutex<Places>,
}

/// Which directory has a partition, and how many partitions each has.
struct Places {
    of: HashMap<(String, i32), usize>,
    counts: Vec<usize>,
}

impl DataDirs {
    /// Opens them all, with the same options. A partition may be in one of them only. Waits for the disk.
    pub(crate) fn open(paths: &[PathBuf], options: &Options) -> Result<Self, Error> {
        let mut dirs = Vec::with_capacity(paths.len());
        for path in paths {
            dirs.push(DataDir::open(path, options.clone()).map_err(|error| match error {
                OpenError::Locked { path } => Error::DataDirLocked { path },
                OpenError::Io { path, source } => Error::DataDir { path, source },
                other => Error::Log(other.to_string()),
            })?);
        }
        Self::new(dirs)
    }

    pub(crate) fn new(dirs: Vec<Arc<DataDir>>) -> Result<Self, Error> {
        let mut places = Places { of: HashMap::new(), counts: vec![0; dirs.len()] };
        for (at, dir) in dirs.iter().enumerate() {
            for found in dir.found() {
                if let Some(other) = places.of.insert((found.topic.clone(), found.partition), at) {
                    let partition = format!("{}-{}", found.topic, found.partition);
                    let paths = [dirs[other].path().to_owned(), dir.path().to_owned()];
                    return Err(Error::PartitionTwice { partition, paths });
                }
                places.counts[at] += 1;
            }
        }
        let opening = dirs.iter().map(|_| Semaphore::new(OPENED_AT_ONCE)).collect();
        Ok(Self { dirs, opening, places: Mutex::new(places) })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<DataDir>> {
        self.dirs.iter()
    }

    /// The partition directories found on opening.
    pub(crate) fn found(&self) -> impl Iterator<Item = &PartitionDir> {
        self.dirs.iter().flat_map(|dir| dir.found())
    }

    /// All open logs.
    pub(crate) fn logs(&self) -> Vec<Arc<Log>> {
        self.dirs.iter().flat_map(|dir| dir.logs()).collect()
    }

    /// Of all of them together.
    pub(crate) fn stats(&self) -> StatsSnapshot {
        self.dirs.iter().fold(StatsSnapshot::default(), |sum, dir| sum.and(&dir.stats()))
    }

    /// The directory that a partition is in.
    pub(crate) fn of(&self, topic: &str, partition: i32) -> Option<&Arc<DataDir>> {
        self.dirs.get(self.number(topic, partition)?)
    }

    fn number(&self, topic: &str, partition: i32) -> Option<usize> {
        self.places.lock().of.get(&(topic.to_owned(), partition)).copied()
    }

    /// A log's turn to be opened; held until it is. A new one's is that of the first directory, wherever it will be.
    pub(crate) async fn turn(&self, topic: &str, partition: i32) -> Option<SemaphorePermit<'_>> {
        self.opening.get(self.number(topic, partition).unwrap_or(0))?.acquire().await.ok()
    }

    /// The directory that a partition is in, or from now on is to be in: as in Kafka, the one with the fewest.
    pub(crate) fn place(&self, topic: &str, partition: i32) -> &Arc<DataDir> {
        let mut places = self.places.lock();
        let Places { of, counts } = &mut *places;
        let at = *of.entry((topic.to_owned(), partition)).or_insert_with(|| {
            let Some((at, count)) = counts.iter_mut().enumerate().min_by_key(|(_, count)| **count) else { return 0 };
            *count += 1;
            at
        });
        &self.dirs[at]
    }

    /// Removes a partition, if there is one. Waits for the disk.
    pub(crate) fn delete(&self, topic: &str, partition: i32) -> Result<(), OpenError> {
        let Some(dir) = self.of(topic, partition) else { return Ok(()) };
        dir.delete_log(topic, partition)?;
        let mut places = self.places.lock();
        if let Some(at) = places.of.remove(&(topic.to_owned(), partition)) {
            places.counts[at] -= 1;
        }
        Ok(())
    }

    /// Closes them all; the first error counts.
    pub(crate) fn close(&self) -> Result<(), OpenError> {
        self.dirs.iter().map(|dir| dir.close()).fold(Ok(()), Result::and)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_disk::sim::SimDisk;
    use logmill_log::LogConfig;

    use super::*;

    const ID: [u8; 16] = [7; 16];

    fn open(disk: &SimDisk) -> Result<DataDirs, Error> {
        let options = Options { disk: Arc::new(disk.clone()), ..Options::default() };
        DataDirs::open(&["/a".into(), "/b".into(), "/c".into()], &options)
    }

    fn create(dirs: &DataDirs, topic: &str, partition: i32) -> PathBuf {
        let dir = dirs.place(topic, partition);
        dir.open_log(topic, partition, ID, Arc::new(LogConfig::default())).unwrap();
        dir.path().to_owned()
    }

    #[test]
    fn a_new_partition_goes_where_there_are_fewest_and_stays() {
        let disk = SimDisk::new();
        let dirs = open(&disk).unwrap();
        let placed: Vec<PathBuf> = (0..7).map(|n| create(&dirs, "t", n)).collect();
        assert_eq!(placed, ["/a", "/b", "/c", "/a", "/b", "/c", "/a"].map(PathBuf::from));
        dirs.delete("t", 1).unwrap();
        dirs.delete("t", 1).unwrap();
        assert!(dirs.of("t", 1).is_none());
        assert_eq!(create(&dirs, "u", 0), PathBuf::from("/b"));
        dirs.close().unwrap();
        drop(dirs);

        let dirs = open(&disk).unwrap();
        assert_eq!(dirs.found().count(), 7);
        for (n, path) in placed.iter().enumerate().filter(|(n, _)| *n != 1) {
            assert_eq!(dirs.place("t", i32::try_from(n).unwrap()).path(), path);
        }
        assert_eq!(create(&dirs, "u", 1), PathBuf::from("/b"));
        assert_eq!(dirs.logs().len(), 1, "the others are not open yet");
    }

    #[test]
    fn a_partition_in_two_directories_is_an_error() {
        let disk = SimDisk::new();
        let options = Options { disk: Arc::new(disk.clone()), ..Options::default() };
        for path in ["/a", "/b"] {
            let dir = DataDir::open(std::path::Path::new(path), options.clone()).unwrap();
            dir.open_log("t", 3, ID, Arc::new(LogConfig::default())).unwrap();
            dir.close().unwrap();
        }
        let error = open(&disk).err().unwrap().to_string();
        assert!(error.contains("t-3") && error.contains("/a") && error.contains("/b"), "{error}");
    }
}
