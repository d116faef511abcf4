//! The reading thread: decides what is read when, and keeps the checkpoint behind what is acknowledged.
//!
//! One thread owns everything here. A turn of its loop takes delivery reports and notify events, looks at woken files,
//! writes down what time decided (once for all of them, synced), then reads a block of each file that has bytes.

mod admit;
mod archive;
mod copy;
mod cpu;
mod emit;
mod fed;
mod finish;
mod look;
mod lost;
mod narrow;
mod read;
mod refusal;
mod relimit;
mod reports;
mod restore;
mod slots;
mod status;
mod succession;
#[cfg(test)]
mod tests;
mod timers;
mod waiting;

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet, VecDeque},
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use logmill_config::agent::{AgentConfig, Input};
use logmill_daemon::{Health, Pulse, Throttle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    AgentError,
    checkpoint::{Entry, Log, Opened, Since},
    clock::{Now, cpu_time},
    discover::{Change, Patterns, Watcher},
    feed::{Spool, Spools},
    frame::{Content, Framing},
    identity::fingerprint,
    ledger::Ledger,
    limit::Limits,
    metrics::Metrics,
    produce::{Delivery, Producer},
    record::{Encoder, Parser, PathFields, Topics},
    status::Desk,
    transform::Transform,
    wake::Waker,
};
use slots::Slots;
use succession::Succession;

pub(crate) use relimit::NewLimits;

/// One read's size at most, and so one file's turn.
const BLOCK: usize = 256 << 10;
/// Woken files are looked at no more often, so that one sync serves many of them.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// Positions are written this often while they move.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);
/// A file system's clock may be this much behind.
const CLOCK_SLACK_MS: i64 = 1000;
/// What waits for Kafka while lines come one by one; more is a stream, whose requests are better few and large.
const LONE: u64 = 64 << 10;
/// Blocks read between two looks at reports and events.
const TURNS: usize = 8;

/// What the engine needs from outside, beside its producer.
pub(crate) struct Surroundings {
    pub(crate) host_id: String,
    /// `host.name` of records.
    pub(crate) host_name: String,
    pub(crate) waker: Waker,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    /// Beats with each turn of the loop.
    pub(crate) pulse: Pulse,
    /// A later configuration whose limits are to be applied.
    pub(crate) relimit: NewLimits,
    /// Questions about files.
    pub(crate) desk: Desk,
    /// To end when all files are read to their end.
    pub(crate) once: bool,
    /// Of inputs that are no files.
    pub(crate) spools: Spools,
}

/// An input with what was made of its configuration.
struct InputState {
    config: Input,
    /// Where its files are, if they are no others.
    spool: Option<Arc<Spool>>,
    patterns: Patterns,
    framing: Framing,
    parser: Parser,
    path_fields: PathFields,
    /// Where fields decide the topic.
    topics: Option<RefCell<Topics>>,
    /// Its program, where it has one.
    transform: Option<RefCell<Transform>>,
    /// Limits shared by all its files.
    shared_limits: Limits,
    /// It was never started before: `read_from` counts.
    first_start: bool,
    /// Files born from then on are owed in full.
    since: Since,
    refusal: refusal::Refusal,
    sizes: narrow::Sizes,
}

pub(crate) struct Engine<P> {
    config: AgentConfig,
    around: Surroundings,
    inputs: Vec<InputState>,
    /// Limits shared by all files of all inputs.
    shared_limits: Limits,
    producer: P,
    log: Log,
    opened: Opened,
    watcher: Watcher,
    slots: Slots,
    ledger: Ledger,
    /// Lines read: acknowledged, dropped or in flight.
    lines_read: u64,
    /// Those since the start that were not estimated.
    lines_seen: u64,
    bytes_read: u64,
    hole_bytes: u64,
    /// What deleted files hold on disk.
    deleted_bytes: u64,
    next_id: u64,
    in_flight_bytes: u64,
    /// To be looked at, to be read.
    look: VecDeque<usize>,
    read: VecDeque<usize>,
    /// Entries that must be durable before the next read.
    pending: Vec<Entry>,
    /// Files are forgotten by pending entries.
    forgot: bool,
    /// Slots whose position moved.
    moved: Vec<usize>,
    /// Slots of segments that may be removed from their spool.
    spent: Vec<usize>,
    timers: timers::Timers,
    /// The producer takes no more until some reports came.
    full: bool,
    /// The checkpoint could not be written.
    no_space: bool,
    space_warnings: Throttle,
    cpu: cpu::CpuCap,
    /// Nothing is read before, for the sake of the CPU cap.
    capped_until: Option<Instant>,
    /// The producer took records since it was told that none follow.
    unhurried: bool,
    /// The producer is to be replaced.
    renew: bool,
    /// Producers that broke since the last acknowledgement, and when the next one may be started.
    broken: u32,
    next_renewal: Instant,
    next_look: Instant,
    next_checkpoint: Instant,
    next_scan: Instant,
    scan_soon: bool,
    /// How many scans there were.
    scans: u64,
    /// Names that files had when they matched, by the names they were given since.
    origins: HashMap<PathBuf, PathBuf>,
    /// Which file is read before which.
    succession: Succession,
    /// Generations that were truncated away, by the name they had.
    replaced: HashMap<PathBuf, copy::Original>,
    /// All files that were there shortly before this time are known, milliseconds since 1970.
    unseen_since_ms: i64,
    /// Slots and numbers of files that were gone at the start and that compressed files may go on from.
    awaited: Vec<(usize, u64)>,
    /// Inodes and births of compressed files that are not to be read.
    foreign: HashSet<(u64, i64)>,
    /// The latest turn's wall clock.
    now_ms: i64,
    /// The first scan is not done.
    beginning: bool,
    scan_not_before: Instant,
    /// Not to be tailed: what the agent's own log goes to; and the state directory.
    own_logs: Vec<(u64, u64)>,
    state_dir_key: (u64, u64),
    warned: HashMap<PathBuf, Instant>,
    scan_warnings: Throttle,
    last_acknowledged: Instant,
    // Reused buffers.
    block: Vec<u8>,
    scratch: Vec<u8>,
    key: Vec<u8>,
    gate_key: Vec<u8>,
    topic: String,
    encoder: Encoder,
    content: Content,
    deliveries: Vec<Delivery>,
    changes: Vec<Change>,
    read_time: (i64, String),
}

impl<P: Producer> Engine<P> {
    pub(crate) fn new(
        config: AgentConfig,
        around: Surroundings,
        (log, opened): (Log, Opened),
        producer: P,
        now: Now,
    ) -> Result<Self, AgentError> {
        let state_error = |source| AgentError::StateDir { path: config.state_dir.clone(), source };
        if opened == Opened::Damaged {
            tracing::warn!(
                checkpoint = %log.path().display(),
                "the checkpoint is damaged: files it does not know are read from their beginning, already delivered lines keep their ids"
            );
        }
        let inputs = config.inputs.iter().map(|input| InputState::new(input, &around.spools, &log, opened, now));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let longest = inputs.iter().map(|i| i.framing.longest()).max().unwrap_or(0);
        let state_dir_key = admit::key_of_path(&config.state_dir).map_err(state_error)?;
        let ledger = log.state().ledger;
        Ok(Self {
            shared_limits: relimit::shared(&config.limits),
            slots: Slots::new(config.max_open_files),
            ledger,
            lines_read: ledger.finished(),
            lines_seen: 0,
            bytes_read: 0,
            hole_bytes: 0,
            deleted_bytes: 0,
            next_id: log.state().next_id,
            in_flight_bytes: 0,
            look: VecDeque::new(),
            read: VecDeque::new(),
            pending: Vec::new(),
            unseen_since_ms: log.state().written_ms,
            forgot: false,
            moved: Vec::new(),
            spent: Vec::new(),
            timers: timers::Timers::default(),
            full: false,
            no_space: false,
            space_warnings: Throttle::every(Duration::from_secs(60)),
            cpu: cpu::CpuCap::new(config.max_cpu_percent),
            capped_until: None,
            unhurried: false,
            renew: false,
            broken: 0,
            next_renewal: now.mono,
            next_look: now.mono,
            next_checkpoint: now.mono,
            next_scan: now.mono,
            scan_soon: true,
            scans: 0,
            origins: HashMap::new(),
            succession: Succession::default(),
            replaced: HashMap::new(),
            awaited: Vec::new(),
            foreign: HashSet::new(),
            now_ms: now.unix_ms,
            beginning: true,
            scan_not_before: now.mono,
            own_logs: admit::own_logs(),
            state_dir_key,
            warned: HashMap::new(),
            scan_warnings: Throttle::every(Duration::from_secs(60)),
            last_acknowledged: now.mono,
            block: vec![0; BLOCK.max(longest + 64)],
            scratch: Vec::new(),
            key: Vec::new(),
            gate_key: Vec::new(),
            topic: String::new(),
            encoder: Encoder::default(),
            content: Content::default(),
            deliveries: Vec::new(),
            changes: Vec::new(),
            read_time: (i64::MIN, String::new()),
            watcher: Watcher::new().map_err(AgentError::Watch)?,
            config,
            around,
            inputs,
            producer,
            log,
            opened,
        })
    }

    /// Runs until the stop flag is set and what is in flight is acknowledged, or `shutdown_timeout` has nearly passed.
    pub(crate) fn run(&mut self) -> Result<(), AgentError> {
        self.begin(Now::read())?;
        while !self.around.stop.load(Ordering::Acquire) {
            self.around.pulse.working();
            self.relimit(Now::read());
            let wait = self.turn(Now::read())?;
            if self.is_finished() {
                break;
            }
            self.wait(wait);
        }
        let deadline = Now::read().mono + self.config.shutdown_timeout.mul_f32(0.8);
        loop {
            let now = Now::read();
            self.take_reports(now);
            if self.slots.nothing_in_flight() || now.mono >= deadline || self.producer.broken() {
                break;
            }
            self.wait(Duration::from_millis(50));
        }
        self.checkpoint(Now::read(), true)
    }

    /// Takes over the checkpoint's files and looks for all files there are.
    pub(crate) fn begin(&mut self, now: Now) -> Result<(), AgentError> {
        self.restore();
        self.scan(now);
        self.take_changes(now);
        if self.scan_soon || self.missing().next().is_some() {
            // What was renamed while it was looked for is found the second time.
            self.scan(now);
            self.take_changes(now);
        }
        self.forget_missing();
        self.beginning = false;
        // Last: a first start that does not get here never was.
        for input in &self.inputs {
            self.pending.push(Entry::Input(input.config.name.clone()));
            self.pending.push(Entry::Since(input.config.name.clone(), input.since));
        }
        self.write_pending()?;
        self.update_metrics();
        self.update_health(now);
        Ok(())
    }

    /// One turn; returns how long there is nothing to do unless something happens.
    pub(crate) fn turn(&mut self, now: Now) -> Result<Duration, AgentError> {
        self.now_ms = now.unix_ms;
        self.answer_questions(now);
        self.take_reports(now);
        self.renew_if_asked(now);
        self.take_changes(now);
        self.take_news(now);
        self.due_timers(now);
        if self.scan_soon && now.mono >= self.scan_not_before || now.mono >= self.next_scan {
            self.scan(now);
        }
        if !self.look.is_empty() && now.mono >= self.next_look {
            // The first of many lines goes at once; one sync and one request serve those that follow it.
            self.next_look = now.mono + LOOK_INTERVAL;
            self.slots.begin_pass();
            for slot in std::mem::take(&mut self.look) {
                self.look_at(slot, now);
            }
            self.forget_unawaited();
        }
        self.write_pending()?;
        self.remove_spent(now)?;
        for _ in 0..TURNS {
            if self.full || self.no_space || self.read.is_empty() || self.is_capped(now) {
                break;
            }
            let Some(slot) = self.read.pop_front() else { break };
            self.read_block(slot, now);
        }
        if self.read.is_empty() && !self.full && std::mem::take(&mut self.unhurried) && self.in_flight_bytes <= LONE {
            self.producer.hurry();
        }
        if now.mono >= self.next_checkpoint {
            self.checkpoint(now, false)?;
            self.next_checkpoint = now.mono + CHECKPOINT_INTERVAL;
            self.update_health(now);
        }
        Ok(self.idle_for(now))
    }

    fn idle_for(&self, now: Now) -> Duration {
        if self.renew {
            return Duration::from_secs(1);
        }
        if self.no_space {
            return Duration::from_secs(1);
        }
        let mut until = self.next_scan;
        if !self.full && !self.read.is_empty() {
            let Some(capped) = self.capped_until else { return Duration::ZERO };
            until = until.min(capped);
        }
        if self.scan_soon {
            until = until.min(self.scan_not_before);
        }
        if self.full {
            // Woken by reports; this is for a producer that says nothing.
            until = until.min(now.mono + Duration::from_secs(1));
        } else if !self.look.is_empty() {
            until = until.min(self.next_look);
        }
        if !self.moved.is_empty() {
            until = until.min(self.next_checkpoint);
        }
        if let Some(timer) = self.timers.next() {
            until = until.min(timer);
        }
        until.saturating_duration_since(now.mono)
    }

    /// Whether reading has to wait for the process's share of the CPU.
    fn is_capped(&mut self, now: Now) -> bool {
        let wait = if self.cpu.is_set() { self.cpu.wait(now.mono, cpu_time()) } else { None };
        self.capped_until = wait.map(|wait| now.mono + wait);
        wait.is_some()
    }

    /// Sleeps until a report, an event or the time has come. While files wait to be looked at or read, events can wait too.
    fn wait(&mut self, at_most: Duration) {
        if at_most.is_zero() {
            return;
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(3600),
            tv_nsec: at_most.subsec_nanos().into(),
        };
        self.around.pulse.waiting();
        let mut fds = [PollFd::new(&self.around.waker, PollFlags::IN), PollFd::new(&self.watcher, PollFlags::IN)];
        let waiting_for = if self.look.is_empty() && self.capped_until.is_none() { 2 } else { 1 };
        // An interrupted wait is only a shorter one.
        let _ = poll(&mut fds[..waiting_for], Some(&timeout));
        self.around.waker.clear();
    }

    /// Makes durable what the next records hang on; while the disk is full that waits, and so does reading.
    fn write_pending(&mut self) -> Result<(), AgentError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut entries = std::mem::take(&mut self.pending);
        if std::mem::take(&mut self.forgot) {
            // What a file had in the ledger stays when its position goes.
            entries.extend(self.moved_positions());
            entries.push(Entry::Ledger(self.ledger));
        }
        if !self.append(&entries, true)? {
            self.pending = entries;
        }
        Ok(())
    }

    /// Whether there was room.
    fn append(&mut self, entries: &[Entry], durable: bool) -> Result<bool, AgentError> {
        let path = self.log.path().to_owned();
        let written = self.log.append(entries, durable);
        let written = written.map_err(|source: io::Error| AgentError::Checkpoint { path, source })?;
        self.no_space = !written;
        if !written && self.space_warnings.pass().is_some() {
            let path = self.log.path().display();
            tracing::error!(checkpoint = %path, "no space left to write the checkpoint, nothing is read until there is");
        }
        Ok(written)
    }
}

impl InputState {
    fn new(input: &Input, spools: &Spools, log: &Log, opened: Opened, now: Now) -> Result<Self, AgentError> {
        let pattern_error = |source| AgentError::Pattern { input: input.name.clone(), source };
        let globs = fingerprint(format!("{:?} {:?}", input.include, input.exclude).as_bytes());
        let known = log.state().since.get(&input.name).filter(|since| since.globs == globs);
        // A damaged checkpoint may have forgotten any file.
        let ms = if opened == Opened::Damaged { 0 } else { now.unix_ms.saturating_sub(CLOCK_SLACK_MS) };
        Ok(Self {
            spool: spools.get(&input.name).cloned(),
            patterns: Patterns::new(input)?,
            framing: Framing::new(input).map_err(pattern_error)?,
            parser: Parser::new(input).map_err(pattern_error)?,
            path_fields: PathFields::new(input.path_fields.as_ref()).map_err(pattern_error)?,
            topics: input.topic_by.as_ref().map(|by| RefCell::new(Topics::new(by))),
            transform: Transform::open(input)?.map(RefCell::new),
            shared_limits: relimit::shared(&input.limits),
            first_start: opened != Opened::Damaged && !log.state().inputs.contains(&input.name),
            since: known.copied().unwrap_or(Since { globs, ms }),
            refusal: refusal::Refusal::default(),
            sizes: narrow::Sizes::default(),
            config: input.clone(),
        })
    }
}
