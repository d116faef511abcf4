//! Real logrotate on files that are written meanwhile, one file for each of its schemes. In some rounds the agent or the broker is
//! dead while it rotates.

use std::{
    collections::HashSet,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{
    arrivals::Arrivals,
    schemes::{Hears, SCHEMES, Scheme},
};
use crate::{
    background::Background,
    clock,
    generate::{self, Dates},
    pipeline::Part,
    process,
    readback::Generated,
};

/// Lines that each file has more in each round, at least.
const LINES: u64 = 400;

pub(super) async fn run(dir: &Path, rounds: usize) -> Result<String> {
    let ordered = SCHEMES.map(|scheme| scheme.keeps_order());
    let (mut pipeline, arrivals) = super::stage(dir, &ordered).await?;
    let (logs, marks) = (pipeline.logs.clone(), dir.join("marks"));
    std::fs::create_dir(&marks)?;
    let sections: String = SCHEMES.iter().map(|scheme| scheme.section(&logs, &marks)).collect();
    std::fs::write(dir.join("logrotate.conf"), sections)?;
    let writer = Writer::start(&logs, &marks);
    for round in 0..rounds {
        // Round by round: alive, the agent dead, alive, the broker dead.
        let dead = [None, Some(Part::Agent), None, Some(Part::Broker)][round % 4];
        writer.grown().await?;
        // A generation that is copied and truncated before anything of it was read is lost to any reader.
        caught_up(&writer.lines(), &arrivals).await?;
        if let Some(part) = dead {
            pipeline.kill(part)?;
            writer.grown().await?;
        }
        rotate(dir).await.with_context(|| format!("round {round}"))?;
        if let Some(part) = dead {
            writer.grown().await?;
            pipeline.start(part).await?;
        }
    }
    writer.grown().await?;
    let written = writer.join()?;
    // What logrotate itself lost is nowhere on the disk.
    let lost: Vec<HashSet<u64>> = SCHEMES
        .iter()
        .zip(&written)
        .map(|(scheme, end)| match scheme.hears {
            Hears::Nothing => on_disk(&logs, scheme.name).map(|kept| (0..*end).filter(|n| !kept.contains(n)).collect()),
            _ => Ok(HashSet::new()),
        })
        .collect::<Result<_>>()?;
    let missing = |file: usize, end: u64| -> Vec<u64> {
        arrivals.missing(file, 0..end).into_iter().filter(|seq| !lost[file].contains(seq)).collect()
    };
    let names: Vec<_> = SCHEMES.iter().enumerate().map(|(n, scheme)| format!("{n} {}", scheme.name)).collect();
    super::settled(&pipeline, &written, missing).await.with_context(|| format!("files: {}", names.join(", ")))?;
    super::finish(pipeline, &arrivals).await?;
    let lost: usize = lost.iter().map(HashSet::len).sum();
    let total: u64 = written.iter().sum();
    Ok(format!("logrotate {rounds} times over {} schemes: {total} lines, {lost} lost by it", SCHEMES.len()))
}

/// Waits until what is written by now has been read, but for what logrotate lost.
async fn caught_up(written: &[u64], arrivals: &Arrivals) -> Result<()> {
    clock::until("the agent to catch up", Duration::from_secs(60), Duration::from_millis(20), || async {
        let behind =
            written.iter().enumerate().find(|(file, end)| arrivals.last(*file).is_none_or(|last| last + 1 < **end));
        ensure!(behind.is_none(), "file and lines: {behind:?}");
        Ok(Some(()))
    })
    .await
}

async fn rotate(dir: &Path) -> Result<()> {
    let (state, configuration) = (dir.join("logrotate.state"), dir.join("logrotate.conf"));
    let args = ["-f", "-s", &state.to_string_lossy(), &configuration.to_string_lossy()];
    let (code, out, err) = process::run(Path::new("/usr/sbin/logrotate"), &args, dir, Duration::from_secs(60)).await?;
    ensure!(code == 0 && !err.contains("error"), "logrotate ended with {code}: {out}{err}");
    Ok(())
}

/// Writes all files in turn until it is told to stop.
struct Writer {
    written: Arc<Vec<AtomicU64>>,
    work: Background,
}

impl Writer {
    fn start(logs: &Path, marks: &Path) -> Self {
        let written: Arc<Vec<AtomicU64>> = Arc::new(SCHEMES.iter().map(|_| AtomicU64::new(0)).collect());
        let count = Arc::clone(&written);
        let (logs, marks) = (logs.to_owned(), marks.to_owned());
        Self { written, work: Background::start(move |stop| write(&logs, &marks, &count, stop)) }
    }

    fn lines(&self) -> Vec<u64> {
        self.written.iter().map(|n| n.load(Ordering::SeqCst)).collect()
    }

    /// Waits until each file has more lines, and a second has passed since its names have it.
    async fn grown(&self) -> Result<()> {
        let before = self.lines();
        let second = clock::epoch_ms() / 1000;
        clock::until("lines in all files", Duration::from_secs(60), Duration::from_millis(10), || async {
            ensure!(!self.work.finished(), "the writer has ended");
            let grown = self.lines().iter().zip(&before).all(|(now, before)| *now >= before + LINES);
            Ok((grown && clock::epoch_ms() / 1000 > second).then_some(()))
        })
        .await
    }

    fn join(self) -> Result<Vec<u64>> {
        let written = Arc::clone(&self.written);
        self.work.stop();
        self.work.join()?;
        Ok(written.iter().map(|n| n.load(Ordering::SeqCst)).collect())
    }
}

fn write(logs: &Path, marks: &Path, written: &[AtomicU64], stop: &AtomicBool) -> Result<()> {
    let path = |scheme: &Scheme| logs.join(format!("{}.log", scheme.name));
    let mark = |scheme: &Scheme, what: &str| marks.join(format!("{}.{what}", scheme.name));
    let mut files = SCHEMES.iter().map(|scheme| open(&path(scheme))).collect::<Result<Vec<File>>>()?;
    let mut text = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        for (number, scheme) in SCHEMES.iter().enumerate() {
            match scheme.hears {
                Hears::Reopens if mark(scheme, "reopen").exists() => {
                    files[number] = open(&path(scheme))?;
                    std::fs::remove_file(mark(scheme, "reopen"))?;
                }
                Hears::Waits if mark(scheme, "hold").exists() => {
                    let wait = mark(scheme, "wait");
                    if wait.exists() {
                        std::fs::remove_file(wait)?;
                    }
                    continue;
                }
                _ => {}
            }
            let next = written[number].load(Ordering::SeqCst);
            let count = 1 + next % 17;
            text.clear();
            let now = clock::epoch_ms();
            (next..next + count).for_each(|seq| generate::line(&mut text, number, seq, Dates::Now, now));
            files[number].write_all(&text)?;
            written[number].store(next + count, Ordering::SeqCst);
        }
        clock::pause(Duration::from_millis(10));
    }
    Ok(())
}

/// Lines of a file that are in it or in a copy of it.
fn on_disk(logs: &Path, name: &str) -> Result<HashSet<u64>> {
    let mut found = HashSet::new();
    for entry in std::fs::read_dir(logs)? {
        let path: PathBuf = entry?.path();
        let file = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if file.starts_with(&format!("{name}.log")) {
            let text = std::fs::read_to_string(&path)?;
            // A line that was cut by the truncation is none.
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Generated>(line).ok());
            found.extend(lines.map(|line| line.gen_seq));
        }
    }
    Ok(found)
}

fn open(path: &Path) -> Result<File> {
    Ok(File::options().create(true).append(true).open(path)?)
}
