//! The systemd journal into its spool, by a journalctl that follows it: no library of systemd's is needed.
//!
//! An entry is a line of JSON with its cursor. A start goes on at the cursor of the last entry that is in the spool for
//! sure; what is read twice has the same id. `--cursor` and not `--after-cursor`: where the entry itself is gone by then,
//! the latter would pass over the one that follows it.

use std::{
    io,
    os::fd::AsFd,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use logmill_config::agent::{Input, ReadFrom, Source};

use super::{
    Feeder,
    cursor::{self, Saved},
    entry,
    spool::Writer,
};
use crate::{clock::Now, record::JOURNAL_FIELDS};

const PROGRAM: &str = "journalctl";
const CHUNK: usize = 64 << 10;
/// What was written is made durable, and the cursor with it, so often. Where the machine's run cannot be told (systemd's
/// `ProcSubset=pid`), a kill has so much read again, with the same ids.
const SYNC: Duration = Duration::from_secs(2);
/// Between the end of a journalctl and the next one; doubled while none of them gives an entry.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(60);
/// A stop that is under way is known by then.
const SOON: Duration = Duration::from_millis(200);
/// From the end of its output to its own.
const LINGER: Duration = Duration::from_secs(5);
/// Of fields beside the message.
const OTHERS: usize = 64 << 10;

/// Bytes of the longest entry's JSON: each byte of a message can take six there.
pub(crate) fn longest(max_line_bytes: u64) -> usize {
    usize::try_from(max_line_bytes.saturating_mul(6)).unwrap_or(usize::MAX >> 2).saturating_add(OTHERS)
}

/// The newest entries, one line each.
///
/// # Errors
/// There is no journalctl, or it fails.
pub(crate) fn preview(input: &Input, count: usize) -> io::Result<Vec<String>> {
    let mut arguments = arguments(input, None, true);
    arguments.push(format!("--lines={count}"));
    let output = Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().map_err(explained)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("journalctl ended with {}: {}", output.status, said.trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter(|line| entry::cursor(line).is_some()).map(str::to_owned).collect())
}

fn arguments(input: &Input, cursor: Option<&str>, once: bool) -> Vec<String> {
    let mut arguments: Vec<String> = ["--output=json", "--all", "--no-pager"].map(str::to_owned).into();
    arguments.extend(of_this_machine());
    arguments.push(format!("--output-fields={}", JOURNAL_FIELDS.join(",")));
    if !once {
        // Following shows the last ten entries otherwise.
        arguments.extend(["--follow", "--no-tail"].map(str::to_owned));
    }
    arguments.extend(cursor.map(|cursor| format!("--cursor={cursor}")));
    if let Source::Journal { units, priority, .. } = &input.source {
        arguments.extend(units.iter().map(|unit| format!("--unit={unit}")));
        arguments.extend(priority.map(|priority| format!("--priority={priority}")));
    }
    arguments
}

/// Following shows the machine's present run alone, unless it merges what there is; of that then this machine's.
fn of_this_machine() -> Vec<String> {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = Some(id.trim()).filter(|id| id.len() == 32);
    ["--merge".to_owned()].into_iter().chain(id.map(|id| format!("_MACHINE_ID={id}"))).collect()
}

fn explained(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::NotFound {
        return error;
    }
    io::Error::new(error.kind(), "journalctl is not in PATH, which reading the journal needs (it comes with systemd)")
}

/// How a journalctl's work ended.
enum End {
    /// The feeder is to stop.
    Stopped,
    /// It ended by itself.
    Itself(ExitStatus),
    /// The spool cannot be believed: to be read again from the last cursor that is durable.
    Again,
}

impl Feeder {
    pub(super) fn journal(&self) {
        let mut follower = Follower {
            feeder: self,
            writer: Writer::new(Arc::clone(&self.spool)),
            boot: cursor::boot(),
            cursor: None,
            saved: None,
            resumed: false,
            line: Vec::new(),
            skips: false,
            batch: Vec::new(),
            next_sync: None,
        };
        let mut wait = FIRST_WAIT;
        let mut entries = self.lines.get();
        while !self.stops() {
            let end = follower.session();
            follower.settle();
            if std::mem::replace(&mut entries, self.lines.get()) < self.lines.get() {
                wait = FIRST_WAIT;
            }
            let (what, error) = match end {
                Ok(End::Stopped) => break,
                Ok(End::Itself(status)) if self.once && status.success() => {
                    follower.writer.seal();
                    self.spool.doing("at the end of the journal");
                    return self.spool.end();
                }
                Ok(End::Again) => continue,
                Ok(End::Itself(status)) => ("journalctl ended", io::Error::other(status.to_string())),
                Err(error) => ("cannot read the journal", error),
            };
            // Who stops the agent's unit stops journalctl too, maybe before.
            if !self.rest(SOON) {
                break;
            }
            self.restarts.inc();
            self.ill(what, &error);
            self.rest(wait);
            wait = LAST_WAIT.min(wait * 2);
        }
        follower.writer.seal();
    }
}

struct Follower<'a> {
    feeder: &'a Feeder,
    writer: Writer,
    boot: String,
    /// Of the last entry in the spool.
    cursor: Option<String>,
    /// The one that is durable.
    saved: Option<String>,
    /// What the spool and the file say was taken over.
    resumed: bool,
    /// What came of the line that is not ended.
    line: Vec<u8>,
    /// That line is too long; its rest is passed over.
    skips: bool,
    batch: Vec<u8>,
    next_sync: Option<Instant>,
}

impl Follower<'_> {
    /// One journalctl from its start to its end.
    fn session(&mut self) -> io::Result<End> {
        if !self.resumed {
            if !self.resume()? {
                return Ok(End::Stopped);
            }
            self.resumed = true;
        }
        (self.skips, self.next_sync) = (false, None);
        self.line.clear();
        let input = &self.feeder.input;
        let mut child = Journalctl::start(&arguments(input, self.cursor.as_deref(), self.feeder.once))?;
        self.feeder.well();
        self.feeder.spool.doing("follows the journal");
        let mut chunk = vec![0; CHUNK];
        loop {
            if !self.feeder.room(&mut self.writer) {
                return Ok(End::Stopped);
            }
            if self.next_sync.is_some_and(|at| Now::read().mono >= at) && !self.settle() {
                return Ok(End::Again);
            }
            match child.read(self.feeder, &mut chunk, self.next_sync)? {
                None => {}
                Some(0) => return child.end(self.feeder).map(End::Itself),
                Some(read) if self.take(&chunk[..read]) => {}
                Some(_) => return Ok(if self.feeder.stops() { End::Stopped } else { End::Again }),
            }
        }
    }

    /// Finds out where to go on; at the very first start where to begin, which is then written down. False when the feeder
    /// is to stop before that.
    fn resume(&mut self) -> io::Result<bool> {
        let spool = Arc::clone(&self.feeder.spool);
        match cursor::load(spool.disk(), spool.dir())? {
            Some(saved) => {
                let same_run = !saved.boot.is_empty() && saved.boot == self.boot;
                let last = if same_run { self.last_spooled()? } else { None };
                self.cursor = last.or(saved.cursor);
            }
            None if self.feeder.input.read_from == ReadFrom::Beginning => {}
            None => {
                // Of all entries, so that there is one: those of the input's units may come later.
                let last = ["--lines=1", "--output=json", "--output-fields=PRIORITY", "--no-pager", "--quiet"];
                let mut child = Journalctl::start(&[&last.map(str::to_owned)[..], &of_this_machine()].concat())?;
                let (mut text, mut chunk) = (Vec::new(), vec![0; CHUNK]);
                loop {
                    match child.read(self.feeder, &mut chunk, None)? {
                        Some(0) => break,
                        // An entry of two fields is short.
                        Some(read) if text.len() < CHUNK => text.extend_from_slice(&chunk[..read]),
                        _ => {}
                    }
                    if self.feeder.stops() {
                        return Ok(false);
                    }
                }
                let status = child.end(self.feeder)?;
                if !status.success() {
                    return Err(io::Error::other(format!("journalctl ended with {status}")));
                }
                self.cursor = String::from_utf8_lossy(&text).lines().find_map(entry::cursor).map(str::to_owned);
            }
        }
        let saved = Saved { cursor: self.cursor.clone(), boot: self.boot.clone() };
        cursor::save(spool.disk(), spool.dir(), &saved)?;
        self.saved.clone_from(&self.cursor);
        Ok(true)
    }

    /// The cursor of the last whole entry in the spool, which is durable then.
    fn last_spooled(&self) -> io::Result<Option<String>> {
        let spool = &self.feeder.spool;
        let most = longest(self.feeder.input.max_line_bytes) as u64 + 1;
        for path in spool.segments().iter().rev() {
            let Some(cursor) = last_cursor(spool.disk(), path, most)? else { continue };
            return Ok(Some(cursor));
        }
        Ok(None)
    }

    /// Takes what journalctl wrote; false when it is to be ended.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        let longest = longest(self.feeder.input.max_line_bytes);
        let mut cursor = None;
        let mut entries = 0;
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let line = std::mem::take(&mut self.line);
            let (rest, after) = (&bytes[..end], &bytes[end + 1..]);
            bytes = after;
            if std::mem::take(&mut self.skips) || line.len() + rest.len() > longest {
                self.batch.extend_from_slice(entry::TOO_LONG.as_bytes());
                self.batch.push(b'\n');
                entries += 1;
                continue;
            }
            let mut line = line;
            line.extend_from_slice(rest);
            if let Some(taken) = self.entry(&line, cursor.as_deref()) {
                cursor = Some(taken);
                entries += 1;
            }
            line.clear();
            self.line = line;
        }
        if self.skips || self.line.len() + bytes.len() > longest {
            self.skips = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(bytes);
        }
        let batch = std::mem::take(&mut self.batch);
        let written = self.feeder.write(&mut self.writer, &batch);
        self.batch = batch;
        self.batch.clear();
        if !written {
            return false;
        }
        self.feeder.lines.inc_by(entries);
        if cursor.is_some() {
            self.cursor = cursor;
            self.next_sync.get_or_insert_with(|| Now::read().mono + SYNC);
        }
        if self.writer.is_due() {
            let durable = self.settle();
            self.writer.seal();
            return durable;
        }
        true
    }

    /// Puts an entry to the batch and gives its cursor; none where it is not one, or the one before it once more.
    fn entry(&mut self, line: &[u8], before: Option<&str>) -> Option<String> {
        let text = std::str::from_utf8(line).ok()?;
        let Some(cursor) = entry::cursor(text) else {
            if self.feeder.warnings.pass().is_some() {
                tracing::warn!(input = self.feeder.input.name, "journalctl wrote a line that is no entry, passed over");
            }
            return None;
        };
        if before.or(self.cursor.as_deref()) == Some(cursor) {
            return None;
        }
        let most = usize::try_from(self.feeder.input.max_line_bytes).unwrap_or(usize::MAX);
        match entry::shortened(text, most, self.feeder.input.on_long_line) {
            Some(short) => self.batch.extend_from_slice(&short),
            None => self.batch.extend_from_slice(line),
        }
        self.batch.push(b'\n');
        Some(cursor.to_owned())
    }

    /// Makes durable what is in the spool, then the cursor; false when the former failed and is to be read again.
    fn settle(&mut self) -> bool {
        self.next_sync = None;
        if !self.feeder.durable(&mut self.writer) {
            self.cursor.clone_from(&self.saved);
            return false;
        }
        if self.resumed && self.cursor != self.saved {
            let spool = &self.feeder.spool;
            let saved = Saved { cursor: self.cursor.clone(), boot: self.boot.clone() };
            match cursor::save(spool.disk(), spool.dir(), &saved) {
                Ok(()) => self.saved.clone_from(&self.cursor),
                // Without it more is read again.
                Err(error) => self.feeder.ill("cannot write the journal's cursor", &error),
            }
        }
        true
    }
}

/// The cursor of the last whole entry within the last `most` bytes of a segment, which is made durable for it.
fn last_cursor(disk: &dyn logmill_disk::Disk, path: &Path, most: u64) -> io::Result<Option<String>> {
    let file = disk.open(path, false)?;
    let len = file.len()?;
    let from = len.saturating_sub(most);
    let mut bytes = vec![0; usize::try_from(len - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    let text = String::from_utf8_lossy(&bytes);
    let Some(cursor) = text.lines().rev().find_map(entry::cursor) else { return Ok(None) };
    file.sync_data("spool")?;
    Ok(Some(cursor.to_owned()))
}

/// A running journalctl; it ends with this.
struct Journalctl(Child);

impl Journalctl {
    /// What it complains of goes where the agent's own log goes.
    fn start(arguments: &[String]) -> io::Result<Self> {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().map(Self).map_err(explained)
    }

    /// What it wrote, 0 at the end; none when there was nothing until `deadline`, or the feeder was woken.
    fn read(&mut self, feeder: &Feeder, chunk: &mut [u8], deadline: Option<Instant>) -> io::Result<Option<usize>> {
        let Some(output) = &self.0.stdout else { return Ok(Some(0)) };
        if !feeder.wait([output.as_fd()], deadline)[0] {
            return Ok(None);
        }
        match rustix::io::read(output, chunk) {
            Ok(read) => Ok(Some(read)),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits a little for its end, then makes it end.
    fn end(&mut self, feeder: &Feeder) -> io::Result<ExitStatus> {
        let deadline = Now::read().mono + LINGER;
        while Now::read().mono < deadline && !feeder.stops() {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            feeder.wait([], Some(Now::read().mono + Duration::from_millis(20)));
        }
        self.0.kill()?;
        self.0.wait()
    }
}

impl Drop for Journalctl {
    fn drop(&mut self) {
        // Ended already, mostly.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
