//! Inputs that are no files: standard input and the journal, each read by a thread of its own into a [`spool`].
//!
//! Neither can be read again from an offset of ours (a pipe) or cheaply (the journal). So what comes is first written into
//! files, and the engine tails these with its ordinary identities, limits, back-pressure and checkpoints.

mod cursor;
mod entry;
mod journal;
mod spool;
mod stdin;

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use logmill_config::agent::{AgentConfig, Input};
use logmill_daemon::{Health, Pulse, Throttle, context::Context};
use logmill_disk::Disk;
use prometheus::IntCounter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{AgentError, clock::Now, metrics::Metrics, wake::Waker};
use spool::Writer;

pub(crate) use entry::{Spooled, spooled, text};
pub(crate) use journal::{longest, preview};
pub(crate) use spool::Spool;

/// A thread tells that it lives at least so often.
const STALL: Duration = Duration::from_secs(60);
/// The spool cannot be written: tried again so often.
const RETRY: Duration = Duration::from_secs(1);

/// The spools of those inputs that have one, by the input's name.
pub(crate) type Spools = BTreeMap<String, Arc<Spool>>;

/// The feeders of all such inputs.
pub(crate) struct Feeds {
    spools: Spools,
    threads: Vec<JoinHandle<Result<(), AgentError>>>,
    stop: Arc<AtomicBool>,
}

impl Feeds {
    /// Opens the spools, whose globs become the inputs' `include`, and starts to fill them.
    pub(crate) fn start(
        config: &mut AgentConfig,
        disk: &Arc<dyn Disk>,
        reader: &Waker,
        metrics: &Metrics,
        context: &Context,
    ) -> Result<Self, AgentError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut feeds = Self { spools: Spools::new(), threads: Vec::new(), stop };
        let once = context.flags.contains("once");
        for input in &mut config.inputs {
            let Some(most) = input.source.spool_bytes() else { continue };
            let dir = dir_of(&config.state_dir, &input.name);
            let error = |source| AgentError::Spool { input: input.name.clone(), source };
            let label = [input.name.as_str()];
            let bytes = metrics.spool_bytes.with_label_values(&label);
            let spool = Spool::open(Arc::clone(disk), dir, most, reader.clone(), bytes).map_err(error)?;
            // Durable from its first segment on.
            disk.sync_dir(&config.state_dir, "state directory").map_err(error)?;
            input.include = vec![spool.glob()];
            let feeder = Feeder {
                input: input.clone(),
                once,
                stop: Arc::clone(&feeds.stop),
                lines: metrics.spooled_lines.with_label_values(&label),
                waits: metrics.spool_waits.with_label_values(&label),
                restarts: metrics.journal_restarts.with_label_values(&label),
                health: context.health.clone(),
                pulse: context.progress.watch(&format!("input {}", input.name), STALL),
                warnings: Throttle::every(Duration::from_secs(60)),
                spool: Arc::clone(&spool),
            };
            let thread = std::thread::Builder::new().name(format!("agent-{}", input.source.name()));
            let thread = thread.spawn(move || feeder.run()).map_err(AgentError::Thread)?;
            feeds.threads.push(thread);
            feeds.spools.insert(input.name.clone(), spool);
        }
        Ok(feeds)
    }

    pub(crate) fn spools(&self) -> Spools {
        self.spools.clone()
    }

    /// Has the feeders stop: none waits for anything that this does not end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.spools.values().for_each(|spool| spool.feeder.wake());
    }

    /// Waits for their end.
    pub(crate) fn join(self) -> Result<(), AgentError> {
        self.stop();
        // Who panicked has said so in the log.
        self.threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(()))).fold(Ok(()), Result::and)
    }
}

/// Where an input's spool is.
pub(crate) fn dir_of(state_dir: &Path, input: &str) -> PathBuf {
    // Names are letters, digits and ".-_": only these are no names of directories.
    let name = if matches!(input, "." | "..") { format!("{input}_") } else { input.to_owned() };
    state_dir.join("spool").join(name)
}

/// What each of these threads has.
struct Feeder {
    input: Input,
    /// To end when all that is there was read.
    once: bool,
    stop: Arc<AtomicBool>,
    lines: IntCounter,
    waits: IntCounter,
    restarts: IntCounter,
    health: Health,
    pulse: Pulse,
    warnings: Throttle,
    spool: Arc<Spool>,
}

impl Feeder {
    fn run(&self) -> Result<(), AgentError> {
        self.well();
        if self.input.source.is_journal() {
            self.journal();
            return Ok(());
        }
        self.stdin().map_err(|source| AgentError::StandardInput { input: self.input.name.clone(), source })
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits until one of `fds` can be read, somebody wakes the feeder, or `deadline` is there; which can be read.
    fn wait<const N: usize>(&self, fds: [BorrowedFd<'_>; N], deadline: Option<Instant>) -> [bool; N] {
        let timeout = deadline.map(|deadline| {
            let wait = deadline.saturating_duration_since(Now::read().mono);
            Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(3600), tv_nsec: wait.subsec_nanos().into() }
        });
        self.pulse.waiting();
        let waker = self.spool.feeder.as_fd();
        let mut all: Vec<PollFd<'_>> =
            fds.iter().chain([&waker]).map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        // An interrupted wait is only a shorter one.
        let _ = poll(&mut all, timeout.as_ref());
        self.spool.feeder.clear();
        self.pulse.working();
        // The end and an error are told by reading.
        std::array::from_fn(|at| all.get(at).is_some_and(|fd| !fd.revents().is_empty()))
    }

    /// Waits for so long; false when the feeder is to stop.
    fn rest(&self, time: Duration) -> bool {
        let deadline = Now::read().mono + time;
        while !self.stops() && Now::read().mono < deadline {
            self.wait([], Some(deadline));
        }
        !self.stops()
    }

    /// Waits for room in the spool; false when the feeder is to stop.
    fn room(&self, writer: &mut Writer) -> bool {
        if self.spool.has_room() {
            return !self.stops();
        }
        self.waits.inc();
        self.spool.doing("waits for room in the spool");
        // What only a seal keeps from being removed must not be waited for.
        if writer.is_due() {
            self.durable(writer);
            writer.seal();
        }
        while !self.stops() && !self.spool.has_room() {
            self.wait([], None);
        }
        !self.stops()
    }

    /// Writes until it is written; false when the feeder is to stop before.
    fn write(&self, writer: &mut Writer, bytes: &[u8]) -> bool {
        let mut failed = false;
        loop {
            match writer.write(bytes, Now::read().unix_ms) {
                Ok(()) => {
                    if failed {
                        self.well();
                    }
                    return true;
                }
                Err(error) => {
                    failed = true;
                    self.ill("cannot write the spool", &error);
                }
            }
            if !self.rest(RETRY) {
                return false;
            }
        }
    }

    /// Makes durable what was written. A failed sync is not repeated and believed: the segment is left as it is; false then.
    fn durable(&self, writer: &mut Writer) -> bool {
        match writer.sync() {
            Ok(()) => true,
            Err(error) => {
                self.ill("cannot make the spool durable", &error);
                writer.seal();
                false
            }
        }
    }

    fn ill(&self, what: &str, error: &io::Error) {
        let words = format!("{what}: {error}");
        if self.warnings.pass().is_some() {
            tracing::warn!(input = self.input.name, directory = %self.spool.dir().display(), "{words}");
        }
        self.spool.doing(&words);
        self.health.set(&self.part(), Err(words));
    }

    fn well(&self) {
        self.health.set(&self.part(), Ok(()));
    }

    fn part(&self) -> String {
        format!("input {}", self.input.name)
    }
}
