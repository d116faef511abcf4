//! Random writers and rotations of every kind by seed, between any two of which the agent looks or not, is killed or
//! not: every line is there, under one id, and where nothing is compressed in the order in which it was written.
//!
//! Content goes away only when all of it has arrived; but in every third seed files are truncated at any time, while Kafka takes
//! few lines: what was there then may be missing, late or there twice, and nothing else. `LOGMILL_ROTATION_FIRST` and `LOGMILL_ROTATION_SEEDS` choose others
//! than the usual few seeds.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::line_id::LineId;

const FILES: usize = 2;
/// Rotated files that are kept of each.
const KEPT: usize = 8;
const STEPS: usize = 200;
const SEEDS: u64 = 20;

/// A rig with a topic in which records arrive later than they are sent, and before they are acknowledged.
struct Stage {
    rig: Rig,
    rng: fastrand::Rng,
    /// Records that have arrived; those after them are gone with a kill.
    landed: usize,
    files: Vec<Arrived>,
    /// Content is truncated away at any time.
    careless: bool,
    /// Files are copied over their latest copy where all of that has arrived; not where it may have been taken for a renamed file.
    in_place: bool,
}

#[derive(Default)]
struct Arrived {
    ids: HashMap<u64, LineId>,
    /// In files that were truncated away before all of it arrived.
    lost: HashSet<u64>,
    /// All lines before it have arrived.
    whole_to: u64,
    /// The latest line that arrived for the first time.
    last: Option<u64>,
}

/// A file and what was rotated from it, the newest first.
struct Log {
    number: usize,
    out: fs::File,
    next: u64,
    /// The first line that is in the file now.
    begin: u64,
    old: Vec<Old>,
}

struct Old {
    /// A number, or a date.
    name: Result<u32, u64>,
    copied: bool,
    compressed: bool,
    begin: u64,
    end: u64,
}

fn real_ms() -> i64 {
    i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

fn is_compressed(file: usize) -> bool {
    file.is_multiple_of(2)
}

impl Stage {
    fn new(seed: u64) -> Self {
        Self {
            rig: Rig::new(),
            rng: fastrand::Rng::with_seed(seed),
            landed: 0,
            files: (0..FILES).map(|_| Arrived::default()).collect(),
            careless: seed.is_multiple_of(3),
            in_place: seed.is_multiple_of(5) && !seed.is_multiple_of(3),
        }
    }

    fn note(&self, what: String) {
        // Shown where a seed fails.
        println!("{what}");
    }

    /// The agent has time, or none.
    fn maybe(&mut self) {
        if self.careless && self.rng.u8(0..8) == 0 {
            let room = *self.rng.choice(&[1, 5, 50, usize::MAX]).unwrap();
            self.note(format!("  Kafka takes {room} lines"));
            self.rig.topic.0.borrow_mut().room = room;
        }
        match self.rng.u32(0..100) {
            0..50 => {}
            50..90 => {
                let steps = self.rng.usize(1..4);
                self.turns(steps);
            }
            90..94 => self.kill(),
            94..99 => {
                let steps = self.rng.usize(1..60);
                self.turns(steps);
            }
            _ => {
                let time = Duration::from_millis(self.rng.u64(0..3000));
                self.note(format!("  {time:?} pass"));
                self.rig.pass(time);
            }
        }
    }

    fn kill(&mut self) {
        self.land();
        self.rig.topic.0.borrow_mut().sent.truncate(self.landed);
        self.rig.kill();
        self.note("  killed".into());
        if self.rng.bool() {
            self.turns(0);
        }
    }

    fn turns(&mut self, count: usize) {
        // As files are born by it.
        self.rig.now.unix_ms = real_ms();
        if self.rig.engine.is_none() {
            self.rig.start();
        }
        for _ in 0..count {
            self.rig.now.unix_ms = real_ms();
            self.rig.steps(1);
        }
        self.land();
        let sent = self.rig.topic.0.borrow().sent.len();
        self.note(format!("  {count} turns, {} of {sent} landed", self.landed));
    }

    /// Some of what was sent arrives, and some of that is acknowledged.
    fn land(&mut self) {
        let sent = self.rig.topic.0.borrow().sent.len();
        let landed = if self.rng.u8(0..3) > 0 { sent } else { self.rng.usize(self.landed..=sent) };
        for at in self.landed..landed {
            let record = self.rig.topic.0.borrow().sent[at].clone();
            self.arrived(&record);
        }
        self.landed = landed;
        let acknowledged = sent - self.rig.topic.under_way();
        let more = landed.saturating_sub(acknowledged);
        let more = if self.rng.u8(0..3) > 0 { more } else { self.rng.usize(0..=more) };
        (0..more).for_each(|_| self.rig.topic.report(0, Outcome::Acknowledged));
    }

    fn arrived(&mut self, record: &crate::produce::memory::Record) {
        let value: Value = serde_json::from_slice(&record.value).unwrap();
        let message = value["message"].as_str().unwrap();
        let mut words = message.split(' ').map(|n| n.parse::<u64>().expect(message));
        let (number, seq) = (usize::try_from(words.next().unwrap()).unwrap(), words.next().unwrap());
        let file = &mut self.files[number];
        let known = file.ids.insert(seq, record.id);
        file.find_whole();
        if file.lost.contains(&seq) {
            // Maybe in a copy that nobody could tell from a renamed file.
            return;
        }
        if let Some(known) = known {
            assert_eq!(known, record.id, "line {seq} of file {number} again under another id");
            return;
        }
        let last = file.last.replace(seq);
        assert!(is_compressed(number) || last < Some(seq), "line {seq} of file {number} after {last:?}");
    }
}

impl Arrived {
    fn find_whole(&mut self) {
        while self.ids.contains_key(&self.whole_to) || self.lost.contains(&self.whole_to) {
            self.whole_to += 1;
        }
    }

    fn lose(&mut self, lines: std::ops::Range<u64>) {
        if self.whole_to < lines.end {
            self.lost.extend(lines);
            self.find_whole();
        }
    }
}

impl Log {
    fn live(&self) -> String {
        format!("{}.log", self.number)
    }

    fn old(&self, at: usize) -> String {
        let old = &self.old[at];
        let ending = if old.compressed { ".gz" } else { "" };
        match old.name {
            Ok(number) => format!("{}.{number}{ending}", self.live()),
            Err(date) => format!("{}-{date}{ending}", self.live()),
        }
    }

    fn new(stage: &mut Stage, number: usize) -> Self {
        stage.rig.next_birth();
        Self { number, out: open(&stage.rig.path(&format!("{number}.log"))), next: 0, begin: 0, old: Vec::new() }
    }

    fn step(&mut self, stage: &mut Stage, dates: &mut u64) {
        let arrived = stage.files[self.number].whole_to;
        let all_arrived = arrived == self.next;
        let begun = format!("file {}: {} lines, {arrived} arrived: ", self.number, self.next);
        let what = match stage.rng.u32(0..100) {
            0..55 => {
                let lines = if stage.rng.u8(0..20) == 0 { stage.rng.u64(1..1500) } else { stage.rng.u64(1..12) };
                stage.note(format!("{begun}{lines} written"));
                return self.write(stage, lines);
            }
            55..70 => "renamed",
            70..75 if (all_arrived || stage.careless) && self.next - self.begin > 1 => "copied and truncated",
            75..79 if all_arrived || stage.careless => "truncated",
            79..82 if all_arrived => "deleted",
            82..94 if is_compressed(self.number) => "compressed",
            94..100 => "oldest forgotten",
            _ => "1 written",
        };
        stage.note(format!("{begun}{what}"));
        match what {
            "renamed" => self.rename(stage, dates, arrived),
            "copied and truncated" => self.copy_and_truncate(stage, arrived),
            "truncated" => self.truncate(stage),
            "deleted" => self.delete(stage),
            "compressed" => self.compress(stage, arrived),
            "oldest forgotten" => drop(self.forget_oldest(stage, arrived)),
            _ => self.write(stage, 1),
        }
    }

    fn write(&mut self, stage: &mut Stage, lines: u64) {
        let line = |seq: u64| format!("{} {seq} {:0>150}\n", self.number, seq * 7);
        let text: String = (self.next..self.next + lines).map(line).collect();
        self.next += lines;
        let cut = stage.rng.usize(0..text.len());
        self.out.write_all(&text.as_bytes()[..cut]).unwrap();
        if stage.rng.u8(0..4) == 0 {
            let steps = stage.rng.usize(0..3);
            stage.turns(steps);
        }
        self.out.write_all(&text.as_bytes()[cut..]).unwrap();
    }

    fn rename(&mut self, stage: &mut Stage, dates: &mut u64, arrived: u64) {
        if self.old.len() >= KEPT && !self.forget_oldest(stage, arrived) {
            return;
        }
        let name = if stage.rng.u8(0..3) == 0 {
            *dates += 1;
            Err(20_260_501_000_000 + *dates)
        } else {
            self.shift(stage);
            Ok(1)
        };
        self.old.insert(0, Old { name, copied: false, compressed: false, begin: self.begin, end: self.next });
        stage.rig.rename(&self.live(), &self.old(0));
        if stage.rng.bool() {
            // The writer is told of it only now.
            stage.maybe();
            let lines = if stage.rng.bool() { stage.rng.u64(1..3) } else { stage.rng.u64(1..100) };
            stage.note(format!("  {lines} written into the renamed one"));
            self.write(stage, lines);
        }
        self.old[0].end = self.next;
        if stage.rng.u8(0..4) == 0 {
            stage.maybe();
        }
        self.reopen(stage);
    }

    /// Numbers of older files go up.
    fn shift(&mut self, stage: &mut Stage) {
        for at in (0..self.old.len()).rev() {
            let from = self.old(at);
            if let Ok(number) = &mut self.old[at].name {
                *number += 1;
                stage.rig.rename(&from, &self.old(at));
                if stage.rng.u8(0..6) == 0 {
                    stage.maybe();
                }
            }
        }
    }

    fn copy_and_truncate(&mut self, stage: &mut Stage, arrived: u64) {
        if self.old.len() >= KEPT && !self.forget_oldest(stage, arrived) {
            return;
        }
        let latest =
            self.old.iter().position(|old| old.name == Ok(1) && old.copied && !old.compressed && old.end <= arrived);
        match latest.filter(|_| stage.in_place && stage.rng.bool()) {
            Some(at) => drop(self.old.remove(at)),
            None => self.shift(stage),
        }
        self.old.insert(0, Old { name: Ok(1), copied: true, compressed: false, begin: self.begin, end: self.next });
        stage.rig.next_birth();
        fs::copy(stage.rig.path(&self.live()), stage.rig.path(&self.old(0))).unwrap();
        stage.maybe();
        self.truncate(stage);
    }

    fn truncate(&mut self, stage: &mut Stage) {
        stage.files[self.number].lose(self.begin..self.next);
        self.begin = self.next;
        self.out.set_len(0).unwrap();
    }

    fn delete(&mut self, stage: &mut Stage) {
        fs::remove_file(stage.rig.path(&self.live())).unwrap();
        if stage.rng.u8(0..4) == 0 {
            stage.maybe();
        }
        self.reopen(stage);
    }

    fn reopen(&mut self, stage: &mut Stage) {
        self.begin = self.next;
        stage.rig.next_birth();
        self.out = open(&stage.rig.path(&self.live()));
    }

    /// Files that the agent has seen.
    fn compress(&mut self, stage: &mut Stage, arrived: u64) {
        let plain = |old: &Old| !old.compressed && old.begin < arrived.min(old.end);
        let plain: Vec<usize> = (0..self.old.len()).filter(|at| plain(&self.old[*at])).collect();
        let Some(at) = stage.rng.choice(plain) else { return };
        let from = self.old(at);
        self.old[at].compressed = true;
        stage.rig.next_birth();
        let mut encoder =
            flate2::write::GzEncoder::new(open(&stage.rig.path(&self.old(at))), flate2::Compression::fast());
        encoder.write_all(&fs::read(stage.rig.path(&from)).unwrap()).unwrap();
        encoder.finish().unwrap();
        stage.maybe();
        fs::remove_file(stage.rig.path(&from)).unwrap();
    }

    /// Deletes the oldest rotated file if all of it has arrived; whether there is room for one more.
    fn forget_oldest(&mut self, stage: &mut Stage, arrived: u64) -> bool {
        if self.old.last().is_some_and(|old| old.end <= arrived) {
            fs::remove_file(stage.rig.path(&self.old(self.old.len() - 1))).unwrap();
            self.old.pop();
        }
        self.old.len() < KEPT
    }
}

fn open(path: &Path) -> fs::File {
    fs::File::options().create(true).append(true).open(path).unwrap()
}

fn run(seed: u64) {
    println!("seed {seed}");
    let mut stage = Stage::new(seed);
    stage.rig.acknowledge = false;
    stage.turns(1);
    let mut logs: Vec<Log> = (0..FILES).map(|number| Log::new(&mut stage, number)).collect();
    let mut dates = 0;
    for _ in 0..STEPS {
        let at = stage.rng.usize(0..FILES);
        logs[at].step(&mut stage, &mut dates);
        stage.maybe();
    }
    stage.note("the end".into());
    stage.rig.topic.0.borrow_mut().room = usize::MAX;
    for _ in 0..4 {
        stage.rig.acknowledge = true;
        stage.rig.settle();
        stage.rig.acknowledge = false;
        stage.rig.topic.report_all(Outcome::Acknowledged);
        stage.land();
        stage.rig.pass(Duration::from_secs(31));
    }
    while stage.landed < stage.rig.topic.0.borrow().sent.len() {
        stage.land();
    }
    let (read, ledger) = stage.rig.ledger();
    assert_eq!(read, ledger.finished(), "the ledger adds up");
    for log in &logs {
        let whole_to = stage.files[log.number].whole_to;
        assert_eq!(log.next, whole_to, "line {whole_to} of file {} is missing", log.number);
    }
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn every_line_under_one_id_and_in_order_however_files_are_rotated() {
    let first = from_environment("LOGMILL_ROTATION_FIRST", 1);
    let mut failed = Vec::new();
    for seed in first..first + from_environment("LOGMILL_ROTATION_SEEDS", SEEDS) {
        if std::panic::catch_unwind(|| run(seed)).is_err() {
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}
