//! Writes files and rotates them at random, by seed: rename chains and dates, a writer that goes on in the renamed file,
//! copy and truncate, compression, deletion, a new file on the same inode.
//!
//! What no agent could read is not asked for: content goes away only when all of it has arrived. Nor is it asked to
//! recognise a copy of a single line.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use super::arrivals::Arrivals;
use crate::{
    clock,
    generate::{self, Dates},
};

pub(super) const FILES: usize = 4;
/// Whether rotated files of this one are compressed: what was not read before may then come after newer lines.
pub(super) fn is_compressed(file: usize) -> bool {
    file.is_multiple_of(2)
}

/// Rotated files that are kept of each.
const KEPT: usize = 8;
/// Compressors, and the ending they give.
const COMPRESSORS: [(&str, &[&str], &str); 3] =
    [("gzip", &["-1"], ".gz"), ("zstd", &["-q", "--rm"], ".zst"), ("bzip2", &[], ".bz2")];

/// A file and what was rotated from it, the newest first.
struct Log {
    number: usize,
    path: PathBuf,
    out: File,
    next: u64,
    /// The first line that is in the file now.
    begin: u64,
    old: Vec<Old>,
}

struct Old {
    name: Name,
    ending: &'static str,
    begin: u64,
    end: u64,
}

enum Name {
    Number(u32),
    Date(u64),
}

/// Runs `steps` steps over files in `dir`; how many lines each file has then.
pub(super) fn run(dir: &Path, seed: u64, steps: usize, arrivals: &Arrivals) -> Result<Vec<u64>> {
    let mut rng = Rng::with_seed(seed);
    let mut logs = (0..FILES).map(|number| Log::new(dir, number)).collect::<Result<Vec<_>>>()?;
    let mut dates = 0;
    let mut record = File::create(dir.with_file_name("steps.txt"))?;
    for step in 0..steps {
        let log = rng.choice(&mut logs).context("no file")?;
        let begun = clock::epoch_ms();
        let result = log.step(&mut rng, &mut dates, arrivals);
        let done = result.with_context(|| format!("step {step} on {}", log.path.display()))?;
        writeln!(record, "{begun} to {} file {}: {done}, {} lines", clock::epoch_ms(), log.number, log.next)?;
        clock::pause(Duration::from_millis(rng.u64(0..15)));
    }
    Ok(logs.iter().map(|log| log.next).collect())
}

impl Log {
    fn new(dir: &Path, number: usize) -> Result<Self> {
        // One of them in a directory of its own.
        let path = match number {
            0 => dir.join("sub").join("app.log"),
            n => dir.join(generate::file_name(n)),
        };
        std::fs::create_dir_all(path.parent().context("no directory")?)?;
        Ok(Self { number, out: open(&path)?, path, next: 0, begin: 0, old: Vec::new() })
    }

    /// What was done.
    fn step(&mut self, rng: &mut Rng, dates: &mut u64, arrivals: &Arrivals) -> Result<&'static str> {
        let arrived = arrivals.whole_to(self.number);
        let all_arrived = arrived == self.next;
        match rng.u32(0..100) {
            0..55 => {
                let lines = if rng.u8(0..10) == 0 { rng.u64(1..3000) } else { rng.u64(1..200) };
                self.write(lines, rng).map(|()| "written")
            }
            55..70 => self.rename(rng, dates, arrived).map(|()| "renamed"),
            70..75 if all_arrived && self.next - self.begin > 1 => {
                self.copy_and_truncate(rng, arrived).map(|()| "copied and truncated")
            }
            75..79 if all_arrived => self.truncate().map(|()| "truncated"),
            79..82 if all_arrived => self.delete().map(|()| "deleted"),
            82..94 if is_compressed(self.number) => self.compress(rng, arrived).map(|()| "compressed"),
            94..100 => self.forget_oldest(arrived).map(|_| "oldest forgotten"),
            _ => self.write(1, rng).map(|()| "written"),
        }
    }

    /// Whole lines, in pieces that are not.
    fn write(&mut self, lines: u64, rng: &mut Rng) -> Result<()> {
        let mut text = Vec::new();
        let now = clock::epoch_ms();
        for seq in self.next..self.next + lines {
            generate::line(&mut text, self.number, seq, Dates::Now, now);
        }
        self.next += lines;
        let cut = rng.usize(0..text.len());
        self.out.write_all(&text[..cut])?;
        clock::pause(Duration::from_millis(rng.u64(0..3)));
        Ok(self.out.write_all(&text[cut..])?)
    }

    fn rename(&mut self, rng: &mut Rng, dates: &mut u64, arrived: u64) -> Result<()> {
        if self.old.len() >= KEPT && !self.forget_oldest(arrived)? {
            return Ok(());
        }
        let name = if rng.u8(0..3) == 0 {
            *dates += 1;
            Name::Date(20_260_501_000_000 + *dates)
        } else {
            self.shift()?;
            Name::Number(1)
        };
        let mut old = Old { name, ending: "", begin: self.begin, end: self.next };
        std::fs::rename(&self.path, old.path(&self.path))?;
        if rng.bool() {
            // The writer is told of it only now.
            self.write(rng.u64(1..500), rng)?;
        }
        old.end = self.next;
        self.old.insert(0, old);
        self.reopen()
    }

    /// Numbers of older files go up.
    fn shift(&mut self) -> Result<()> {
        for at in (0..self.old.len()).rev() {
            let old = &mut self.old[at];
            let from = old.path(&self.path);
            if let Name::Number(number) = &mut old.name {
                *number += 1;
                std::fs::rename(from, old.path(&self.path))?;
            }
        }
        Ok(())
    }

    fn copy_and_truncate(&mut self, rng: &mut Rng, arrived: u64) -> Result<()> {
        if self.old.len() >= KEPT && !self.forget_oldest(arrived)? {
            return Ok(());
        }
        self.shift()?;
        let old = Old { name: Name::Number(1), ending: "", begin: self.begin, end: self.next };
        std::fs::copy(&self.path, old.path(&self.path))?;
        clock::pause(Duration::from_millis(rng.u64(0..20)));
        self.old.insert(0, old);
        self.truncate()
    }

    fn truncate(&mut self) -> Result<()> {
        self.begin = self.next;
        Ok(self.out.set_len(0)?)
    }

    /// The next file may get the same inode.
    fn delete(&mut self) -> Result<()> {
        std::fs::remove_file(&self.path)?;
        self.reopen()
    }

    fn reopen(&mut self) -> Result<()> {
        self.begin = self.next;
        self.out = open(&self.path)?;
        Ok(())
    }

    /// Of files that an agent has seen: what came and was compressed within a moment is an archive like any other.
    fn compress(&mut self, rng: &mut Rng, arrived: u64) -> Result<()> {
        let plain = self.old.iter_mut().filter(|old| old.ending.is_empty() && old.begin < arrived.min(old.end));
        let mut plain: Vec<&mut Old> = plain.collect();
        let Some(old) = rng.choice(&mut plain) else { return Ok(()) };
        let (program, args, ending) = COMPRESSORS[rng.usize(0..COMPRESSORS.len())];
        let path = old.path(&self.path);
        let done = Command::new(program).args(args).arg(&path).output().with_context(|| program.to_owned())?;
        ensure!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
        old.ending = ending;
        Ok(())
    }

    /// Deletes the oldest rotated file if all of it has arrived; whether there is room for one more.
    fn forget_oldest(&mut self, arrived: u64) -> Result<bool> {
        if let Some(oldest) = self.old.pop_if(|old| old.end <= arrived) {
            std::fs::remove_file(oldest.path(&self.path))?;
        }
        Ok(self.old.len() < KEPT)
    }
}

impl Old {
    fn path(&self, live: &Path) -> PathBuf {
        match self.name {
            Name::Number(number) => PathBuf::from(format!("{}.{number}{}", live.display(), self.ending)),
            Name::Date(date) => PathBuf::from(format!("{}-{date}{}", live.display(), self.ending)),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    Ok(File::options().create(true).append(true).open(path)?)
}
