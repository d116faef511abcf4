//! Files that no agent likes: a line without end, noise, broken encodings, a directory named like a log, thousands at once, a
//! full disk below its state, a file under a deleted one's inode number, files renamed behind a mount. Each is told or counted, and files beside them lose nothing.

mod reused;

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::Room;
use crate::{
    clock,
    generate::{Dates, Plan, Writer},
    http,
    loopfs::LoopFs,
    pipeline::{Part, Pipeline, TOPIC},
    readback,
};

const STEADY_FILES: usize = 4;
const MOST_KIB: u64 = 64 << 10;
const EVERY: Duration = Duration::from_millis(200);

pub(super) async fn run(room: &Room) -> Result<String> {
    let (huge, many, steady) = if room.is_long() { (2 << 30, 20_000, 30_000) } else { (256 << 20, 3_000, 5_000) };
    let disk = LoopFs::create(&room.dir, "state", 16)?;
    let mut pipeline = Pipeline::new(&room.dir)?;
    let (state, logs, brokers) = (disk.mount.display(), pipeline.logs.clone(), &pipeline.brokers);
    let head = format!(
        "state_dir: {state}/agent\nkafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{}\"\nmax_open_files: 64\ninputs:\n",
        pipeline.port(Part::Agent)
    );
    let input = |name: &str, topic: &str, more: &str| {
        format!("  - {{ name: {name}, include: [\"{}/{name}/**/*.log\"], topic: {topic}{more} }}\n", logs.display())
    };
    let inputs = [input("steady", TOPIC, ""), input("odd", "odd", ""), input("gbk", "odd", ", encoding: gbk")];
    std::fs::write(pipeline.yaml(Part::Agent), head + &inputs.concat())?;
    for dir in ["odd/dir.log", "gbk", "odd/many"] {
        std::fs::create_dir_all(logs.join(dir))?;
    }
    pipeline.start(Part::Broker).await?;
    pipeline.start(Part::Agent).await?;
    let writer = Writer::start(Plan {
        dir: logs.join("steady"),
        files: STEADY_FILES,
        lines_per_file: steady / STEADY_FILES as u64,
        rotate_every: 300,
        rate: steady / 20,
        dates: Dates::Now,
    });
    let mut odd = Odd { pipeline: &mut pipeline };

    std::fs::write(logs.join("odd/dir.log/inner.log"), "in a directory named like a log\n")?;
    std::fs::write(logs.join("gbk/broken.log"), b"\xc4\xe3\xba\xc3 \xff\xff broken\n\x80\n")?;
    std::fs::write(logs.join("odd/utf8.log"), b"\xed\xa0\x80 \xf8\x88 broken\n")?;
    odd.arrive(4).await.context("encodings, and a directory named like a log")?;

    let mut rng = fastrand::Rng::with_seed(11);
    // No zeros, which would be holes, and no carriage returns, which end lines with newlines.
    let noise: Vec<u8> =
        (0..1 << 20).map(|_| rng.u8(1..)).map(|byte| if byte == b'\r' { b' ' } else { byte }).collect();
    let lines = noise.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
    std::fs::write(logs.join("odd/noise.log"), noise)?;
    odd.arrive(lines).await.context("noise")?;

    let start = clock::now();
    long_line(&logs.join("odd/long.log"), huge)?;
    odd.arrive(2).await.context("a long line")?;
    let long = start.elapsed().as_secs_f64();
    let peak = odd.pipeline.metric(Part::Agent, "process_anonymous_memory_bytes", &[]).await? / 1024.0;
    ensure!(peak < MOST_KIB as f64, "the agent holds {peak} KiB after a line of {} MiB", huge >> 20);

    let start = clock::now();
    for n in 0..many {
        std::fs::write(logs.join(format!("odd/many/{n}.log")), format!("first of {n}\nsecond of {n}\n"))?;
    }
    odd.arrive(2 * many).await.context("many files at once")?;
    let files = start.elapsed().as_secs_f64();

    let told = full_disk(&odd, &disk, &logs).await.context("a full disk below the state")?;
    let written = writer.join()?;
    clock::until("the steady lines", Duration::from_secs(60), EVERY, || async {
        let there = readback::topic_size(&odd.pipeline.brokers, TOPIC)?;
        ensure!(there >= written, "{there} of {written}");
        Ok(Some(()))
    })
    .await?;
    let found = readback::topic(&odd.pipeline.brokers, TOPIC, STEADY_FILES, written / STEADY_FILES as u64)?;
    found.none_missing()?;
    found.in_order()?;
    found.none_twice()?;
    ensure!(odd.pipeline.process(Part::Agent)?.ended()?.is_none(), "the agent ended");
    start_on_full_disk(&mut odd, &disk, &logs).await.context("started on a full disk")?;
    pipeline.stop_all().await?;
    let reused = reused::inodes(&room.dir.join("reused")).await.context("inode numbers used again")?;
    let shown = reused::descriptors(&room.dir.join("shown")).await.context("rotated behind a mount")?;
    Ok(format!(
        "a line of {} MiB in {long:.1} s, {lines} lines of noise, {many} files at once in {files:.1} s, {told}, {written} steady lines, \
         {reused}, {shown}",
        huge >> 20
    ))
}

struct Odd<'a> {
    pipeline: &'a mut Pipeline,
}

impl Odd<'_> {
    /// Waits until the topic of what is odd has so many records more than were finished before, and nothing is under way.
    async fn arrive(&self, lines: u64) -> Result<()> {
        // Each call counts on all calls before having been complete.
        let there = self.pipeline.dir.join("odd-records");
        let before: u64 = std::fs::read_to_string(&there).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
        clock::until("its lines", Duration::from_secs(120), EVERY, || async {
            let records = readback::topic_size(&self.pipeline.brokers, "odd")?;
            ensure!(records == before + lines, "{} of {lines} lines", records.saturating_sub(before));
            Ok(Some(()))
        })
        .await?;
        Ok(std::fs::write(there, (before + lines).to_string())?)
    }

    fn ready(&self) -> String {
        format!("http://127.0.0.1:{}/health/ready", self.pipeline.port(Part::Agent))
    }

    async fn tells_of_no_space(&self) -> Result<()> {
        clock::until("the agent to tell of it", Duration::from_secs(30), EVERY, || async {
            let unready = http::text(&self.ready()).await.err().map(|e| format!("{e:#}")).unwrap_or_default();
            ensure!(unready.contains("no space"), "it says {unready:?}");
            Ok(Some(()))
        })
        .await
    }

    async fn is_ready(&self) -> Result<()> {
        clock::until("the agent to be ready", Duration::from_secs(30), EVERY, || async {
            http::text(&self.ready()).await.map(Some)
        })
        .await?;
        Ok(())
    }
}

/// A line of so many bytes, and one after it.
fn long_line(path: &Path, bytes: u64) -> Result<()> {
    let (mut file, block) = (File::create(path)?, vec![b'x'; 1 << 20]);
    for _ in 0..bytes >> 20 {
        file.write_all(&block)?;
    }
    Ok(file.write_all(b"\nafter it\n")?)
}

/// Nothing is read while the agent cannot write down what it reads; it says so, lives on, and goes on when there is room.
async fn full_disk(odd: &Odd<'_>, disk: &LoopFs, logs: &Path) -> Result<String> {
    let filler = fill(disk)?;
    // More than fits into the last block of the checkpoint.
    for n in 0..200 {
        std::fs::write(logs.join(format!("odd/full-{n}.log")), format!("on a full disk {n}\n"))?;
    }
    odd.tells_of_no_space().await?;
    std::fs::remove_file(filler)?;
    odd.arrive(200).await?;
    odd.is_ready().await?;
    Ok("a full disk told and waited for".to_owned())
}

/// The same where the agent finds the disk full when it starts.
async fn start_on_full_disk(odd: &mut Odd<'_>, disk: &LoopFs, logs: &Path) -> Result<()> {
    odd.pipeline.stop(Part::Agent).await?;
    let filler = fill(disk)?;
    std::fs::write(logs.join("odd/meanwhile.log"), "written meanwhile\n")?;
    odd.pipeline.start(Part::Agent).await?;
    odd.tells_of_no_space().await?;
    std::fs::remove_file(filler)?;
    odd.arrive(1).await?;
    odd.is_ready().await
}

/// Takes all room there is.
fn fill(disk: &LoopFs) -> Result<PathBuf> {
    let filler = disk.mount.join("filler");
    let mut file = File::create(&filler)?;
    for block in [1 << 20, 1 << 12, 1] {
        let bytes = vec![1; block];
        while file.write_all(&bytes).is_ok() {}
    }
    Ok(filler)
}
