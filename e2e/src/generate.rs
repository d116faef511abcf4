//! Lines that carry (file, sequence), written to files that rotate by rename while they grow.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;

use crate::{background::Background, clock};

/// Where the odd dates go: every 1000th line of a file is dated 1971, 30 days ago or 2099.
#[derive(Clone, Copy, PartialEq)]
pub enum Dates {
    Now,
    Odd,
}

pub struct Plan {
    pub dir: PathBuf,
    pub files: usize,
    pub lines_per_file: u64,
    /// Rename to `.1`, `.2` … after this many lines; 0 never.
    pub rotate_every: u64,
    /// Lines per second over all files; 0 as fast as possible.
    pub rate: u64,
    pub dates: Dates,
}

/// A writer on its own thread.
pub struct Writer {
    /// Lines completely written so far.
    pub written: Arc<AtomicU64>,
    work: Background,
}

impl Writer {
    pub fn start(plan: Plan) -> Self {
        let written = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&written);
        Self { written, work: Background::start(move |stop| write(&plan, &count, stop)) }
    }

    pub fn lines(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    pub fn finished(&self) -> bool {
        self.work.finished()
    }

    /// Waits for the end of the plan.
    pub fn join(self) -> Result<u64> {
        self.work.join()?;
        Ok(self.written.load(Ordering::SeqCst))
    }
}

pub fn file_name(file: usize) -> String {
    format!("app-{file:02}.log")
}

/// Moves `app.log` to `app.log.1`, what was there to `.2` and so on; nothing when there is no `app.log`.
pub fn rotate(path: &Path) -> Result<()> {
    // A test and its writer may both rotate.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    if !path.exists() {
        return Ok(());
    }
    let name = |n: u32| PathBuf::from(format!("{}.{n}", path.display()));
    let mut last = 1;
    while name(last).exists() {
        last += 1;
    }
    for n in (1..last).rev() {
        std::fs::rename(name(n), name(n + 1))?;
    }
    std::fs::rename(path, name(1))?;
    Ok(())
}

/// A plain text line of 200 bytes with its newline.
pub fn raw_line(out: &mut Vec<u8>, file: usize, seq: u64, now_ms: i64) {
    let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let start = out.len();
    let _ = write!(
        out,
        "{time:.3} INFO worker-{file} request {seq} GET /cart/{} answered 200 in {} ms for session {:016x} ",
        seq % 5000,
        seq % 977,
        seq.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    );
    out.resize(start + 199, b'.');
    out.push(b'\n');
}

/// One line of about 200 bytes with its newline.
pub fn line(out: &mut Vec<u8>, file: usize, seq: u64, dates: Dates, now_ms: i64) {
    let millis = match (dates, seq % 1000) {
        (Dates::Odd, 100) => 31_536_000_000 + i64::try_from(seq).unwrap_or(0),
        (Dates::Odd, 200) => now_ms - 30 * 86_400_000,
        (Dates::Odd, 300) => 4_070_908_800_000 + i64::try_from(seq).unwrap_or(0),
        _ => now_ms,
    };
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let _ = writeln!(
        out,
        "{{\"time\":\"{time:.3}\",\"gen_file\":{file},\"gen_seq\":{seq},\"level\":\"info\",\"took_ms\":{},\
         \"message\":\"GET /cart/{} answered 200 for session {:016x} from 10.{}.{}.7\"}}",
        seq % 977,
        seq % 5000,
        seq.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        seq % 255,
        file % 255,
    );
}

fn write(plan: &Plan, written: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    std::fs::create_dir_all(&plan.dir)?;
    let paths: Vec<PathBuf> = (0..plan.files).map(|f| plan.dir.join(file_name(f))).collect();
    let mut files = paths.iter().map(|p| open(p)).collect::<Result<Vec<File>>>()?;
    let start = clock::now();
    let mut next = vec![0u64; plan.files];
    let mut buf = Vec::new();
    // Small turns keep the files growing together; paced writers make them smaller.
    let turn = if plan.rate == 0 { 200 } else { 5 };
    while next.iter().any(|n| *n < plan.lines_per_file) {
        for f in 0..plan.files {
            let count = turn.min(plan.lines_per_file - next[f]);
            if count == 0 {
                continue;
            }
            if stop.load(Ordering::SeqCst) {
                return Ok(());
            }
            let now = clock::epoch_ms();
            buf.clear();
            for seq in next[f]..next[f] + count {
                line(&mut buf, f, seq, plan.dates, now);
            }
            files[f].write_all(&buf)?;
            let before = next[f];
            next[f] += count;
            let total = written.fetch_add(count, Ordering::SeqCst) + count;
            if plan.rotate_every > 0 && before / plan.rotate_every != next[f] / plan.rotate_every {
                rotate(&paths[f])?;
                files[f] = open(&paths[f])?;
            }
            if plan.rate > 0 {
                let due = Duration::from_secs_f64(total as f64 / plan.rate as f64);
                if let Some(ahead) = due.checked_sub(start.elapsed()) {
                    clock::pause(ahead);
                }
            }
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    Ok(File::options().create(true).append(true).open(path)?)
}
