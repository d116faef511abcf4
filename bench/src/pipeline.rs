//! file → broker and file → index with the daemons as separate processes.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use logmill_e2e::{
    clock, generate,
    pipeline::{INDICES, Part, Pipeline, TOPIC},
    readback,
    sample::{self, PeakMemory},
};

use crate::{quiet::Quiet, report::Report};

const FILES: usize = 20;

#[derive(Clone, Copy, PartialEq)]
enum Lines {
    Raw,
    Json,
}

pub async fn run(report: &mut Report, lines: u64) -> Result<()> {
    report.section(
        "File to broker",
        &format!(
            "{lines} lines of about 200 bytes in {FILES} files are there when the agent starts; the time ends when the topic\n\
             (4 partitions) holds all of them, each acknowledged after fdatasync. Median of 3 runs by lines/s."
        ),
        &["lines", "lines/s", "MB/s", "agent CPU-s per M lines", "broker CPU-s per M lines", "agent MiB", "broker MiB"],
    );
    let mut quiet = Quiet::new();
    for kind in [Lines::Raw, Lines::Json] {
        let mut runs = Vec::new();
        for _ in 0..3 {
            runs.push(quiet.run(async || one(kind, lines, false).await).await?);
        }
        runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        let m = &runs[1];
        report.row(&[
            name(kind),
            format!("{:.0}", m.rate),
            format!("{:.0}", m.megabytes),
            format!("{:.2}", m.cpu(Part::Agent)),
            format!("{:.2}", m.cpu(Part::Broker)),
            format!("{:.0}", m.memory(Part::Agent)),
            format!("{:.0}", m.memory(Part::Broker)),
        ]);
    }
    report.note(&quiet.told());
    report.section(
        "File to embedded index",
        "The same with sinks and index running; the time ends when the index counts every line.",
        &[
            "lines",
            "lines/s",
            "CPU-s per M lines: agent",
            "broker",
            "sinks",
            "index",
            "MiB: agent",
            "broker",
            "sinks",
            "index",
        ],
    );
    for kind in [Lines::Raw, Lines::Json] {
        let m = quiet.run(async || one(kind, lines / 4, true).await).await?;
        let mut row = vec![name(kind), format!("{:.0}", m.rate)];
        row.extend(PARTS.iter().map(|p| format!("{:.2}", m.cpu(*p))));
        row.extend(PARTS.iter().map(|p| format!("{:.0}", m.memory(*p))));
        report.row(&row);
    }
    report.note(&quiet.told());
    Ok(())
}

const PARTS: [Part; 4] = [Part::Agent, Part::Broker, Part::Sinks, Part::Index];

struct Measured {
    rate: f64,
    megabytes: f64,
    parts: Vec<(Part, f64, f64)>,
}

impl Measured {
    fn cpu(&self, part: Part) -> f64 {
        self.parts.iter().find(|p| p.0 == part).map_or(0.0, |p| p.1)
    }

    fn memory(&self, part: Part) -> f64 {
        self.parts.iter().find(|p| p.0 == part).map_or(0.0, |p| p.2)
    }
}

fn name(kind: Lines) -> String {
    String::from(if kind == Lines::Raw { "raw" } else { "JSON" })
}

fn write(dir: &Path, kind: Lines, lines: u64) -> Result<u64> {
    let (mut bytes, now) = (0, clock::epoch_ms());
    for file in 0..FILES {
        let mut out = Vec::new();
        for seq in 0..lines / FILES as u64 {
            match kind {
                Lines::Raw => generate::raw_line(&mut out, file, seq, now),
                Lines::Json => generate::line(&mut out, file, seq, generate::Dates::Now, now),
            }
        }
        bytes += out.len() as u64;
        std::fs::write(dir.join(generate::file_name(file)), out)?;
    }
    Ok(bytes)
}

async fn one(kind: Lines, lines: u64, indexed: bool) -> Result<Measured> {
    let lines = lines - lines % FILES as u64;
    let dir = tempfile::tempdir()?;
    let mut pipeline = Pipeline::new(dir.path())?;
    let bytes = write(&pipeline.logs, kind, lines)?;
    let mut parts = vec![Part::Broker];
    pipeline.start(Part::Broker).await?;
    if indexed {
        pipeline.start(Part::Index).await?;
        pipeline.start(Part::Sinks).await?;
        parts.extend([Part::Index, Part::Sinks]);
    }
    let start = clock::now();
    pipeline.start(Part::Agent).await?;
    parts.push(Part::Agent);
    let mut watched = Vec::new();
    for part in parts {
        let pid = pipeline.process(part)?.id();
        watched.push((part, pid, PeakMemory::watch(pid)));
    }
    clock::until("every line", Duration::from_secs(300), Duration::from_millis(20), || async {
        let there = if indexed {
            readback::index_count(&pipeline.index_url, INDICES).await?
        } else {
            readback::topic_size(&pipeline.brokers, TOPIC)?
        };
        ensure!(there <= lines, "{there} for {lines} lines");
        Ok((there == lines).then_some(()))
    })
    .await?;
    let seconds = start.elapsed().as_secs_f64();
    let millions = lines as f64 / 1e6;
    let mut parts = Vec::new();
    for (part, pid, peak) in watched {
        parts.push((part, sample::cpu_seconds(pid)? / millions, peak.mib()));
    }
    pipeline.stop_all().await?;
    Ok(Measured { rate: lines as f64 / seconds, megabytes: bytes as f64 / 1e6 / seconds, parts })
}
