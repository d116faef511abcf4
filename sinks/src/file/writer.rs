//! The file being written: opened at its last whole line, appended to, synced, and set aside when it is large or old.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use logmill_config::sinks::{self, FileCompression};
use parking_lot::Mutex;

use super::{compress, recover};

pub(super) struct Writer {
    config: sinks::File,
    /// Held as long as this process writes the file.
    lock: Option<File>,
    /// The file is another's now: what was still to be done with it fails.
    closed: bool,
    open: Option<Open>,
    /// After an error: the length that is on disk. What stands behind it is never believed, whatever a later sync says.
    cut: Option<u64>,
    /// Compressing, one file after the other.
    compressing: Arc<Mutex<()>>,
}

struct Open {
    file: File,
    /// Bytes that are on disk.
    synced: u64,
    since: SystemTime,
}

impl Writer {
    /// # Errors
    /// Another process has the file. A directory that cannot be written is an error of the first append.
    pub(super) fn new(config: &sinks::File) -> io::Result<Self> {
        let mut writer = Self {
            config: config.clone(),
            lock: None,
            closed: false,
            open: None,
            cut: None,
            compressing: Arc::default(),
        };
        match writer.take_lock() {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => Err(e),
            _ => Ok(writer),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.config.path
    }

    /// Appends whole lines; they are on disk when it returns. After an error nothing of them is there, or will not be when
    /// the file is next opened.
    pub(super) fn append(&mut self, lines: &[u8], now: SystemTime) -> io::Result<()> {
        self.take_lock()?;
        self.set_aside_when_old(now)?;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_again(now)?,
        };
        if open.synced == 0 {
            open.since = now;
        }
        // After an error the file is opened again, cut to what is on disk, and the lines are written anew.
        if let Err(e) = open.file.write_all(lines).and_then(|()| open.file.sync_data()) {
            self.cut = Some(open.synced);
            return Err(e);
        }
        open.synced += lines.len() as u64;
        let full = open.synced >= self.config.max_bytes;
        self.open = Some(open);
        if full {
            // The lines are safe: whether the file can be set aside now is no concern of theirs.
            if let Err(e) = self.set_aside(now) {
                tracing::warn!("{} cannot be set aside yet: {e}", self.config.path.display());
            }
        }
        Ok(())
    }

    /// Sets the file aside once it is `max_age` old, if there is a line in it; also one that was there before the start.
    pub(super) fn set_aside_when_old(&mut self, now: SystemTime) -> io::Result<()> {
        if self.open.is_none() && self.config.path.exists() {
            self.take_lock()?;
            self.open = Some(self.open_again(now)?);
        }
        let is_old = |open: &Open| open.synced > 0 && age(open.since, now) >= self.config.max_age;
        if self.open.as_ref().is_some_and(is_old) { self.set_aside(now) } else { Ok(()) }
    }

    /// Gives the file free for another writer.
    pub(super) fn close(&mut self) {
        self.open = None;
        self.lock = None;
        self.closed = true;
    }

    fn take_lock(&mut self) -> io::Result<()> {
        if self.closed {
            return Err(io::Error::other("its sink was stopped"));
        }
        if self.lock.is_some() {
            return Ok(());
        }
        let mut name = self.config.path.as_os_str().to_owned();
        name.push(".lock");
        let lock = File::options().create(true).append(true).open(PathBuf::from(name))?;
        match lock.try_lock() {
            Ok(()) => {
                self.lock = Some(lock);
                Ok(())
            }
            Err(fs::TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process writes this file"))
            }
            Err(fs::TryLockError::Error(e)) => Err(e),
        }
    }

    fn open_again(&mut self, now: SystemTime) -> io::Result<Open> {
        let path = &self.config.path.clone();
        let mut file = File::options().create(true).read(true).append(true).open(path)?;
        let found = file.metadata()?;
        let synced = match self.cut {
            Some(synced) => synced.min(found.len()),
            None => recover::whole_lines(&mut file)?,
        };
        if synced < found.len() {
            tracing::warn!("{}: cut {} bytes after the last whole line", path.display(), found.len() - synced);
            file.set_len(synced)?;
        }
        // What is kept counts as being there from now on.
        file.sync_all()?;
        compress::sync_directory(path)?;
        self.cut = None;
        for left in compress::left_over(path)? {
            self.compress(left);
        }
        Ok(Open { file, synced, since: found.created().or_else(|_| found.modified()).unwrap_or(now) })
    }

    /// Gives the file, all of which is synced, the name it keeps.
    fn set_aside(&mut self, now: SystemTime) -> io::Result<()> {
        let path = &self.config.path;
        let stamp = stamp(now);
        let aside = (0..10_000).map(|n| numbered(path, &stamp, n)).find(|name| is_free(name)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::AlreadyExists, "too many files were set aside within one second")
        })?;
        fs::rename(path, &aside)?;
        self.open = None;
        compress::sync_directory(path)?;
        self.compress(aside);
        Ok(())
    }

    /// In the background: it is no part of delivering.
    fn compress(&self, path: PathBuf) {
        let (compression, turn) = (self.config.compression, self.compressing.clone());
        if compression == FileCompression::None {
            return;
        }
        let work = move || {
            let _turn = turn.lock();
            if let Err(e) = compress::compress(&path, compression) {
                tracing::warn!("{} stays uncompressed until the next start: {e}", path.display());
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(work)),
            Err(_) => work(),
        }
    }
}

fn age(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}

/// `20261121T071647Z`, UTC.
fn stamp(now: SystemTime) -> String {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(0)).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Whether this is what follows a file's name once it is set aside, uncompressed: `20261121T071647Z` or `20261121T071647Z-0002`.
pub(super) fn is_stamp(text: &str) -> bool {
    let (time, number) = text.split_once('-').unwrap_or((text, "0"));
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "00000000T000000Z" && number.parse::<u32>().is_ok()
}

fn numbered(path: &Path, stamp: &str, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(if n == 0 { format!(".{stamp}") } else { format!(".{stamp}-{n:04}") });
    PathBuf::from(name)
}

/// Neither this file nor what it becomes.
fn is_free(path: &Path) -> bool {
    ["", ".gz", ".zst"].iter().all(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        !Path::new(&name).exists()
    })
}
