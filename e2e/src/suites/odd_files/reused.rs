//! Where files lie: an ext4 gives a deleted file's inode number to the next one, FUSE a renamed file's open descriptor.

use std::{collections::HashMap, os::unix::fs::MetadataExt, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    clock,
    loopfs::{FuseFs, LoopFs},
    pipeline::{Part, Pipeline},
    readback,
};

const EVERY: Duration = Duration::from_millis(200);
const ROUNDS: u64 = 6;
/// The least that the agent takes for `max_open_files`.
const OPEN: usize = 16;
/// Lines of one step.
const LINES: u64 = 50;

/// A file is deleted and made anew under its number, while the agent runs and while it does not.
pub(super) async fn inodes(dir: &Path) -> Result<String> {
    std::fs::create_dir_all(dir)?;
    let disk = LoopFs::create(dir, "ext4", 16)?;
    let mut place = Place::new(dir, &disk.mount, "60s").await?;
    let log = disk.mount.join("app.log");
    place.append(&log)?;
    for round in 0..ROUNDS {
        let away = round % 2 == 1;
        place.arrive().await?;
        // The number is free only when the agent has other files open.
        for other in 0..=OPEN {
            place.append(&disk.mount.join(format!("other-{other}.log")))?;
        }
        place.arrive().await?;
        if away {
            place.pipeline.stop(Part::Agent).await?;
        }
        let before = std::fs::metadata(&log)?;
        std::fs::remove_file(&log)?;
        // As long as the one before, or longer.
        place.append(&log)?;
        if round % 3 == 0 {
            place.append(&log)?;
        }
        let same = std::fs::metadata(&log)?.ino() == before.ino();
        ensure!(same, "round {round}: the file got another number");
        if away {
            place.pipeline.start(Part::Agent).await?;
        }
        place.arrive().await.with_context(|| format!("round {round}"))?;
    }
    place.each_once()?;
    place.pipeline.stop_all().await?;
    Ok(format!("{ROUNDS} inode numbers used again"))
}

/// Files are renamed on the other side of a mount, and written to before and after their successors come.
pub(super) async fn descriptors(dir: &Path) -> Result<String> {
    let files = dir.join("files");
    std::fs::create_dir_all(&files)?;
    let fuse = FuseFs::create(&files, dir.join("mount"))?;
    let mut place = Place::new(dir, &fuse.mount, "1s").await?;
    let (log, rotated) = (files.join("app.log"), |n: u64| files.join(format!("app.log.{n}")));
    for round in 0..ROUNDS {
        place.append(&log)?;
        place.arrive().await?;
        for n in (1..=round).rev() {
            std::fs::rename(rotated(n), rotated(n + 1))?;
        }
        std::fs::rename(&log, rotated(1))?;
        place.append(&rotated(1))?;
        place.append(&log)?;
        if round % 2 == 0 {
            place.arrive().await.with_context(|| format!("round {round}"))?;
        }
        place.append(&rotated(1))?;
        place.arrive().await.with_context(|| format!("round {round}, written to after its successor"))?;
    }
    place.each_once()?;
    place.pipeline.stop_all().await?;
    Ok(format!("{ROUNDS} rotations behind a mount"))
}

/// An agent over a directory.
struct Place {
    pipeline: Pipeline,
    written: u64,
}

impl Place {
    async fn new(dir: &Path, logs: &Path, rescan: &str) -> Result<Self> {
        let mut pipeline = Pipeline::new(&dir.join("pipeline"))?;
        let yaml = format!(
            "state_dir: {}/agent\nkafka: {{ brokers: [\"{}\"] }}\nmetrics: \"127.0.0.1:{}\"\nrescan_interval: {rescan}\nmax_open_files: {OPEN}\n\
             inputs:\n  - {{ name: app, include: [\"{}/**/*.log\"], topic: reused }}\n",
            pipeline.dir.display(),
            pipeline.brokers,
            pipeline.port(Part::Agent),
            logs.display()
        );
        std::fs::write(pipeline.yaml(Part::Agent), yaml)?;
        pipeline.start(Part::Broker).await?;
        pipeline.start(Part::Agent).await?;
        Ok(Self { pipeline, written: 0 })
    }

    fn append(&mut self, path: &Path) -> Result<()> {
        let lines: String = (self.written..self.written + LINES).map(|n| format!("line {n:>12}\n")).collect();
        self.written += LINES;
        let mut file = std::fs::File::options().append(true).create(true).open(path)?;
        Ok(std::io::Write::write_all(&mut file, lines.as_bytes())?)
    }

    /// Waits until the topic has all that was written, and the agent has it acknowledged.
    async fn arrive(&self) -> Result<()> {
        clock::until("all lines", Duration::from_secs(30), EVERY, || async {
            let there = readback::topic_size(&self.pipeline.brokers, "reused")?;
            ensure!(there >= self.written, "{there} of {}", self.written);
            ensure!(self.pipeline.in_flight().await? == 0.0, "some are under way");
            Ok(Some(()))
        })
        .await
    }

    /// Every line is in the topic, under one id.
    fn each_once(&self) -> Result<()> {
        let mut lines = HashMap::new();
        readback::records(&self.pipeline.brokers, "reused", |_, _, value, id| {
            let value: serde_json::Value = serde_json::from_slice(value)?;
            let message = value["message"].as_str().context("no message")?.to_owned();
            let id = id.context("no id")?.to_owned();
            let known = lines.entry(message.clone()).or_insert_with(|| id.clone());
            ensure!(*known == id, "{message:?} again under another id");
            Ok(())
        })?;
        ensure!(lines.len() as u64 == self.written, "{} of {} lines", lines.len(), self.written);
        Ok(())
    }
}
